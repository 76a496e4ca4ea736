"""The products, each with its recipe and its list of steps. A further one is its file and a line in ``PRODUCTS``."""

from __future__ import annotations

import tomllib
from typing import Any

from curation.core.errors import RootError
from curation.core.root import RECIPE, read_recipe
from curation.core.run import Step
from curation.core.store import Store
from curation.products.anchor import ANCHOR
from curation.products.product import Product
from curation.products.refine import LAION_REFINED
from schemas.recipe import Part

PRODUCTS: tuple[Product[Any], ...] = (LAION_REFINED, ANCHOR)
"""The first one is that of a root whose recipe names none."""


def product_of(store: Store) -> tuple[Product[Any], Part]:
    """The product that a root holds, and the recipe that it was made by; its defaults where there is none.

    Raises ``RootError`` for a recipe that cannot be read.
    """
    product = PRODUCTS[0]
    if store.exists(RECIPE):
        try:
            name = tomllib.loads(store.read(RECIPE).decode()).get("product", product.name)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RootError(f"{store.path(RECIPE)} is not TOML: {error}; restore it or name a new --root") from error
        product = next((p for p in PRODUCTS if p.name == name), product)
    return product, read_recipe(product.recipe, store) or product.recipe()


def steps_of(store: Store) -> tuple[list[Step], Part]:
    """The steps that made a root, and the recipe that they follow. Raises ``RootError``."""
    product, recipe = product_of(store)
    return product.steps(recipe, ()), recipe
