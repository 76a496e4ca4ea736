"""Finds texts that share a run of words with a text of an evaluation set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Item = tuple[str, str]
_WORD = re.compile(r"\w+")


@dataclass
class SharedWords:
    """Holds every run of ``length`` consecutive words of the added texts; ignores case and punctuation.

    A text with fewer words has no such run and is never found.
    """

    length: int
    _runs: dict[tuple[str, ...], Item] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._runs)

    def add(self, items: Iterable[tuple[Item, str]]) -> None:
        """``items`` are (data set and name, text); of two with the same run the lower item is kept."""
        for name, text in items:
            for run in runs_of(text, self.length):
                self._runs[run] = min(name, self._runs.get(run, name))

    def find(self, text: str) -> tuple[Item, str] | None:
        """The first run of the text that an item shares, as (item, run); None if there is none."""
        for run in runs_of(text, self.length):
            if (name := self._runs.get(run)) is not None:
                return name, " ".join(run)
        return None


def runs_of(text: str, length: int) -> Sequence[tuple[str, ...]]:
    """Every run of ``length`` words of a text, in lower case and without punctuation; none for a length of 0."""
    words = _WORD.findall(text.casefold())
    return [tuple(words[i : i + length]) for i in range(len(words) - length + 1)] if length else []
