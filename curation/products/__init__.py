"""The products, each with its recipe and its list of steps. A further one is its file and a line in ``PRODUCTS``."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, overload

from curation.core.errors import MissingFile, RecipeError, RootError
from curation.core.printable import printable
from curation.core.root import RECIPE, read_recipe
from curation.core.run import Step
from curation.core.store import Store
from curation.products.product import Product
from schemas.part import Part


class _Products(Sequence[Product[Any]]):
    """Products by module and name; each is imported when it is looked at: all of them take half a second."""

    def __init__(self, *places: tuple[str, str]) -> None:
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Product[Any]: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Product[Any]]: ...
    def __getitem__(self, at: int | slice) -> Product[Any] | Sequence[Product[Any]]:
        if isinstance(at, slice):
            return _Products(*self._places[at])
        module, name = self._places[at]
        found: Product[Any] = getattr(import_module(f"{__name__}.{module}"), name)
        return found


PRODUCTS: Sequence[Product[Any]] = _Products(
    ("refine", "LAION_REFINED"), ("anchor", "ANCHOR"), ("dense_prompts", "DENSE_PROMPTS"), ("expand", "EXPANSION")
)
"""The first one is that of a root whose recipe names none."""


def product_of(store: Store) -> tuple[Product[Any], Part]:
    """The product that a root holds, and the recipe that it was made by; its defaults where there is none.

    Raises ``RootError`` for a recipe that cannot be read, or that names an unknown product.
    """
    product = _held(store) or PRODUCTS[0]
    return product, read_recipe(product.recipe, store) or product.recipe()


def check_named(product: Product[Any], store: Store, path: str | None) -> None:
    """Looks at the products that a root's recipe and the recipe file at ``path`` name, if they are there.

    Raises ``RootError`` or ``RecipeError`` for another product than this one.
    """
    names_itself = "product" in product.recipe.model_fields
    held = _held(store) or (PRODUCTS[0] if names_itself and store.exists(RECIPE) else product)
    if held.name != product.name:
        raise RootError(f"{store.url} holds the product {held.name!r}, not {product.name!r}; name a new --root")
    try:
        asked = _named_in(Path(path).read_bytes(), path) if path is not None else None
    except (OSError, ValueError):
        return  # what reads the whole file says what is wrong with it
    if asked is not None and asked.name != product.name:
        raise RecipeError(f"{path} is a recipe of the product {asked.name!r}, not {product.name!r}; name another")
    if asked is not None and not names_itself:
        raise RecipeError(f"{path} names its product; recipes of {product.name!r} have no such key, remove it")


def _held(store: Store) -> Product[Any] | None:
    """The product that the recipe of a root names; None where it names none, or is not there. Raises ``RootError``."""
    where = store.path(RECIPE)
    try:
        return _named_in(store.read(RECIPE), where)
    except MissingFile:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RootError(f"{where} is not TOML: {error}; restore it or name a new --root") from error
    except RecipeError as error:
        raise RootError(f"{error}, install the release that made the root, or name a new --root") from error


def _named_in(recipe: bytes, where: str) -> Product[Any] | None:
    """The product that a recipe's TOML names; None where it names none. Raises ``RecipeError`` for an unknown one."""
    fields = tomllib.loads(recipe.decode())
    if "product" not in fields:
        return None
    name = fields["product"]
    found = next((p for p in PRODUCTS if p.name == name), None)
    if found is None:
        known = ", ".join(p.name for p in PRODUCTS)
        raise RecipeError(
            f"{where} names the product {printable(str(name))!r}; the products of this release are {known}: correct "
            "the name"
        )
    return found


def steps_of(store: Store) -> tuple[list[Step], Part]:
    """The steps that made a root, and the recipe that they follow. Raises ``RootError``."""
    product, recipe = product_of(store)
    return product.steps(recipe, ()), recipe
