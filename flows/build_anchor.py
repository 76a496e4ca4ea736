"""ANCHOR-style news datasets: ``python -m flows.build_anchor --source visualnews/ --root ROOT``, or ``--demo``."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from curation.core.store import Store
from curation.products import product_of
from curation.products.anchor import ANCHOR
from curation.sources.news import LayoutName
from flows.news_summary import print_outlets, print_scores, print_subjects
from flows.product import product_flow, run_request
from flows.request import Request, command_line
from flows.summary import print_summary
from flows.tasks import leave
from schemas.anchor import BuildAnchor

MODULE = "flows.build_anchor"
_DEMO_SETTINGS = (
    *("caption.model=demo", "llm.model=demo"),
    *("source.shard_rows=50", "export.shard_size=50", "export.val=0.1", "export.test=0.1"),
)
build_anchor = product_flow(ANCHOR, "build-anchor", MODULE)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = command_line(MODULE, ANCHOR, required=False)
    made.add_argument("--layout", choices=get_args(LayoutName), help="the same as --set source.layout=LAYOUT")
    made.add_argument("--demo", action="store_true", help="build the demo world's news, laid out as five outlets")
    made.add_argument("--scenes", type=int, default=200, metavar="N", help="pictures of the demo [pictures]")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code; see ``run_command``."""
    made = parser()
    args = made.parse_args(argv)
    if args.layout:
        args.settings.append(f"source.layout={args.layout}")
    if not args.demo:
        if not args.source or not args.root:
            made.error("--source and --root are needed, or --demo")
        return _run(args)
    args.root = args.root or "runs/anchor-demo"
    if not args.dry_run:
        return _run_demo(args, Path(args.root + "-source"))
    with tempfile.TemporaryDirectory() as folder:  # there is no source to look at before it is drawn
        return _run_demo(args, Path(folder))


def _run_demo(args: argparse.Namespace, folder: Path) -> int:
    """Builds the demo world's news, whose sources are drawn into the folder."""
    from curation.demo.newsroom import write_newsroom

    args.source = [str(f) for f in write_newsroom(folder, scenes=args.scenes)]
    args.settings = [*_DEMO_SETTINGS, *args.settings]
    return _run(args, folder / "truth.jsonl")


def _run(args: argparse.Namespace, truth: Path | None = None) -> int:
    """The run's exit code. With ``truth`` the result is scored against it."""

    def summary(store: Store) -> None:
        console = Console()
        print_summary(store, console)
        print_outlets(store, console)
        print_subjects(store, console)
        _, recipe = product_of(store)
        if truth is not None and isinstance(recipe, BuildAnchor):
            print_scores(truth, store, recipe, console)

    return run_request(ANCHOR, build_anchor, Request.of(MODULE, args), summary, dry_run=args.dry_run)


if __name__ == "__main__":
    leave(main())
