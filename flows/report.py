"""The page of a root: ``lapidary report ROOT`` writes it, ``lapidary report ROOT --serve`` shows it over all rows."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from curation.core.errors import LapidaryError
from curation.core.invocation import command_of
from curation.core.printable import plural, printable
from curation.core.root import open_root
from curation.core.store import Store
from curation.report.serving import serve
from curation.report.write import Written, write_report
from flows.json_lines import tell
from schemas.part import Part
from schemas.recipe import Run

MODULE = "flows.report"
_ABOUT = """
Writes ROOT/report: a page (index.html, with thumbnails beside it) that any browser opens from disk or from a web
server, without the network. It shows the funnel down to single rows, texts before and after, what was rejected with
its evidence, duplicates, scores, captions, hosts, costs, and what changed. Its search goes over a sample of the rows;
with --serve the same page is served on this machine, its search goes over all rows, and nothing is written.
"""


def describe(written: Written) -> str:
    """What was written, for people."""
    rows = f"{written.shown:,} of {plural(written.rows, 'row')}"
    return f"report:   {written.page} ({rows}, {plural(written.thumbnails, 'picture')})"


def asks_for_report(recipe: Part) -> bool:
    """Whether runs by this recipe write the page at their end."""
    run = getattr(recipe, "run", None)
    return isinstance(run, Run) and run.report


def write_quietly(store: Store) -> None:
    """The page at the end of a run, if it is not the one that stands; no fault of it fails the run."""
    try:
        write_report(store, always=False)
    except Exception as error:
        said = printable(f"{type(error).__name__}: {error}")[:300]
        tell(f"the page of the root was not written: {said}", "warning")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog=command_of(MODULE), description=_ABOUT.strip())
    made.add_argument("root", help="the dataset's root: a folder or any fsspec URL")
    made.add_argument("--out", metavar="FOLDER", help="write the page there, not into the root (any fsspec URL)")
    made.add_argument("--open", action="store_true", help="show it in a browser")
    made.add_argument("--serve", action="store_true", help="serve it over all rows until interrupted; reads only")
    made.add_argument("--port", type=int, default=0, metavar="PORT", help="port of --serve (default: any)")
    made.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address of --serve (default %(default)s, this machine alone; others see the pictures over plain HTTP)",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0, or 2 where there is no root, or nothing can be written or served."""
    args = parser().parse_args(argv)
    try:
        store = open_root(args.root, shared=False)
        if args.serve:
            _serve(args)
            return 0
        written = write_report(store, None if args.out is None else open_root(args.out, shared=False))
    except KeyboardInterrupt:
        return 0 if args.serve else 130
    except (LapidaryError, OSError, OverflowError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    print(describe(written))
    if args.open and Path(written.page).exists():
        webbrowser.open(Path(written.page).resolve().as_uri())
    return 0


def _serve(args: argparse.Namespace) -> None:
    with serve(args.root, args.host, args.port) as served:
        print(f"report:   {served.url} (Ctrl-C ends it)", flush=True)
        if args.open:
            webbrowser.open(served.url)
        served.thread.join()


if __name__ == "__main__":
    sys.exit(main())
