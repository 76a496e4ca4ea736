"""LAION-refined: ``python -m flows.refine_laion --source 'laion/part-*.parquet' --root runs/refined``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from prefect import flow

from curation.catalog import conservation, refresh
from curation.errors import LapidaryError, ShardsFailed, UsageError
from curation.pipeline import Engine
from curation.recipes import document
from curation.refine import Refinement, check, steps
from curation.root import hold, resolve_recipe
from curation.store import Store
from flows.profiles import ENGINES, PROFILES, build_engine
from flows.progress import publish_table
from flows.summary import describe, funnel, print_summary
from flows.tasks import EXIT_FAILED_SHARDS, EXIT_OK, EXIT_USAGE, exit_code, run_steps
from schemas.recipe import RefineLaion


@dataclass(frozen=True)
class Request:
    """What a user asks for; plain data, as a Prefect deployment stores it."""

    source: tuple[str, ...]
    root: str
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    limit: int = 0
    profile: str = "local"
    engine: str = "ray"

    def parameters(self) -> dict[str, Any]:
        """The flow's parameters."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def command(self) -> str:
        """The command line that asks for the same."""
        words = ["python", "-m", "flows.refine_laion", "--source", *self.source, "--root", self.root]
        if self.recipe:
            words += ["--recipe", self.recipe]
        for setting in self.settings:
            words += ["--set", setting]
        if self.limit:
            words += ["--limit", str(self.limit)]
        return shlex.join([*words, "--profile", self.profile, "--engine", self.engine])


@dataclass(frozen=True)
class Prepared:
    """A request that was found to be possible."""

    store: Store
    engine: Engine
    refinement: Refinement


@lru_cache(maxsize=1)
def prepare(request: Request) -> Prepared:
    """Checks all that can be checked before work. Raises ``UsageError``."""
    engine = build_engine(request.profile, request.engine)
    store = Store(request.root)
    settings = [*request.settings, *([f"source.limit={request.limit}"] if request.limit else [])]
    recipe = resolve_recipe(RefineLaion, store, request.recipe, settings)
    if not request.limit and recipe.source.limit and not any(s.startswith("source.limit") for s in settings):
        # A limit is for one run; the root remembers it no longer than that.
        recipe = recipe.model_copy(update={"source": recipe.source.model_copy(update={"limit": 0})})
    return Prepared(store, engine, check(recipe, request.source, store))


@flow(name="refine-laion", persist_result=False)
def refine_laion(
    source: list[str],
    root: str,
    recipe: str | None = None,
    settings: list[str] | None = None,
    limit: int = 0,
    profile: str = "local",
    engine: str = "ray",
) -> dict[str, int]:
    """Refines a source of image-text pairs into a release under ``root``.

    Returns the number of source rows by fate. Raises ``ShardsFailed`` after everything else is done, and
    ``LapidaryError`` when the counts do not add up.
    """
    request = Request(tuple(source), root, recipe, tuple(settings or ()), limit, profile, engine)
    prepared = prepare(request)
    store = prepared.store
    record = run_steps(
        store, prepared.engine, prepared.refinement.recipe, steps(prepared.refinement), request.command()
    )
    refresh(store)
    counts = conservation(store)
    if not counts.ok:
        raise LapidaryError(f"the fates do not add up in {store.url}: {counts}; this is a bug, please report it")
    publish_table("funnel", funnel(store), "every source row by stage, fate and reason")
    if record.failed:
        raise ShardsFailed(record.failed)
    return {"source": counts.source, "kept": counts.kept, "rejected": counts.rejected, "failed": counts.failed}


def parser() -> argparse.ArgumentParser:
    """The command line. Its help documents every recipe key from where it is declared."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.refine_laion",
        description="Raw image-text lists in, training-ready datasets out.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="recipe keys (TOML tables and keys, or --set table.key=value):\n\n" + document(RefineLaion),
    )
    parser.add_argument(
        "--source",
        nargs="+",
        required=True,
        metavar="SPEC",
        help="Parquet or TSV files, globs, folders, tars, any fsspec URL",
    )
    parser.add_argument("--root", required=True, help="where the dataset is made: a folder or any fsspec URL")
    parser.add_argument("--recipe", help="a TOML file; without it the root's own recipe, or the defaults")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one recipe key, e.g. caption.max_tokens=200; may be repeated",
    )
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="only the first N rows of the source")
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="local",
        help="where workers live: this machine, or the cluster at RAY_ADDRESS",
    )
    parser.add_argument(
        "--engine", choices=ENGINES, default="ray", help="ray: actors on all cores; local: everything in this process"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would happen, and touch nothing")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line's exit code: 0 done, 1 failed shards, 2 wrong from the start, 130 interrupted."""
    args = parser().parse_args(argv)
    request = Request(
        tuple(args.source), args.root, args.recipe, tuple(args.settings), args.limit, args.profile, args.engine
    )
    try:
        prepared = prepare(request)
        if args.dry_run:
            print(describe(prepared.refinement, prepared.store))
            return EXIT_OK
        with hold(prepared.store):
            pass  # a root in use is told before Prefect's server takes its seconds; the flow holds it anew
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    code = exit_code(request.root, request.command(), lambda: refine_laion(**request.parameters()))
    if code in (EXIT_OK, EXIT_FAILED_SHARDS):
        print_summary(prepared.store)
    return code


if __name__ == "__main__":
    sys.exit(main())
