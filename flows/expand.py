"""Expansion data: ``python -m flows.expand --source 'photographs/' --root runs/expansion``, or ``--demo``."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from curation.core.printable import printable
from curation.core.store import Store
from curation.products.expand import EXPANSION
from flows.product import product_flow, run_request
from flows.request import Request, command_line
from flows.summary import print_summary
from flows.tasks import leave

MODULE = "flows.expand"
expand = product_flow(EXPANSION, "expand", MODULE)
# The demo's captioner knows the prompts dense and short only, and no language model is there to imagine and to join.
_DEMO_SETTINGS = (
    *("caption.model=demo", "windows.share=1", "llm.backend=scripted"),
    *("source.shard_rows=50", "export.shard_size=50", "export.val=0.1", "export.test=0.1"),
)
_KINDS = '{kind="global", prompt="short", max_tokens=80}, {kind="local", prompt="dense", max_tokens=200}'
_JOINED = '{{kind="joined", prompt="joined", backend="server", model="{model}", endpoints=["{url}"]}}'
_EXAMPLES, _TILES = 3, 3


def print_scores(truth: Path, store: Store, console: Console) -> None:
    """Some pictures with all that is said of them, and how true the captions are."""
    from curation.demo.panorama_judge import judge_release

    judged = judge_release(truth, store)
    for sample in judged.samples[:_EXAMPLES]:
        console.print(Text(f"global: {printable(sample.whole)}", style="bold"))
        for side, text in sample.windows:
            console.print(Text(f"  {side}: {printable(text)}"), highlight=False)
        for side, text in sample.imagined:
            console.print(Text(f"  beyond {side}: {printable(text)}", style="dim"), highlight=False)
    table = Table(title="against the demo world's truth", title_justify="left")
    for name in ("captions", "texts", "objects F1", "recall", "false among what is said"):
        table.add_column(name, justify="left" if name == "captions" else "right")
    for name, score in (("local", judged.local), ("global", judged.whole)):
        table.add_row(name, f"{score.texts:,}", f"{score.f1:.3f}", f"{score.recall:.3f}", f"{score.false:.2%}")
    console.print(table)
    console.print(
        "no language model was asked: a script imagines here, and describes nothing, and what joins captions of parts "
        "of long pictures knows the demo world's words only"
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = command_line(MODULE, EXPANSION, required=False)
    made.add_argument("--demo", action="store_true", help="build it from panoramas of the demo world")
    made.add_argument("--scenes", type=int, default=100, metavar="N", help="pictures of the demo [pictures]")
    made.add_argument(
        "--tiles",
        type=int,
        choices=range(3, 7),
        default=_TILES,
        help="length of the demo's pictures, in halves of their shorter side (default %(default)s)",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code; see ``run_command``."""
    made = parser()
    args = made.parse_args(argv)
    if not args.demo:
        if not args.source or args.root is None:
            made.error("--source and --root are needed, or --demo")
        return run_request(EXPANSION, expand, Request.of(MODULE, args), dry_run=args.dry_run)
    args.root = args.root or "runs/expansion-demo"
    if not args.dry_run:
        return _run_demo(args, Path(args.root + "-source"))
    with tempfile.TemporaryDirectory() as folder:  # there is no source to look at before it is drawn
        return _run_demo(args, Path(folder))


def _run_demo(args: argparse.Namespace, folder: Path) -> int:
    """Builds it from panoramas that are drawn into the folder, and compares the result with their truth."""
    from curation.demo.joining import JoinServer
    from curation.demo.panoramas import TRUTH, write_panoramas

    args.source = [str(write_panoramas(folder, count=args.scenes, tiles=args.tiles))]

    def summary(store: Store) -> None:
        print_summary(store)
        print_scores(folder / TRUTH, store, Console())

    with JoinServer() as server:
        kinds = [_KINDS, *([] if args.tiles <= _TILES else [_JOINED.format(model=server.MODEL, url=server.url)])]
        # So many windows reach from end to end, and cut no object.
        ours = [f"windows.most={args.tiles - 1}", f"caption.kinds=[{', '.join(kinds)}]"]
        args.settings = [*_DEMO_SETTINGS, *ours, *args.settings]
        return run_request(EXPANSION, expand, Request.of(MODULE, args), summary, dry_run=args.dry_run)


if __name__ == "__main__":
    leave(main())
