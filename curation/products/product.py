"""What a product is: a recipe, and the ordered list of steps that follows from it. All else is made from these two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from curation.core.root import check_free_space
from curation.core.run import Step
from curation.core.store import Store
from schemas.recipe import Part

R = TypeVar("R", bound=Part)


def _none(store: Store, recipe: Part) -> list[str]:
    return []


@dataclass(frozen=True)
class Product(Generic[R]):
    """A kind of dataset.

    ``name`` is what the key ``product`` of a root's recipe.toml says; ``steps`` makes the steps of a recipe, the
    source's specs given or not, and looks at nothing outside; ``problems`` says what a finished root has that none
    of the product may have.
    """

    name: str
    recipe: type[R]
    about: str
    source: str
    steps: Callable[[R, Sequence[str]], list[Step]]
    problems: Callable[[Store, R], list[str]] = _none

    def ready(self, recipe: R, specs: Sequence[str], store: Store | None = None) -> list[Step]:
        """The steps of a run, after a look at everything that they need. Raises ``UsageError``.

        ``store`` is the root, where logs of what the run starts are kept; None writes nothing.
        """
        if store is not None:
            check_free_space(store)
        return [step.ready(store) if step.on else step for step in self.steps(recipe, specs)]
