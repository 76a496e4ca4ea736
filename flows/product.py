"""A product as a Prefect flow and as a command: what every flow does with a request, from check to summary.

A further flow is its product and a dozen lines:

    expand = product_flow(EXPANSION, "expand", MODULE)

    def main(argv: Sequence[str] | None = None) -> int:
        return run_command(EXPANSION, MODULE, expand, argv)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from prefect import Flow, flow

from curation.core.errors import LapidaryError
from curation.core.kept_listing import keeping
from curation.core.lock import hold
from curation.core.pipeline import Engine
from curation.core.root import open_root
from curation.core.run import Step, warming
from curation.core.store import Store
from curation.products import check_named
from curation.products.product import Product
from flows.profiles import build_engine
from flows.report import asks_for_report, write_quietly
from flows.request import Request, command_line, conclude
from flows.summary import describe, print_summary, print_warnings
from flows.tasks import EXIT_MOSTLY_LOST, EXIT_OK, dry_run_code, exit_code, handed, run_steps, say, say_starting
from schemas.part import Part

ProductFlow = Flow[..., dict[str, int]]


@dataclass(frozen=True)
class Prepared:
    """A request whose sources, recipe, models and engine were checked."""

    store: Store
    engine: Engine
    recipe: Part
    steps: tuple[Step, ...]


def prepare(product: Product[Any], request: Request) -> Prepared:
    """Checks everything that can be checked before any work. Raises ``UsageError``."""
    engine = build_engine(request.profile, request.engine)
    store = open_root(request.root, shared=request.engine == "ray")
    check_named(product, store, request.recipe)
    recipe = request.resolve(product.recipe, store)
    return Prepared(store, engine, recipe, tuple(product.ready(recipe, request.source, store)))


def product_flow(product: Product[Any], name: str, module: str) -> ProductFlow:
    """The Prefect flow of a product; ``module`` is what ``python -m`` runs it by."""

    @flow(name=name, description=product.about, persist_result=False)
    def run(
        source: list[str],
        root: str,
        recipe: str | None = None,
        settings: list[str] | None = None,
        limit: int = 0,
        profile: str = "local",
        engine: str = "ray",
        wait_for_root: bool = False,
    ) -> dict[str, int]:
        """Makes a release of the source under ``root``; returns the number of source rows by fate.

        Raises ``ShardsFailed`` after everything else is done, and ``LapidaryError`` when the counts do not add up or
        the root has what none of its product may have.
        """
        asked = Request(
            *(module, tuple(source), root, recipe or None, tuple(settings or ()), limit, profile, engine, wait_for_root)
        )
        return make(product, asked)

    return run


def make(product: Product[Any], request: Request) -> dict[str, int]:
    """What a product's flow does, within its flow run; returns and raises as that does."""
    made = handed(Prepared) or prepare(product, request)
    record = run_steps(
        *(made.store, made.engine, made.recipe, made.steps, request.command()), wait=request.wait_for_root
    )
    with keeping(made.store.url):
        found = product.problems(made.store, made.recipe)
        if found:
            raise LapidaryError(f"{made.store.url} is wrong: {'; '.join(found)}; this is a bug, please report it")
        if asks_for_report(made.recipe):
            write_quietly(made.store)
        return conclude(made.store, record)


def run_command(
    product: Product[Any],
    module: str,
    run: ProductFlow,
    argv: Sequence[str] | None = None,
    summary: Callable[[Store], None] = print_summary,
) -> int:
    """The command line's exit code, as ``request.EXIT_CODES`` explains them.

    ``summary`` shows people the result, when the run went to its end.
    """
    args = command_line(module, product).parse_args(argv)
    return run_request(product, run, Request.of(module, args), summary, dry_run=args.dry_run)


def run_request(
    product: Product[Any],
    run: ProductFlow,
    request: Request,
    summary: Callable[[Store], None] = print_summary,
    *,
    dry_run: bool = False,
) -> int:
    """As ``run_command``, for a command line that was parsed already."""
    if dry_run:
        return dry_run_code(lambda: _described(product, request))
    say_starting(request.engine)
    with keeping(request.root):
        return _run(product, run, request, summary)


def _run(product: Product[Any], run: ProductFlow, request: Request, summary: Callable[[Store], None]) -> int:
    """The run that was asked for; its exit code."""

    def check() -> Prepared:
        made = prepare(product, request)
        with hold(made.store, wait=say if request.wait_for_root else None, to_look=True):
            return made  # a locked root is refused here, before any work; the flow locks it again

    def ahead(made: Prepared) -> Iterable[Callable[[], None]]:
        return warming(made.store, made.steps) if request.engine == "local" else ()

    def ending(made: Prepared) -> int:
        summary(made.store)
        return EXIT_MOSTLY_LOST if print_warnings(made.store) else EXIT_OK

    return exit_code(request.root, request.command(), check, lambda: run(**request.parameters()), ahead, ending)


def _described(product: Product[Any], request: Request) -> str:
    made = prepare(product, request)
    return describe(made.steps, made.store, made.recipe, ray=request.engine == "ray")
