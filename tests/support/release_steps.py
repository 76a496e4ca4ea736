"""The last steps of a recipe's run, one by one, for tests that make the tables before them by hand."""

from __future__ import annotations

from collections.abc import Sequence

from curation.core.engines.local import LocalEngine
from curation.core.run import Barrier, Step
from curation.core.stage import Reduce
from curation.core.store import Store
from curation.products import PRODUCTS
from curation.release.finish import FinishRelease
from curation.release.pack_stage import PackReduce
from schemas.part import Part


def steps_for(recipe: Part) -> list[Step]:
    """The steps of the product that the recipe is one of."""
    return next(p for p in PRODUCTS if p.recipe is type(recipe)).steps(recipe, ())


def pack_reduce(recipe: Part) -> PackReduce:
    """The packing that the recipe asks for."""
    return next(r for r in reduces_of(steps_for(recipe)) if isinstance(r, PackReduce))


def reduces_of(steps: Sequence[Step]) -> list[Reduce]:
    """The reduces among the steps."""
    return [step.reduce for step in steps if isinstance(step, Barrier)]


def finish_release(store: Store, recipe: Part) -> None:
    """Writes the card, Croissant and the sums."""
    last = steps_for(recipe)[-1]
    assert isinstance(last, FinishRelease)
    last.run(store, LocalEngine(), lambda _: None)
