"""Writes a release in the form that a trainer reads: ``lapidary export ROOT --as FORM --to FOLDER``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.core.errors import LapidaryError, RootError, UsageError
from curation.core.invocation import command_of
from curation.core.printable import plural, printable
from curation.core.root import open_root
from curation.exports.export import described, export
from curation.exports.form import FURTHER, Form, Settings
from curation.exports.installed import OWN, form_of
from curation.exports.known import note, root_of
from curation.exports.release import ReleaseTar, check_kinds, read_release
from curation.load.buckets import Buckets
from curation.load.captions import Captions

MODULE = "flows.export"
_ABOUT = """
Writes a release in the form that a trainer reads. The same command goes on where a killed one ended, does nothing
where all is there, and refuses a folder that holds anything else.
"""
_SIZES = ("pixels", "step", "max_aspect")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    forms = "\n".join(f"  {form.name:<12} {(form.__doc__ or '').splitlines()[0]}" for form in OWN)
    made = argparse.ArgumentParser(
        prog=command_of(MODULE),
        description=_ABOUT.strip(),
        epilog=f"forms:\n{forms}\n\nPackages add forms by entry points of the group lapidary.exports.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("root", help="a root or its release: a folder or any fsspec URL")
    made.add_argument("--as", dest="form", required=True, metavar="FORM", help="one of those below")
    made.add_argument("--to", required=True, metavar="FOLDER", help="a local folder, new or empty")
    made.add_argument(
        "--split", nargs="+", default=["train"], metavar="SPLIT", help="train, val, test (default: train)"
    )
    made.add_argument(
        "--captions",
        nargs="+",
        default=["preferred"],
        metavar="KIND[=WEIGHT]",
        help="one caption a sample is drawn from these kinds, by weight (default: preferred; also alt_text)",
    )
    made.add_argument("--seed", type=int, default=0, help="of that draw (default: %(default)s)")
    made.add_argument("--tags", metavar="KIND", help="also write this kind of caption as tags (kohya)")
    made.add_argument("--pixels", type=int, help="width times height of a bucket (default: 1048576)")
    made.add_argument("--step", type=int, help="sides of buckets are multiples of it (default: 64)")
    made.add_argument("--max-aspect", type=float, help="the longest side of a bucket by its shortest (default: 2)")
    made.add_argument(
        "--seen-as", metavar="PATH", help="the folder's path for the trainer (default: its absolute path here)"
    )
    made.add_argument("--link", action="store_true", default=None, help="link tars of a local root, don't copy them")
    return made


def weights(words: Sequence[str]) -> Mapping[str, float]:
    """The weight of each kind of caption: ``dense=0.7 alt_text=0.3``. Raises ``UsageError``."""
    found: dict[str, float] = {}
    for word in words:
        kind, equals, weight = word.partition("=")
        try:
            found[kind] = float(weight) if equals else 1.0
        except ValueError as error:
            raise UsageError(f"--captions {word}: expected KIND or KIND=WEIGHT, such as dense=0.7") from error
        if not 0 <= found[kind] < float("inf"):
            raise UsageError(f"--captions {word}: a weight is a number of 0 or more")
    return found


def settings_of(args: argparse.Namespace, form: Form, folder: Path) -> Settings:
    """What was asked for. Raises ``UsageError`` for what the form does not use."""
    named = {name for name in FURTHER - {"buckets"} if getattr(args, name) is not None}
    named |= {"buckets"} if any(getattr(args, name) is not None for name in _SIZES) else set()
    if unused := sorted(named - form.uses):
        options = [f"--{n.replace('_', '-')}" if n != "buckets" else "--pixels, --step, --max-aspect" for n in unused]
        raise UsageError(f"{form.name} does not use {', '.join(options)}; leave that out")
    try:
        return Settings(
            Captions(dict(weights(args.captions)), args.seed),
            Buckets(**{name: getattr(args, name) for name in _SIZES if getattr(args, name) is not None}),
            args.tags,
            args.seen_as or str(folder),
            bool(args.link),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0; 1 where something failed on the way; 2 for what was wrong from the start."""
    args = parser().parse_args(argv)
    try:
        form = form_of(args.form)
        if "://" in args.to or "::" in args.to:
            raise RootError(f"--to is {args.to}; expected a local folder: copy it to the store once it is finished")
        folder = Path(args.to).absolute()
        settings = settings_of(args, form, folder)
        open_root(args.root, shared=False)
        tars = read_release(args.root, args.split)
        check_kinds(tars, settings.captions)
        told = described(tars, form, settings)
        made = export(tars, form, settings, folder, _report, lambda: _note(args.root, folder, told))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    except UsageError as error:
        return _failed(error, 2)
    except (LapidaryError, OSError) as error:
        return _failed(error, 1)
    went = "all were there" if not made.new else f"{made.new} of {made.shards} made now"
    print(f"{folder}: {plural(made.samples, 'sample')} as {form.name} from {plural(made.shards, 'tar')} ({went})")
    return 0


def _report(tar: ReleaseTar, samples: int) -> None:
    print(f"{tar.name}: {plural(samples, 'sample')}", flush=True)


def _note(root: str, folder: Path, told: Mapping[str, Any]) -> None:
    """Has the root know of the export before there is anything in it; a copy of a release knows of none."""
    try:
        store = root_of(root)
        if store is not None:
            note(store, folder, told, time.strftime("%Y-%m-%d", time.gmtime()))
    except LapidaryError as error:
        said = f"warning: the root will not know of this export, so that no takedown reaches it: {error}"
        print(printable(said), file=sys.stderr, flush=True)


def _failed(error: Exception, code: int) -> int:
    print(f"error: {printable(str(error))}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
