"""Evaluation prompts: ``python -m flows.dense_prompts --size 7000 --root ROOT``, or ``--demo``; and their scores."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from curation.catalog import connect
from curation.core.printable import printable
from curation.core.store import Store
from curation.products.dense_prompts import DENSE_PROMPTS
from flows import prompt_scores
from flows.product import product_flow, run_request
from flows.request import Request, command_line
from flows.summary import print_summary
from flows.tasks import leave

MODULE = "flows.dense_prompts"
_DEMO_SIZE = 60
_EXAMPLE = """
SELECT item_id, caption FROM placements SEMI JOIN released USING (sample_id, shard) ORDER BY item_id LIMIT 1
"""
_CATEGORIES = """
SELECT category, count(*), avg(words), avg(question_count)
FROM placements SEMI JOIN released USING (sample_id, shard) GROUP BY category ORDER BY category
"""

dense_prompts = product_flow(DENSE_PROMPTS, "dense-prompts", MODULE)


def print_prompts(store: Store, console: Console | None = None) -> None:
    """The release by category, and one prompt."""
    console = console or Console()
    print_summary(store, console)
    table = Table(title="prompts by category", title_justify="left")
    table.add_column("category")
    for name in ("prompts", "words", "questions"):
        table.add_column(name, justify="right")
    with connect(store.url) as catalog:
        for category, count, words, questions in catalog.execute(_CATEGORIES).fetchall():
            table.add_row(category, f"{count:,}", f"{words:.1f}", f"{questions:.1f}")
        first = catalog.execute(_EXAMPLE).fetchone()
    console.print(table)
    if first is not None:
        console.print(f"{first[0]}: {printable(first[1])}", markup=False, highlight=False)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = command_line(MODULE, DENSE_PROMPTS, required=False)
    made.add_argument("--size", type=int, metavar="N", help="the same as --set quotas.size=N [prompts]")
    made.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="ROOT",
        help="a training root whose released texts the prompts keep clear of; may be repeated; the same as "
        "--set decontamination.sets",
    )
    made.add_argument(
        "--demo",
        action="store_true",
        help="prompts about the demo world, by a writer that is no language model but follows the same interface",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code; see ``run_command``. ``score`` is a command of its own."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["score"]:
        return prompt_scores.main(MODULE, words[1:])
    made = parser()
    args = made.parse_args(words)
    if args.size is not None:
        args.settings.append(f"quotas.size={args.size}")
    if args.against:
        args.settings.append(f"decontamination.sets=[{', '.join(map(_quoted, args.against))}]")
    if not args.demo:
        if args.root is None:
            made.error("--root is needed, or --demo")
        return _run(args)
    from curation.demo.prompt_server import PromptServer

    args.root = args.root or "runs/prompts-demo"
    with PromptServer() as server:
        args.settings = [
            *("source.seeds=demo", "llm.backend=server", f"llm.model={server.MODEL}"),
            *(f'llm.endpoints=["{server.url}"]', "source.shard_rows=50"),
            "export.license_note=Written by the demo world's writer, which is no language model, about drawn scenes.",
            *([] if args.size is not None else [f"quotas.size={_DEMO_SIZE}"]),
            *args.settings,
        ]
        return _run(args)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _run(args: argparse.Namespace) -> int:
    return run_request(DENSE_PROMPTS, dense_prompts, Request.of(MODULE, args), print_prompts, dry_run=args.dry_run)


if __name__ == "__main__":
    leave(main())
