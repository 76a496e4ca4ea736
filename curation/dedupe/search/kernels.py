"""Compiled loops of the Hamming search that all others share: buckets, distances, rules.

They release the interpreter's lock and start no threads of their own, so that callers use ordinary
threads: numba's own layers either may not be forked or may not be entered twice, and Ray does both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Words = NDArray[np.uint64]
Index = NDArray[np.uint32]

BLOCK = 256  # places looked at together; most blocks hold nothing near


class Rule(NamedTuple):
    """When two hashes of one or more words are near: what the kernels ask. Made by ``curation.dedupe.search.rule``.

    With ``alone`` -1: within ``distance`` bits of all words. Otherwise the first word is the hash that is
    searched for and the others are a second hash: within ``alone`` bits of the first word, or within
    ``distance`` bits of it and ``second`` bits of the others, where both have any of those set. With
    ``turns`` above 1 a row holds so many such hashes of one picture, the first as it is, and two rows are
    near when the first of one is near any of the other's.
    """

    distance: int
    alone: int
    second: int
    turns: int = 1


class Side(NamedTuple):
    """Rows of hashes sorted into buckets by some bits of one word."""

    rows: Words  # (rows, words)
    order: Index  # the row at each place
    values: Words  # the word at each place, and zeros for the loops that look at sixteen at a time
    starts: Index  # each bucket's first place; one longer than there are buckets


def compiled(function: F) -> F:
    """Compiles on first use and keeps the machine code beside the module, or for this process only."""
    try:
        made: F = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder to keep it in can be written to
        made = numba.njit(nogil=True)(function)
    return made


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def popcount(typing_context: Any, value: Any) -> Any:
    """The number of set bits of a uint64, by the processor's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@compiled
def bucket(column: Words, shift: int, mask: int, starts: Index, order: Index, values: Words) -> None:
    """Sorts a column of words by ``(word >> shift) & mask`` in one pass.

    ``starts`` (zeros, one longer than there are buckets) becomes each bucket's first place, ``order``
    the row at each place and ``values`` its word.
    """
    by, low = np.uint64(shift), np.uint64(mask)
    for row in range(column.size):
        starts[np.int64((column[row] >> by) & low) + 1] += np.uint32(1)
    for next_key in range(1, starts.size):
        starts[next_key] += starts[next_key - 1]
    place = starts[:-1].copy()
    for row in range(column.size):
        word = column[row]
        k = np.int64((word >> by) & low)
        at = place[k]
        place[k] = at + np.uint32(1)
        order[at] = row
        values[at] = word


@compiled
def distance_of(a: Words, b: Words) -> int:
    """Hamming distance of two hashes of the same number of words, in bits."""
    bits = 0
    for w in range(a.size):
        bits += popcount(a[w] ^ b[w])
    return bits


@compiled
def near(a: Words, b: Words, rule: Rule) -> bool:
    """Whether two hashes are near by the rule."""
    if rule.alone < 0:
        return distance_of(a, b) <= rule.distance
    return apart(a, b, rule) <= rule.distance


@compiled
def apart(a: Words, b: Words, rule: Rule) -> int:
    """Bits between two hashes: of all words, or of the first where the rule asks twice, in the nearest near turn.

    Beyond the rule's distance for hashes that are not near.
    """
    if rule.alone < 0:
        return distance_of(a, b)
    size = a.size // rule.turns
    least = rule.distance + 1
    for start in range(0, a.size, size):
        first = popcount(a[0] ^ b[start])
        if first >= least:
            continue
        bits, left, right = 0, np.uint64(0), np.uint64(0)
        if first > rule.alone:
            for w in range(1, size):
                bits += popcount(a[w] ^ b[start + w])
                left |= a[w]
                right |= b[start + w]
        if first <= rule.alone or (bits <= rule.second and left != 0 and right != 0):
            least = int(first)
    return least


@compiled
def tell_apart(a: Words, b: Words, rule: Rule, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
    """For each row of a and the row of b beside it: bits of the first word and of the others, in the nearest near turn.

    Without a second hash on both sides, or with a rule of one distance, ``second`` is -1.
    """
    size = a.shape[1] // rule.turns
    for row in range(a.shape[0]):
        if rule.alone < 0:
            first[row], second[row] = distance_of(a[row], b[row]), -1
            continue
        least = np.int64(1) << 40
        for start in range(0, a.shape[1], size):
            bits, rest, left, right = (
                np.int64(popcount(a[row, 0] ^ b[row, start])),
                np.int64(0),
                np.uint64(0),
                np.uint64(0),
            )
            for w in range(1, size):
                rest += np.int64(popcount(a[row, w] ^ b[row, start + w]))
                left |= a[row, w]
                right |= b[row, start + w]
            known = left != 0 and right != 0
            if bits <= rule.alone or (bits <= rule.distance and rest <= rule.second and known):
                order = (bits << 20) | rest
                if order < least:
                    least = order
                    first[row], second[row] = bits, rest if known else -1


@compiled
def count_near(word: int, values: Words, first: int, last: int, distance: int) -> int:
    """How many of ``values[first:last]`` are within ``distance`` of a word.

    A loop without branches, and places without a sign, are what lets the compiler take eight at a time.
    """
    count = 0
    for step in range(last - first):
        count += popcount(word ^ values[np.uint64(first + step)]) <= distance
    return count
