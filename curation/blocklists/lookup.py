"""Looks up many keys at once among the entries of several lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.blocklists.reading import KEY_BYTES, first_hash, hashed
from schemas.blocklists import Kind

_FIRSTS = 1 << 22  # bits of the filter of first words


@dataclass(frozen=True)
class Hit:
    """An entry that was found: the name of its list, its line from 1 on, and the key that it stands under."""

    list: str
    line: int
    key: str

    @property
    def where(self) -> str:
        return f"{self.list}, line {self.line}"

    def __str__(self) -> str:
        return f"{self.where}: {self.key}"


@dataclass(frozen=True)
class Lookup:
    """Entries of one kind, sorted by key; of equal ones that of the first list, and of its first line."""

    kind: Kind
    names: tuple[str, ...]
    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    rank: npt.NDArray[np.uint64]  # number of the list << 32 | line
    lengths: tuple[int, ...]  # of phrases, in words
    firsts: npt.NDArray[np.bool_]  # whether a phrase of several words may begin with a word, by its hash

    @classmethod
    def of(cls, kind: Kind, lists: Sequence[tuple[str, pa.Table]]) -> Self:
        keys, ranks, lengths = [np.empty((0, 2), np.uint64)], [np.empty(0, np.uint64)], set[int]()
        firsts = np.zeros(_FIRSTS if kind == "words" else 1, np.bool_)
        for number, (_, table) in enumerate(lists):
            keys.append(words_of(table))
            ranks.append(np.asarray(table.column("line")).astype(np.uint64) | np.uint64(number << 32))
            words = np.asarray(table.column("words"))
            lengths.update(np.unique(words).tolist())
            firsts[np.asarray(table.column("first"))[words > 1] % len(firsts)] = True
        key, rank = np.concatenate(keys), np.concatenate(ranks)
        order = np.lexsort((rank, key[:, 1], key[:, 0]))
        key = key[order]
        fresh = np.ones(len(key), np.bool_)
        fresh[1:] = (key[1:] != key[:-1]).any(axis=1)
        key = key[fresh]
        names = tuple(name for name, _ in lists)
        high, low = np.ascontiguousarray(key[:, 0]), np.ascontiguousarray(key[:, 1])
        return cls(kind, names, high, low, rank[order][fresh], tuple(sorted(lengths)), firsts)

    def __bool__(self) -> bool:
        return len(self.high) > 0

    def find(self, groups: Iterable[Iterable[str]]) -> list[Hit | None]:
        """For each group of keys the first entry, in the order of lists and lines, that stands under one of them."""
        numbers: dict[str, int] = {}
        rows: list[int] = []
        asked: list[int] = []
        size = 0
        for size, group in enumerate(groups, 1):
            for key in group:
                rows.append(size - 1)
                asked.append(numbers.setdefault(key, len(numbers)))
        found: list[Hit | None] = [None] * size
        if not numbers or not self:
            return found
        keys = list(numbers)
        place = self._places(keys)[np.array(asked, np.int64)]
        best: dict[int, tuple[int, str]] = {}
        for at in np.flatnonzero(place >= 0).tolist():
            hit = int(self.rank[place[at]]), keys[asked[at]]
            if rows[at] not in best or hit < best[rows[at]]:
                best[rows[at]] = hit
        for row, (rank, key) in best.items():
            found[row] = self.hit(rank, key)
        return found

    def hit(self, rank: int, key: str) -> Hit:
        """The entry of a rank."""
        return Hit(self.names[rank >> 32], rank & 0xFFFFFFFF, key)

    def may_begin(self, word: str) -> bool:
        """Whether a phrase of several words may begin with this one."""
        return bool(self.firsts[first_hash(word) % len(self.firsts)])

    def _places(self, keys: Sequence[str]) -> npt.NDArray[np.int64]:
        """The number of the entry under each key, -1 where there is none."""
        asked = np.frombuffer(b"".join(hashed(self.kind, key) for key in keys), ">u8").astype(np.uint64).reshape(-1, 2)
        at = np.minimum(np.searchsorted(self.high, asked[:, 0]), len(self.high) - 1)
        same = (self.high[at] == asked[:, 0]) & (self.low[at] == asked[:, 1])
        return np.where(same, at, -1)


def words_of(entries: pa.Table) -> npt.NDArray[np.uint64]:
    """The keys of entries as pairs of 64-bit words."""
    keys = entries.column("key").combine_chunks()
    data = keys.buffers()[1]
    if data is None or not len(keys):
        return np.empty((0, 2), np.uint64)
    found = np.frombuffer(memoryview(data), np.dtype(">u8"), 2 * len(keys), keys.offset * KEY_BYTES)
    return found.astype(np.uint64).reshape(-1, 2)
