"""Questions that take a text about a picture apart, in the form of a Davidsonian scene graph (DSG, arXiv 2310.18235).

Verification asks them about training images, and evaluation sets about generated ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Category = Literal["entity", "attribute", "relation", "count", "text", "global"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
"""Numbers as answers spell them."""


@dataclass(frozen=True, slots=True)
class Question:
    """One atom of a text: what it says about one thing, as a question.

    ``id`` counts from 1 within the text; ``parents`` are the ids of the questions that must be answered as expected
    before this one means anything ("is the dog brown?" has "is there a dog?" as its parent). ``detail`` is the finer
    category ("color", "spatial", "whole"), ``elements`` what the atom is made of, as in
    ``relation - spatial (rocks, ground, on)``. ``start`` and ``end`` are the text's characters that say it, both -1
    where no single place does. ``answer`` is "yes", or for a count or a written word that word.
    """

    id: int
    parents: tuple[int, ...]
    category: Category
    detail: str
    elements: tuple[str, ...]
    question: str
    answer: str = "yes"
    start: int = -1
    end: int = -1

    @property
    def atom(self) -> str:
        """The atom as DSG's files write it: ``attribute - color (dog, brown)``."""
        kind = f"{self.category} - {self.detail}" if self.detail else self.category
        return f"{kind} ({', '.join(self.elements)})"
