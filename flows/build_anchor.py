"""ANCHOR-style news datasets: ``python -m flows.build_anchor --source visualnews/ --root ROOT``, or ``--demo``."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, get_args

from prefect import flow
from rich.console import Console

from curation.caption.model.checkpoint import demo_is_trained
from curation.core.errors import LapidaryError, UsageError
from curation.core.pipeline import Engine
from curation.core.root import hold
from curation.core.store import Store
from curation.products.anchor import Anchoring, check, leaks, steps
from curation.sources.news import LayoutName
from flows.news_summary import describe_news, print_outlets, print_scores, print_subjects
from flows.profiles import build_engine
from flows.request import Request, command_line, conclude
from flows.summary import print_summary
from flows.tasks import EXIT_FAILED_SHARDS, EXIT_OK, EXIT_USAGE, exit_code, leave, run_steps
from schemas.anchor import BuildAnchor

_DEMO_SETTINGS = ("source.shard_rows=50", "export.shard_size=50", "export.val=0.1", "export.test=0.1")
# Where the demo captioner is not installed, nobody describes the pictures, and a rule of thumb weighs subjects.
_WITHOUT_CAPTIONER = ("caption.backend=scripted", "subjects.method=salience", "abstraction.literal=false")


@dataclass(frozen=True)
class AnchorRequest(Request):
    """What a user asks for, with the layout where it is not to be recognised."""

    module: ClassVar[str] = "flows.build_anchor"

    layout: str = ""

    def command(self) -> str:
        return super().command() + (f" --layout {shlex.quote(self.layout)}" if self.layout else "")

    def known_layout(self) -> LayoutName | None:
        """Raises ``UsageError`` for a layout that nobody knows."""
        found = next((name for name in get_args(LayoutName) if name == self.layout), None)
        if self.layout and found is None:
            raise UsageError(f"layout {self.layout!r} is not known; expected one of {', '.join(get_args(LayoutName))}")
        return found


@dataclass(frozen=True)
class Prepared:
    """A request that was found to be possible."""

    store: Store
    engine: Engine
    anchoring: Anchoring


@lru_cache(maxsize=1)
def prepare(request: AnchorRequest) -> Prepared:
    """Checks all that can be checked before work. Raises ``UsageError``."""
    engine = build_engine(request.profile, request.engine)
    store = Store(request.root)
    recipe = request.resolve(BuildAnchor, store)
    return Prepared(store, engine, check(recipe, request.source, store, request.known_layout()))


@flow(name="build-anchor", persist_result=False)
def build_anchor(
    source: list[str],
    root: str,
    recipe: str | None = None,
    settings: list[str] | None = None,
    limit: int = 0,
    profile: str = "local",
    engine: str = "ray",
    layout: str = "",
) -> dict[str, int]:
    """Builds a news dataset from published news sources into a release under ``root``.

    Returns the number of source rows by fate. Raises ``ShardsFailed`` after everything else is done, and
    ``LapidaryError`` when the counts do not add up or a split leaks into another.
    """
    request = AnchorRequest(tuple(source), root, recipe, tuple(settings or ()), limit, profile, engine, layout)
    prepared = prepare(request)
    store, made = prepared.store, prepared.anchoring
    record = run_steps(store, prepared.engine, made.recipe, steps(made), request.command())
    leaking = leaks(store, made.recipe)
    if leaking:
        raise LapidaryError(f"the splits leak in {store.url}: {'; '.join(leaking)}; this is a bug, please report it")
    return conclude(store, record)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    about = "News photographs with named entities, abstractiveness and weighted subjects."
    source = "folders of VisualNews, NYTimes800k or GoodNews as they were published, or their lists"
    made = command_line(AnchorRequest.module, about, BuildAnchor, source, required=False)
    made.add_argument("--layout", choices=get_args(LayoutName), default="", help="take lists in this layout only")
    made.add_argument("--demo", action="store_true", help="build the demo world's news, laid out as five outlets")
    made.add_argument("--scenes", type=int, default=200, metavar="N", help="pictures of the demo [pictures]")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0 done, 1 failed shards, 2 wrong from the start, 130 interrupted."""
    made = parser()
    args = made.parse_args(argv)
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
    told = () if demo_is_trained() else _WITHOUT_CAPTIONER
    args.settings = [*_DEMO_SETTINGS, *told, *args.settings]
    return _run(args, folder / "truth.jsonl")


def _run(args: argparse.Namespace, truth: Path | None = None) -> int:
    """The run's exit code. With ``truth`` the result is scored against it."""
    request = AnchorRequest(
        *(tuple(args.source), args.root, args.recipe, tuple(args.settings), args.limit),
        *(args.profile, args.engine, args.layout),
    )
    try:
        prepared = prepare(request)
        if args.dry_run:
            print(describe_news(prepared.anchoring, prepared.store))
            return EXIT_OK
        with hold(prepared.store):
            pass  # a root in use is told before Prefect's server takes its seconds; the flow holds it anew
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    code = exit_code(request.root, request.command(), lambda: build_anchor(**request.parameters()))
    if code in (EXIT_OK, EXIT_FAILED_SHARDS):
        console = Console()
        print_summary(prepared.store, console)
        print_outlets(prepared.store, console)
        print_subjects(prepared.store, console)
        if truth is not None:
            print_scores(truth, prepared.store, prepared.anchoring.recipe, console)
    return code


if __name__ == "__main__":
    leave(main())
