"""ANCHOR-style news datasets: ``python -m flows.build_anchor --source visualnews/ --root ROOT``, or ``--demo``."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from prefect import flow
from rich.console import Console
from rich.table import Table
from rich.text import Text

from curation.catalog import connect
from curation.core.printable import printable
from curation.core.store import Store
from curation.demo.news_judge import judge
from curation.products import product_of
from curation.products.anchor import ANCHOR
from curation.sources.news import LayoutName
from flows.product import make, run_request
from flows.request import Request, command_line
from flows.summary import print_summary
from flows.tasks import leave
from schemas.anchor import BuildAnchor

_OUTLETS = """
SELECT coalesce(n.outlet, 'unknown'), a.subset, count(*), avg(p.words), avg(a.abstractiveness), avg(a.entities)
FROM placements p SEMI JOIN released USING (sample_id, shard)
JOIN abstractness a USING (sample_id)
LEFT JOIN articles n ON n.source_file = p.source_file AND n.source_row = p.source_row
GROUP BY ALL ORDER BY ALL
"""
_SUBJECTS = """
SELECT p.caption, list({'start': s.start, 'end': s."end", 'weight': s.weight} ORDER BY s.start)
FROM placements p SEMI JOIN released USING (sample_id, shard) JOIN subjects s USING (sample_id)
WHERE s.start IS NOT NULL GROUP BY p.sample_id, p.caption ORDER BY p.sample_id LIMIT $most
"""
_STYLES = ((0.8, "bold white on dark_red"), (0.5, "bold red"), (0.25, "yellow"), (0.0, "cyan"))


def print_outlets(store: Store, console: Console) -> None:
    """The release by outlet and subset."""
    table = Table(title="by outlet and subset", title_justify="left")
    for name in ("outlet", "subset"):
        table.add_column(name)
    for name in ("samples", "words", "abstractiveness", "entities"):
        table.add_column(name, justify="right")
    with connect(store.url) as catalog:
        for outlet, subset, count, words, abstract, entities in catalog.execute(_OUTLETS).fetchall():
            table.add_row(Text(outlet), subset, f"{count:,}", f"{words:.1f}", f"{abstract:.3f}", f"{entities:.2f}")
    console.print(table)


def print_subjects(store: Store, console: Console, most: int = 10) -> None:
    """Some captions with their subjects; the heavier a subject, the brighter it is, with its weight behind it."""
    with connect(store.url) as catalog:
        found = catalog.execute(_SUBJECTS, {"most": most}).fetchall()
    if found:
        console.print("captions with their subjects by weight:")
    for caption, subjects in found:
        text = Text()
        at = 0
        for s in subjects:
            text.append(printable(caption[at : s["start"]]))
            style = next(style for least, style in _STYLES if s["weight"] >= least)
            text.append(printable(caption[max(at, s["start"]) : s["end"]]), style=style)
            text.append(f"[{s['weight']:.2f}]", style="dim")
            at = max(at, s["end"])
        text.append(printable(caption[at:]))
        console.print("  ", text, highlight=False)


def print_scores(truth: Path, store: Store, recipe: BuildAnchor, console: Console) -> None:
    """Scores of every installed backend against the demo world's truth."""
    table = Table(title="against the demo world's truth", title_justify="left")
    table.add_column("by")
    for name in ("entities F1", "with label", "weights Spearman", "captions"):
        table.add_column(name, justify="right")
    for score in judge(truth, store, recipe):
        figures = ("" if v is None else f"{v:.3f}" for v in (score.entities, score.labelled, score.subjects))
        table.add_row(Text(score.by), *figures, f"{score.captions:,}")
    console.print(table)
    console.print(
        "a spaCy pipeline or a GLiNER checkpoint joins them with --set entities.recogniser=spacy (or gliner) and "
        "--set entities.model=NAME",
        style="dim",
    )


MODULE = "flows.build_anchor"
_DEMO_SETTINGS = (
    *("caption.model=demo", "llm.model=demo"),
    *("source.shard_rows=50", "export.shard_size=50", "export.val=0.1", "export.test=0.1"),
)
log = logging.getLogger(__name__)


@flow(name="build-anchor", description=ANCHOR.about, persist_result=False)
def build_anchor(
    source: list[str],
    root: str,
    recipe: str | None = None,
    settings: list[str] | None = None,
    limit: int = 0,
    profile: str = "local",
    engine: str = "ray",
    layout: str | None = None,
    wait_for_root: bool = False,
) -> dict[str, int]:
    """Makes a release of the source under ``root``; returns the number of source rows by fate.

    ``layout`` is a former parameter, which deployments of release 0.1 pass; settings of ``source.layout`` count before
    it. Raises ``ShardsFailed`` after everything else is done, and ``LapidaryError`` when the counts do not add up or
    the root has what none of its product may have.
    """
    if layout:
        log.warning(
            "the parameter layout of build-anchor works in this release only; deploy it with the parameter settings = "
            '["source.layout=%s"] instead',
            printable(layout),
        )
        settings = [f"source.layout={layout}", *(settings or ())]
    asked = Request(
        *(MODULE, tuple(source), root, recipe or None, tuple(settings or ()), limit, profile, engine, wait_for_root)
    )
    return make(ANCHOR, asked)


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
        if not args.source or args.root is None:
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
