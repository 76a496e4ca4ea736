"""The hashes of a picture's eight mirrored and turned copies, computed from its own hash.

A bit of a pHash says whether a coefficient of a cosine transform is above their median. Mirroring a picture
turns the sign of every coefficient of an odd number in that direction, and transposing it transposes them; the
median is near zero. So the hash of a mirrored or turned picture is, to a few bits, the hash with some bits
complemented and the rest in another order: the pixels are not read again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.search.kernels import Words

TURNS = 8


def turned(hashes: Words, turn: int) -> Words:
    """Five-word hashes (pHash, then the second look) of the same pictures in one of eight ways; 0 is as they are.

    Bit 0 of ``turn`` mirrors left and right, bit 1 top and bottom, after bit 2 has exchanged rows and columns.
    Each is a permutation with complements, so distances between equally turned hashes stay. A picture without a
    second look has none after it.
    """
    if turn == 0 or len(hashes) == 0:
        return hashes
    first = _turned(hashes[:, :1].astype(">u8"), 8, turn)
    second = _turned(np.ascontiguousarray(hashes[:, 1:]), 16, turn)
    second[~hashes[:, 1:].any(axis=1)] = 0
    return np.column_stack([first.view(">u8").astype(np.uint64), second.view(np.uint64)])


def all_turns(hashes: Words) -> Words:
    """Five-word hashes in all eight ways side by side, as they are first: (n, 40)."""
    return np.concatenate([turned(hashes, turn) for turn in range(TURNS)], axis=1)


def views_of(hashes: Words, crops: Words, turns: int) -> Words:
    """All that a picture may look like side by side, as it is first: the rows for a rule of so many ``turns``.

    Those are its parts (``crops``, five words each; itself where there are none), each in all eight ways where
    ``turns`` is eight times as many.
    """
    if turns == 1:
        return hashes
    size = hashes.shape[1]
    count = turns // TURNS if turns % TURNS == 0 else turns
    if crops.shape[1] != (count - 1) * size:
        crops = np.tile(hashes, count - 1)
    views = [hashes, *(crops[:, start : start + size] for start in range(0, crops.shape[1], size))]
    return np.concatenate(views if count == turns else [all_turns(view) for view in views], axis=1)


def _turned(words: NDArray[np.uint64], side: int, turn: int) -> NDArray[np.uint8]:
    bits = np.unpackbits(words.view(np.uint8), axis=1).reshape(-1, side, side)
    odd = np.arange(side) % 2
    if turn & 4:
        bits = bits.transpose(0, 2, 1)
    if turn & 1:
        bits = bits ^ odd[None, None, :].astype(np.uint8)
    if turn & 2:
        bits = bits ^ odd[None, :, None].astype(np.uint8)
    return np.packbits(bits.reshape(len(bits), -1), axis=1)
