"""Hashes as arrays of 64-bit words, with equal ones collapsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.dedupe.kernels import Index, Words

# An Arrow array of uint64 or of fixed-size binary, or a numpy array of uint64.
Hashes: TypeAlias = Any


@dataclass(frozen=True)
class Distinct:
    """Hashes with equal ones collapsed. ``rows`` (distinct, words) is sorted and has no two equal rows."""

    rows: Words
    first: Index  # a row -> the lowest place that holds it
    row: Index  # a place -> its row
    places: Index  # sorted by row
    starts: NDArray[np.int64]  # a row -> where its places begin; one longer than there are rows

    @classmethod
    def of(cls, hashes: Hashes) -> Distinct:
        """Raises ``TypeError`` or ``ValueError`` where ``words_of`` does."""
        words = words_of(hashes)
        if len(words) == 0:
            none = np.empty(0, np.uint32)
            return cls(np.ascontiguousarray(words), none, none, none, np.zeros(1, np.int64))
        order = _order(words).astype(np.uint32)
        ordered = words[order]
        new = np.empty(len(words), bool)
        new[0] = True
        np.any(ordered[1:] != ordered[:-1], axis=1, out=new[1:])
        starts = np.flatnonzero(new)
        row = np.empty(len(words), np.uint32)
        row[order] = np.cumsum(new, dtype=np.uint32) - np.uint32(1)
        first = np.minimum.reduceat(order, starts)
        return cls(ordered[starts], first, row, order, np.append(starts, len(words)))


def _order(words: Words) -> NDArray[np.int64]:
    """Places by the first word, then the next. Most first words are alone: only the others are looked at again."""
    order: NDArray[np.int64] = np.argsort(words[:, 0])
    if words.shape[1] > 1:
        first = words[order, 0]
        tied = np.zeros(len(order), bool)
        tied[1:] = first[1:] == first[:-1]
        tied[:-1] |= tied[1:]
        crowd = order[tied]
        order[tied] = crowd[np.lexsort(words[crowd].T[::-1])]
    return order


def words_of(hashes: Hashes) -> Words:
    """Hashes as an array of shape (n, words), without a copy where they lie in one piece.

    Raises ``TypeError`` for anything but uint64 or fixed-size binary of whole words, and ``ValueError``
    for nulls.
    """
    if isinstance(hashes, pa.ChunkedArray):
        hashes = hashes.combine_chunks() if hashes.num_chunks != 1 else hashes.chunk(0)
    if isinstance(hashes, pa.Array):
        return _arrow_words(hashes)
    if not isinstance(hashes, np.ndarray) or hashes.dtype != np.uint64 or hashes.ndim not in (1, 2):
        found = f"{hashes.dtype} of shape {hashes.shape}" if isinstance(hashes, np.ndarray) else type(hashes).__name__
        raise TypeError(f"hashes are {found}; expected uint64 of shape (n,) or (n, words)")
    if hashes.ndim == 2 and hashes.shape[1] == 0:
        raise TypeError("hashes have no bits; expected shape (n, words) with at least one word")
    words: Words = hashes if hashes.ndim == 2 else hashes[:, np.newaxis]
    return words


def _arrow_words(hashes: pa.Array) -> Words:
    if hashes.null_count:
        raise ValueError(f"{hashes.null_count} of {len(hashes)} hashes are null; leave out images without one")
    if pa.types.is_uint64(hashes.type):
        words: Words = hashes.to_numpy(zero_copy_only=True)[:, np.newaxis]
        return words
    width = hashes.type.byte_width if pa.types.is_fixed_size_binary(hashes.type) else 0
    if width == 0 or width % 8:
        raise TypeError(f"hashes are {hashes.type}; expected uint64 or fixed-size binary of 8, 16, 24 … bytes")
    if len(hashes) == 0:
        return np.empty((0, width // 8), np.uint64)
    words = np.frombuffer(hashes.buffers()[1], np.uint64, (hashes.offset + len(hashes)) * width // 8)
    return words.reshape(-1, width // 8)[hashes.offset :]
