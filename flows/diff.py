"""What two releases differ in: ``lapidary diff OLD NEW``; with --write as the next version of the newer one."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

import duckdb

from curation import catalog
from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.lock import hold
from curation.core.printable import printable
from curation.core.root import RECIPE, open_root
from curation.core.store import Store, shown
from curation.release.differences import Differences, compare
from curation.release.versions import CHANGELOG, RELEASE, VERSION, next_version, release_in, version_of, vouch

MODULE = "flows.diff"
_ABOUT = """
Compares two releases: samples that were added or removed, and why, samples with another caption, and the shards that
changed. OLD and NEW are roots, or copies of a root's folder release; why samples were removed only a root knows. With
--write NEW, a root, gets the next version: release/VERSION and a section of release/CHANGELOG.md.
"""


def write_version(old: Store, new: Store, found: Differences, date: str) -> int:
    """Makes the differences the next version of a root, unless its newest one says the same; returns its version."""
    there = new.read(RELEASE + CHANGELOG).decode("utf-8", "replace") if new.exists(RELEASE + CHANGELOG) else ""
    lines = list(found.lines())
    newest = there.partition("\n## ")[2].partition("\n## ")[0]
    if not found.any or all(f"- {line}" in newest.splitlines() for line in lines):
        return version_of(new)
    vouch(new, next_version(new, date, lines, above=version_of(old, release_in(old))))
    return version_of(new)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=command_of(MODULE), description=_ABOUT.strip())
    made.add_argument("old", help="the older one: a root, or a copy of a release; a folder or any fsspec URL")
    made.add_argument("new", help="the newer one")
    made.add_argument("--json", action="store_true", help="print all ids as one JSON object")
    made.add_argument("--write", action="store_true", help="make it the next version of NEW, which is a root")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0, 1 where a file cannot be read, 2 for what is no release."""
    args = parser().parse_args(argv)
    try:
        old, new = (open_root(url, shared=False) for url in (args.old, args.new))
        is_root = new.exists(RECIPE)
        if args.write and not is_root:
            raise UsageError(f"{shown(args.new)} is no root: it has no {RECIPE}; --write wants the root of the release")
        with hold(new) if args.write else contextlib.nullcontext():
            with catalog.connect(args.new) if is_root else duckdb.connect() as database:
                found = compare(old, new, database, catalog=is_root)
            if args.write:
                version = write_version(old, new, found, time.strftime("%Y-%m-%d", time.gmtime()))
        print(json.dumps(asdict(found), sort_keys=True) if args.json else "\n".join(map(printable, found.lines())))
        if args.write and not args.json:
            print(f"{shown(new.path(RELEASE + VERSION))}: {version}")
    except UsageError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except (LapidaryError, OSError, duckdb.Error) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
