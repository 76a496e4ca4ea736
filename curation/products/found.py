"""Which product a root holds: the recipe that made it says so."""

from __future__ import annotations

import tomllib

from curation.core.errors import RootError
from curation.core.root import RECIPE, read_recipe
from curation.core.store import Store
from schemas.anchor import BuildAnchor
from schemas.recipe import RefineLaion

Recipe = RefineLaion | BuildAnchor


def recipe_of(store: Store) -> Recipe:
    """The recipe that a root was made by; that of LAION-refined with its defaults where there is none.

    Raises ``RootError`` for a recipe that cannot be read.
    """
    if not store.exists(RECIPE):
        return RefineLaion()
    try:
        product = tomllib.loads(store.read(RECIPE).decode()).get("product")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RootError(f"{store.path(RECIPE)} is not TOML: {error}; restore it or name a new --root") from error
    if product == "anchor":
        return read_recipe(BuildAnchor, store) or BuildAnchor()
    return read_recipe(RefineLaion, store) or RefineLaion()
