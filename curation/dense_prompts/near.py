"""Near duplicates among texts by their word shingles, exactly."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SHINGLE = 3  # words

Shingle = tuple[str, ...]
_WORD = re.compile(r"\w+")


def plain(text: str) -> str:
    """The text's words in lower case, without punctuation: two texts with the same are exact duplicates."""
    return " ".join(_WORD.findall(text.casefold()))


def shingles(text: str, length: int = SHINGLE) -> frozenset[Shingle]:
    """Every run of ``length`` words; the whole text where it is shorter."""
    words = _WORD.findall(text.casefold())
    runs = (tuple(words[i : i + length]) for i in range(max(1, len(words) - length + 1)))
    return frozenset(runs) if words else frozenset()


def jaccard(one: frozenset[Shingle], other: frozenset[Shingle]) -> float:
    """Shared of all shingles, 0 to 1; 0 where there is none."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def prefix(found: frozenset[Shingle], least: float, frequency: Mapping[Shingle, int]) -> Sequence[Shingle]:
    """As many of the rarest shingles that a set which shares the part ``least`` of all must hold one of them."""
    count = len(found) - math.ceil(least * len(found) - 1e-9) + 1
    return sorted(found, key=lambda s: (frequency.get(s, 0), s))[:count] if found else ()


@dataclass
class NearTexts:
    """Finds among the added texts one whose Jaccard similarity to a text is at least ``least``; misses none.

    Two sets that are so similar share one of the first |a| - ceil(least * |a|) + 1 shingles of each in any common
    order (prefix filter; Chaudhuri et al. 2006, Bayardo et al. 2007). The rarest come first: ``frequency`` only
    makes it fast.
    """

    least: float
    frequency: Mapping[Shingle, int]
    _sets: dict[str, frozenset[Shingle]] = field(default_factory=dict)
    _first: defaultdict[Shingle, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def over(cls, texts: Iterable[str], least: float) -> NearTexts:
        """For these texts, which are not added yet. Raises ``ValueError`` for a ``least`` beyond (0, 1]."""
        if not 0 < least <= 1:
            raise ValueError(f"a similarity of {least:g} cannot be asked for; expected more than 0 and at most 1")
        counts: Counter[Shingle] = Counter()
        for text in texts:
            counts.update(shingles(text))
        return cls(least, counts)

    def add(self, name: str, text: str) -> None:
        """Adds a text under a name of its own."""
        found = self._sets[name] = shingles(text)
        for shingle in self._prefix(found):
            self._first[shingle].append(name)

    def find(self, text: str) -> tuple[str, float] | None:
        """The most similar text, of equals the one that was added first, and how similar it is; None for none."""
        wanted = shingles(text)
        candidates: dict[str, None] = {}
        for shingle in self._prefix(wanted):
            candidates.update(dict.fromkeys(self._first.get(shingle, ())))
        near = [(jaccard(wanted, self._sets[name]), name) for name in candidates]
        best = max((score for score, _ in near), default=0.0)
        if best < self.least:
            return None
        equal = {name for score, name in near if score == best}
        return next(name for name in self._sets if name in equal) if len(equal) > 1 else next(iter(equal)), best

    def _prefix(self, found: frozenset[Shingle]) -> Sequence[Shingle]:
        return prefix(found, self.least, self.frequency)
