"""LAION-refined: ``python -m flows.refine_laion --source 'laion/part-*.parquet' --root runs/refined``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from prefect import flow

from curation.core.errors import UsageError
from curation.core.pipeline import Engine
from curation.core.root import hold
from curation.core.store import Store
from curation.products.refine import Refinement, check, steps
from flows.profiles import build_engine
from flows.request import Request, command_line, conclude
from flows.summary import describe, print_summary
from flows.tasks import EXIT_FAILED_SHARDS, EXIT_OK, EXIT_USAGE, exit_code, leave, run_steps
from schemas.recipe import RefineLaion


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
    recipe = request.resolve(RefineLaion, store)
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
    return conclude(store, record)


def parser() -> argparse.ArgumentParser:
    """The command line. Its help documents every recipe key from where it is declared."""
    about = "Raw image-text lists in, training-ready datasets out."
    source = "Parquet or TSV files, globs, folders, tars, any fsspec URL"
    return command_line(Request.module, about, RefineLaion, source, required=True)


def main(argv: Sequence[str] | None = None, summary: Callable[[Store], None] = print_summary) -> int:
    """The command line's exit code: 0 done, 1 failed shards, 2 wrong from the start, 130 interrupted.

    ``summary`` tells people what the run came to, when it went to its end.
    """
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
        summary(prepared.store)
    return code


if __name__ == "__main__":
    leave(main())
