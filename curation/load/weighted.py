"""Subjects with weights, and a caption cut where they change."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

STRENGTH = 0.5
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Weighted:
    """A subject: ``caption[start:end]`` with its weight, 0..1."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a caption with its factor; the pieces of a caption joined are the caption."""

    text: str
    factor: float


def pieces(caption: str, subjects: Iterable[Weighted], strength: float = STRENGTH) -> list[Piece]:
    """The caption, cut where the factor changes. Subjects outside of it, or without a letter, are ignored."""
    factors = [1.0] * len(caption)
    for subject in subjects:
        start, end = whole_words(caption, subject.start, subject.end)
        factor = factor_of(subject.weight, strength)
        for at in range(start, end):
            factors[at] = max(factors[at], factor)
    found: list[Piece] = []
    start = 0
    for at in range(1, len(caption) + 1):
        if at == len(caption) or factors[at] != factors[start]:
            found.append(Piece(caption[start:at], factors[start]))
            start = at
    return found


def factor_of(weight: float, strength: float = STRENGTH) -> float:
    """The factor of a subject's tokens, to three decimals; its weight is clipped to 0..1."""
    return round(1.0 + strength * min(1.0, max(0.0, weight)), _DECIMALS)


def whole_words(caption: str, start: int, end: int) -> tuple[int, int]:
    """The span within the caption, from its first letter or digit to its last, widened to whole words.

    A full stop behind the last one stays, as in "U.S."; a span without letter or digit is empty.
    """
    start, end = max(0, start), min(len(caption), end)
    solid = [at for at in range(start, end) if caption[at].isalnum()]
    if not solid:
        return start, start
    stop, start, end = end, solid[0], solid[-1] + 1
    while end < len(caption) and _is_mark(caption[end]):
        end += 1
    if caption[end:stop].startswith("."):
        return _word_start(caption, start), end + 1
    while end < len(caption) and (caption[end].isalnum() or _is_mark(caption[end])):
        end += 1
    return _word_start(caption, start), end


def _word_start(caption: str, start: int) -> int:
    at = start
    while at > 0 and (caption[at - 1].isalnum() or _is_mark(caption[at - 1])):
        at -= 1
    while at < start and _is_mark(caption[at]):  # of a sign in front, as in an emoji
        at += 1
    return at


def _is_mark(character: str) -> bool:
    """Whether it is a part of the character before it: an accent of its own, a vowel sign."""
    return unicodedata.category(character).startswith("M")
