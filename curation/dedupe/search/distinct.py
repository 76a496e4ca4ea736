"""Hashes as arrays of 64-bit words, with equal ones collapsed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.typing import NDArray

from curation.dedupe.search.kernels import Index, Words
from schemas.arrays import Array, whole

# An Arrow array of uint64 or of fixed-size binary, or a numpy array of uint64.
Hashes: TypeAlias = Any
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Distinct:
    """Hashes with equal ones collapsed. ``rows`` (distinct, words) is sorted and has no two equal rows."""

    rows: Words
    first: Index  # a row -> the lowest place that holds it
    places: Index  # sorted by row, then by place
    starts: NDArray[np.int64]  # a row -> where its places begin; one longer than there are rows

    @cached_property
    def row(self) -> Index:
        """A place -> its row."""
        row = np.empty(len(self.places), np.uint32)
        row[self.places] = np.repeat(np.arange(len(self.rows), dtype=np.uint32), np.diff(self.starts))
        return row

    @classmethod
    def of(cls, hashes: Hashes) -> Distinct:
        """Raises ``TypeError`` or ``ValueError`` where ``words_of`` does."""
        words = words_of(hashes)
        if len(words) == 0:
            none = np.empty(0, np.uint32)
            return cls(np.ascontiguousarray(words), none, none, np.zeros(1, np.int64))
        places = sort_places(words)
        ordered = _gather(words, places)
        new = np.zeros(len(words), bool)
        new[0] = True
        for word in range(words.shape[1]):
            new[1:] |= ordered[1:, word] != ordered[:-1, word]
        starts = np.flatnonzero(new)
        if len(starts) == len(words):
            return cls(ordered, places, places, np.append(starts, len(words)))
        return cls(ordered[starts], places[starts], places, np.append(starts, len(words)))

    def repeated(self) -> tuple[Index, Index]:
        """For each later place of a row: the row's first place, and that place."""
        later = np.ones(len(self.places), bool)
        later[self.starts[:-1]] = False
        return np.repeat(self.first, np.diff(self.starts) - 1), self.places[later]


def sort_places(words: Words) -> Index:
    """Places by hash, equal hashes by place.

    Sorting numbers takes an eighth of sorting places by numbers, so a place is written over the lowest bits of its
    hash's first word. The few that agree in what is left of it are looked at again.
    """
    low = np.uint64((1 << (len(words) - 1).bit_length()) - 1)
    keys = words[:, 0] & ~low
    keys |= np.arange(len(words), dtype=np.uint64)
    keys.sort()
    order: Index = (keys & low).astype(np.uint32)
    keys |= low
    tied = np.zeros(len(order), bool)
    tied[1:] = keys[1:] == keys[:-1]
    tied[:-1] |= tied[1:]
    same = order[tied]
    if len(same):
        order[tied] = same[np.lexsort(words[same].T[::-1])]
    return order


def _gather(words: Words, order: Index) -> Words:
    """``words[order]``, without a copy of all of ``order`` as wider numbers."""
    gathered = np.empty(words.shape, np.uint64)
    for start in range(0, len(order), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        np.take(words, order[chunk], axis=0, out=gathered[chunk], mode="clip")
    return gathered


def words_of(hashes: Hashes) -> Words:
    """Hashes as an array of shape (n, words), without a copy if they are contiguous.

    Raises ``TypeError`` for anything but uint64 or fixed-size binary of whole words, and ``ValueError``
    for nulls.
    """
    if isinstance(hashes, pa.ChunkedArray):
        hashes = whole(hashes)
    if isinstance(hashes, pa.Array):
        return _arrow_words(hashes)
    if not isinstance(hashes, np.ndarray) or hashes.dtype != np.uint64 or hashes.ndim not in (1, 2):
        found = f"{hashes.dtype} of shape {hashes.shape}" if isinstance(hashes, np.ndarray) else type(hashes).__name__
        raise TypeError(f"hashes are {found}; expected uint64 of shape (n,) or (n, words)")
    if hashes.ndim == 2 and hashes.shape[1] == 0:
        raise TypeError("hashes have no bits; expected shape (n, words) with at least one word")
    words: Words = hashes if hashes.ndim == 2 else hashes[:, np.newaxis]
    return words


def _arrow_words(hashes: Array) -> Words:
    if hashes.null_count:
        raise ValueError(f"{hashes.null_count} of {len(hashes)} hashes are null; leave out images without one")
    if pa.types.is_uint64(hashes.type):
        words: Words = hashes.to_numpy(zero_copy_only=True)[:, np.newaxis]
        return words
    width = hashes.type.byte_width if pa.types.is_fixed_size_binary(hashes.type) else 0
    if width == 0 or width % 8:
        raise TypeError(f"hashes are {hashes.type}; expected uint64 or fixed-size binary of 8, 16, 24 … bytes")
    return words_in(hashes, np.dtype(np.uint64))


def words_in(values: Array, kind: npt.DTypeLike) -> NDArray[Any]:
    """The words of 64 bits in an array of fixed-size binary, of shape (n, words), without a copy."""
    width, data = values.type.byte_width, values.buffers()[1]
    own = memoryview(data or b"")[values.offset * width : (values.offset + len(values)) * width]
    return np.frombuffer(own, kind).reshape(len(values), width // 8)


def fixed_array(words: NDArray[Any]) -> Array:
    """The rows of such words as an array of fixed-size binary, without a copy where they lie in one piece."""
    lies = np.ascontiguousarray(words)
    kind = pa.binary(lies.itemsize * lies.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(lies), [None, pa.py_buffer(lies.data)])
