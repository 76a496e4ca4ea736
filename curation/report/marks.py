"""Texts in pieces, each marked with what verification found of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from curation.report.asking import Row

Piece = tuple[str, str, float | None]
"""A part of a text; its mark (empty, ``true``, ``false`` or ``dropped``); the probability that it is true, if known."""

_ORDER = ("", "true", "dropped", "false")  # of two statements about the same words, the worse one is shown


def pieces(caption: str, statements: Sequence[Row], verified: str | None) -> list[Piece]:
    """The caption in pieces. ``statements`` are rows of that table, their places counted in characters of ``caption``.

    ``verified`` is what was left of it. What is not false but left out there leaned on something false: ``dropped``.
    """
    marks: list[tuple[str, float | None]] = [("", None)] * len(caption)
    for statement in statements:
        start, end = max(0, statement["start"]), min(len(caption), statement["end"])
        mark = _mark(statement["verdict"], caption[start:end], verified)
        for at in range(start, end):
            if _ORDER.index(mark) >= _ORDER.index(marks[at][0]):
                marks[at] = mark, statement["probability"]
    found: list[Piece] = []
    at = 0
    for (mark, probability), same in groupby(marks):
        length = sum(1 for _ in same)
        found.append((caption[at : at + length], mark, probability))
        at += length
    return found


def _mark(verdict: str, text: str, verified: str | None) -> str:
    if verdict == "false":
        return "false"
    # The first letter of what is left of a sentence is written large.
    if verified is not None and text.strip(" .,;").casefold() not in verified.casefold():
        return "dropped"
    return "true" if verdict == "true" else ""
