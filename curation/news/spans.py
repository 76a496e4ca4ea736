"""The spans that every recogniser of named entities yields, and the rules that they follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MOST_WORDS = 10  # of a name
_WHOLE = 3  # words from which on a caption is more than one name


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]`` with its OntoNotes label; ``score`` where the recogniser has one, 0..1."""

    start: int
    end: int
    label: str
    score: float | None = None


def extent(caption: str) -> tuple[int, int]:
    """Where the first word of a caption starts and the last one ends."""
    start, end = 0, len(caption)
    while start < end and not caption[start].isalnum():
        start += 1
    while end > start and not caption[end - 1].isalnum():
        end -= 1
    return start, end


def is_whole(caption: str, extent: tuple[int, int], start: int, end: int) -> bool:
    """Whether a span takes in every word of a caption of more than three words: that is no name and no subject."""
    return start <= extent[0] and end >= extent[1] and len(caption[start:end].split()) > _WHOLE


def plausible(caption: str, spans: Iterable[Span]) -> Iterator[Span]:
    """The spans of at most ``MOST_WORDS`` words that are not the whole caption."""
    bounds = extent(caption)
    for span in spans:
        short = len(caption[span.start : span.end].split()) <= MOST_WORDS
        if short and not is_whole(caption, bounds, span.start, span.end):
            yield span
