"""Texts that share a run of words with any text of an evaluation set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Item = tuple[str, str]
_WORD = re.compile(r"\w+")


@dataclass
class SharedWords:
    """Knows every run of ``length`` consecutive words of the texts it was given, whatever case and punctuation.

    A text with fewer words than that has no such run and is never shared.
    """

    length: int
    _runs: dict[tuple[str, ...], Item] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._runs)

    def add(self, items: Iterable[tuple[Item, str]]) -> None:
        """``items`` are (data set and name, text); of two with the same run the lower one is remembered."""
        for name, text in items:
            for run in _runs(text, self.length):
                self._runs[run] = min(name, self._runs.get(run, name))

    def find(self, text: str) -> tuple[Item, str] | None:
        """The item that shares the text's first shared run, and the run itself; None where nothing is shared."""
        for run in _runs(text, self.length):
            if (name := self._runs.get(run)) is not None:
                return name, " ".join(run)
        return None


def _runs(text: str, length: int) -> Sequence[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return [tuple(words[i : i + length]) for i in range(len(words) - length + 1)] if length else []
