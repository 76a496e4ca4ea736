"""All pairs of perceptual hashes within a Hamming distance, exactly.

>>> near_pairs(np.array([0b0000, 0b0001, 0b0000, 0b1111], dtype=np.uint64), distance=1).to_pylist()
[{'i': 0, 'j': 1, 'distance': 1}, {'i': 0, 'j': 2, 'distance': 0}]

Hashes are 64-bit words (a numpy or Arrow array of uint64) or any multiple of that: a numpy array of shape
(n, words), or an Arrow array of fixed-size binary. ``distance`` is in bits, up to 16, or a rule of
``curation.dedupe.search.rule.confirmed``: then the first word is searched, the others are the second look, and the bits
between those stand in a column ``second`` (null where a side has none).

Dense sets of hashes have more pairs than fit into memory:

- 100,000 equal hashes make five billion equal pairs that say nothing new, so by default each value stands at
  its first place. ``near_pairs`` gives (first, i, 0) for every later place i of a value, and every pair within the
  distance of two first places; any i and j are near exactly when their first places are the same or near.
  ``cross_pairs`` gives every pair of a first place in a and a first place in b. ``repeats="all"``: literally all.
- 100,000 different hashes in one small ball make as many. By default all of them are returned, or refused with an
  estimate; with ``crowds="linked"`` only some near pairs are returned, a few times as many as there are members:
  enough to link exactly the hashes that all pairs would link. Which pairs they are depends on the set of hashes, not
  on its order.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.dedupe.search.bands import chance_pairs
from curation.dedupe.search.distinct import Distinct, Hashes, words_of
from curation.dedupe.search.kernels import Index, Words, tell_apart
from curation.dedupe.search.memory import available, refuse
from curation.dedupe.search.rule import Rule, rule_of, searched_words
from curation.dedupe.search.scan import near_rows

Repeats = Literal["first", "all"]
Crowds = Literal["all", "linked"]

PAIRS = pa.schema([("i", pa.uint32()), ("j", pa.uint32()), ("distance", pa.uint8())])
CONFIRMED = PAIRS.append(pa.field("second", pa.uint16()))
_PAIR_BYTES = 40  # a key, its sorted copy, and the columns made of it
_PLACE_BYTES = 24  # places, rows and where they begin, and one band's order
_WORD_BYTES = 24  # the hash, its distinct row, and one band's copy
_MOST = 1 << 32  # places are 32-bit numbers
_LOW = np.uint64(0xFFFFFFFF)
_SAMPLE = 1024
_CHUNK = 1 << 18


def near_pairs(
    hashes: Hashes,
    distance: int | Rule,
    *,
    repeats: Repeats = "first",
    crowds: Crowds = "all",
    memory: int | None = None,
    threads: int | None = None,
) -> pa.Table:
    """Pairs i < j of places whose hashes differ in at most ``distance`` (0 to 16) bits, sorted by (i, j).

    Columns: ``i`` and ``j`` (uint32), ``distance`` (uint8, bits), with a rule ``second`` (uint16, bits or null).
    The module explains equal hashes and ``crowds``. ``memory`` is the limit in bytes (default: half of the free
    memory); raises ``TooMuchMemory`` with an estimate if the answer needs more.
    """
    allowed, rule = memory or available() // 2, rule_of(distance)
    words = words_of(hashes)
    _check(words.shape, allowed, rule, repeats, crowds)
    distinct = Distinct.of(words)
    keys = _collect(distinct.rows, None, rule, crowds, allowed, threads)
    if repeats == "all":
        near, equal = _expand(keys, distinct, distinct, allowed), _equal(distinct, allowed)
        i, j = np.concatenate([near[0], equal[0]]), np.concatenate([near[1], equal[1]])
    else:
        first, later = distinct.repeated()
        i = np.concatenate([distinct.first[_high(keys)], first])
        j = np.concatenate([distinct.first[_low(keys)], later])
    return pairs_table(np.minimum(i, j), np.maximum(i, j), words, words, rule)


def cross_pairs(
    a: Hashes,
    b: Hashes,
    distance: int | Rule,
    *,
    repeats: Repeats = "first",
    crowds: Crowds = "all",
    memory: int | None = None,
    threads: int | None = None,
) -> pa.Table:
    """Pairs of a place i in ``a`` and a place j in ``b`` within ``distance`` bits; else as ``near_pairs``."""
    allowed, rule = memory or available() // 2, rule_of(distance)
    left, right = words_of(a), words_of(b)
    if left.shape[1] != right.shape[1]:
        raise ValueError(
            f"hashes of {left.shape[1] * 64} and of {right.shape[1] * 64} bits cannot be compared; "
            "hash both sides the same way"
        )
    _check((len(left) + len(right), left.shape[1]), allowed, rule, repeats, crowds)
    one, two = Distinct.of(left), Distinct.of(right)
    keys = _collect(one.rows, two.rows, rule, crowds, allowed, threads)
    if repeats == "all":
        i, j = _expand(keys, one, two, allowed)
    else:
        i, j = one.first[_high(keys)], two.first[_low(keys)]
    return pairs_table(i, j, left, right, rule)


def pairs_table(i: Index, j: Index, a: Words, b: Words, rule: Rule) -> pa.Table:
    """Near pairs of a place i in ``a`` and a place j in ``b``, sorted and each once, with the bits between them."""
    keys = (i.astype(np.uint64) << np.uint64(32)) | j
    keys.sort()
    if len(keys):
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    i, j = (keys >> np.uint64(32)).astype(np.uint32), (keys & _LOW).astype(np.uint32)
    return pairs_of(i, j, *_apart(i, j, a, b, rule), rule)


def pairs_of(i: Index, j: Index, apart: NDArray[np.uint8], second: NDArray[np.int32], rule: Rule) -> pa.Table:
    """Columns as a table of the schema that belongs to the rule."""
    columns = [pa.array(i), pa.array(j), pa.array(apart)]
    if rule.alone < 0:
        return pa.table(columns, schema=PAIRS)
    return pa.table([*columns, pa.array(second, mask=second < 0).cast(pa.uint16())], schema=CONFIRMED)


def distances(a: Words, b: Words, rule: Rule) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Bits between rows side by side: of what is searched, and of the second look (-1 without one)."""
    if rule.alone < 0:
        return bits_between(a, b), np.full(len(a), -1, np.int32)
    first, second = np.empty(len(a), np.int64), np.empty(len(a), np.int64)
    tell_apart(a, b, rule, first, second)
    return first.astype(np.uint8), second.astype(np.int32)


def _apart(i: Index, j: Index, a: Words, b: Words, rule: Rule) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The same for places, some at a time: their hashes are wider than the answer."""
    apart, second = np.empty(len(i), np.uint8), np.empty(len(i), np.int32)
    for start in range(0, len(i), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        apart[chunk], second[chunk] = distances(a[i[chunk]], b[j[chunk]], rule)
    return apart, second


def bits_between(a: Words, b: Words, kind: type[np.integer[Any]] = np.uint8) -> NDArray[Any]:
    """Hamming distance in bits of each row of a to the same row of b, as numbers of that kind."""
    bits: NDArray[Any] = np.bitwise_count(a ^ b).sum(axis=1, dtype=kind)
    return bits


def _high(keys: Words) -> NDArray[np.int64]:
    return (keys >> np.uint64(32)).astype(np.int64)


def _low(keys: Words) -> NDArray[np.int64]:
    return (keys & _LOW).astype(np.int64)


def _collect(a: Words, b: Words | None, rule: Rule, crowds: Crowds, allowed: int, threads: int | None) -> Words:
    compared = len(a) * (len(a) - 1) / 2 if b is None else len(a) * len(b)
    by_chance = chance_pairs(compared, rule.distance, searched_words(rule, a.shape[1]))
    if crowds == "all" and by_chance * _PAIR_BYTES > allowed:
        _refuse_more_than(allowed, 0, a, b, rule, threads)
    found: list[Words] = []
    count = 0
    for keys in near_rows(a, b, rule, spanning=crowds == "linked", threads=threads):
        count += len(keys)
        if count * _PAIR_BYTES > allowed:
            _refuse_more_than(allowed, count, a, b, rule, threads)
        found.append(keys)
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def _refuse_more_than(allowed: int, count: int, a: Words, b: Words | None, rule: Rule, threads: int | None) -> None:
    """Refuses where a sample, or the ``count`` of pairs already found, says that the pairs do not fit."""
    expected = max(count, _estimate(a, b, rule, threads))
    if expected * _PAIR_BYTES > allowed:
        refuse(f"all pairs within {rule.distance} bits", f"about {expected:,} pairs", expected * _PAIR_BYTES, allowed)


def _estimate(a: Words, b: Words | None, rule: Rule, threads: int | None) -> int:
    """How many pairs there are, from those of a fixed sample of a."""
    sample = a if len(a) <= _SAMPLE else a[np.random.default_rng(0).choice(len(a), _SAMPLE, replace=False)]
    count = sum(len(keys) for keys in near_rows(sample, a if b is None else b, rule, threads=threads))
    if b is None:
        count = (count - len(sample)) // 2
    return count * len(a) // len(sample)


def _expand(keys: Words, a: Distinct, b: Distinct, allowed: int) -> tuple[Index, Index]:
    """Every place that holds the one row of a pair with every place that holds the other."""
    one, two = _high(keys), _low(keys)
    wide = np.diff(b.starts)[two]
    pair, local = _count_out(np.diff(a.starts)[one] * wide, allowed)
    i = a.places[a.starts[one][pair] + local // wide[pair]]
    j = b.places[b.starts[two][pair] + local % wide[pair]]
    return i, j


def _equal(distinct: Distinct, allowed: int) -> tuple[Index, Index]:
    """Every two places that hold the same row."""
    begin = np.repeat(distinct.starts[:-1], np.diff(distinct.starts))
    later, local = _count_out(np.arange(len(begin)) - begin, allowed)
    return distinct.places[begin[later] + local], distinct.places[later]


def _count_out(counts: NDArray[np.int64], allowed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(0, 0), (0, 1) … (0, counts[0] - 1), (1, 0) … as two arrays."""
    total = int(counts.sum())
    if total * _PAIR_BYTES > allowed:
        refuse("every pair of equal hashes", f"{total:,} pairs", total * _PAIR_BYTES, allowed)
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)


def _check(shape: tuple[int, ...], allowed: int, rule: Rule, repeats: str, crowds: str) -> None:
    for name, value, kinds in (("repeats", repeats, get_args(Repeats)), ("crowds", crowds, get_args(Crowds))):
        if value not in kinds:
            raise ValueError(f"{name} is {value!r}; expected one of {kinds}")
    if rule.turns > 1:
        raise ValueError("a rule with symmetries is for clusters; ask cross_pairs for each turned copy instead")
    n, words = shape
    if n >= _MOST:
        raise ValueError(f"{n:,} hashes; one search takes at most {_MOST - 1:,}: split them")
    each = _PLACE_BYTES + _WORD_BYTES * words
    if n * each > allowed:
        refuse(f"a search over {n:,} hashes", f"{each} bytes a hash", n * each, allowed)
