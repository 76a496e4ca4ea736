"""Has shards of a table done anew: ``lapidary redo ROOT TABLE SHARD …``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from curation.core.errors import LapidaryError, UsageError
from curation.core.invocation import command_of
from curation.core.lock import hold
from curation.core.manifest import take_out
from curation.core.printable import plural, printable
from curation.core.root import open_root
from schemas.records import ImageRow

MODULE = "flows.redo"
EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
_MOST = 5  # names in a message
_ABOUT = """
Takes the proof that shards are finished out of a root's manifest, so that the next run does them anew, and what follows
from them where that comes out otherwise. That is the way back from a damaged file that no copy is left of. A shard of
images is fetched again, but for rows that the source no longer holds: they stay where their stored image is sound.
"""


def redo(root: str, table: str, shards: Sequence[str]) -> list[str]:
    """Forgets that these shards of a table are finished; returns those that were. Raises ``LapidaryError``."""
    store = open_root(root, shared=False)
    if not store.exists("manifest"):
        raise UsageError(f"{root} is no root: it has no manifest; name the root of a dataset")
    tables = [name for name in store.names("manifest") if not name.endswith(".json")]
    if table not in tables:
        raise UsageError(f"{root} has no table {table!r}; it has {', '.join(tables) or 'none'}")
    with hold(store):
        there = set(store.shards(table))
        unknown = sorted(set(shards) - there)
        if unknown:
            some = ", ".join(sorted(there)[:_MOST])
            raise UsageError(
                f"{table} has no finished shard {', '.join(unknown[:_MOST])}; it has {len(there):,}: {some}"
                f"{' …' if len(there) > _MOST else ''}"
            )
        found = sorted(set(shards))
        for shard in found:
            if table == ImageRow.table:
                from curation.fetch.stored_rows import keep_sound  # which opens libraries of images

                keep_sound(store, shard)
            take_out(store, table, shard)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=command_of(MODULE), description=_ABOUT)
    parser.add_argument("root", help="a folder, or a prefix of an object store such as s3://…")
    parser.add_argument("table", help="the table, such as images or captions")
    parser.add_argument("shard", nargs="+", help="names of shards, as messages and the catalog have them")
    words = parser.parse_args(argv)
    try:
        found = redo(words.root, words.table, words.shard)
    except UsageError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return EXIT_USAGE
    except LapidaryError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    print(f"{plural(len(found), 'shard')} of {words.table} will be done anew by the next run with the root's command")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
