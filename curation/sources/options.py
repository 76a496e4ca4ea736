"""How a source is read beyond what its files say: named columns, what is kept of further ones, where images are."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from schemas.recipe import Source

_PATTERN = "*?["


@dataclass(frozen=True)
class Options:
    """``columns`` maps roles to the columns that the user names, the first that is not empty counts.

    ``keep`` are names or patterns of further columns to keep. ``tidy`` is the recipe's ``tidy_sidecars``.
    Paths of images in lists are relative to ``image_folder``, or where that is empty to the folder of the list.
    """

    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    keep: tuple[str, ...] = ()
    tidy: bool = False
    image_folder: str = ""

    @classmethod
    def of(cls, recipe: Source) -> Self:
        """The options that a recipe asks for."""
        named = {
            "alt_text" if role == "text" else role: tuple([names] if isinstance(names, str) else names)
            for role, names in recipe.columns.items()
        }
        return cls(tuple(named.items()), tuple(recipe.keep_columns), recipe.tidy_sidecars, recipe.image_folder)

    def named(self, names: Iterable[str]) -> dict[str, str]:
        """The first of the user's columns for each role that is among the names; some may lack."""
        there = {n.casefold(): n for n in names}
        found = (
            (role, [there[c.casefold()] for c in wanted if c.casefold() in there]) for role, wanted in self.columns
        )
        return {role: columns[0] for role, columns in found if columns}

    def kept(self, names: Iterable[str], *, nested: bool = False) -> list[str]:
        """The names that are to be kept; a nested value only where it is named in full."""
        patterns = [p for p in self.keep if not nested or not any(c in p for c in _PATTERN)]
        folded = [p.casefold() for p in patterns]
        return [n for n in names if any(fnmatch.fnmatchcase(n.casefold(), p) for p in folded)]


PLAIN = Options()
"""Nothing is named and nothing is kept."""
