"""Compiled loops of the Hamming search that all others share: buckets, distances, rules."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.search.colours import COLOUR_WORDS, agree, colours_agree, colours_of_view
from curation.dedupe.search.compiling import Index, Words, compiled, popcount
from curation.dedupe.search.thumbnails import NO

__all__ = ["BLOCK", "Index", "Rule", "Side", "Words", "compiled", "popcount"]

_NO, _YES, _CLOSELY = 0, 1, 2
BLOCK = 256  # places looked at together; most blocks hold nothing near


class Rule(NamedTuple):
    """When two hashes of one or more words are near: what the kernels ask. Made by ``curation.dedupe.search.rule``.

    With ``alone`` -1: within ``distance`` bits of all words. Otherwise the first word is the hash that is
    searched for and the others are a second hash: within ``alone`` bits of the first word, or within
    ``distance`` bits of it and ``second`` bits of the others, where both have any of those set. With
    ``turns`` above 1 a row holds so many such hashes of one picture, the first as it is, and two rows are
    near when the first of one is near any of the other's. With ``colours`` above 0 a row ends with so many words
    of the picture's look, its colours and perhaps its thumbnail, which have to ``agree`` too; ``grey`` lets grey
    copies pass. Where both pictures have thumbnails that match closely, the second hash confirms them within twice
    ``second`` bits. With ``screens`` rows have no thumbnails, and near is whatever may be near with them.
    """

    distance: int
    alone: int
    second: int
    turns: int = 1
    colours: int = 0
    grey: bool = True
    screens: bool = False


class Side(NamedTuple):
    """Rows of hashes sorted into buckets by some bits of one word."""

    rows: Words  # (rows, words)
    order: Index  # the row at each place
    values: Words  # the word at each place, and zeros for the loops that look at sixteen at a time
    starts: Index  # each bucket's first place; one longer than there are buckets


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
    words = a.size - rule.colours
    size = words // rule.turns
    least = rule.distance + 1
    for start in range(0, words, size):
        first = popcount(a[0] ^ b[start])
        if first >= least:
            continue
        bits, left, right = 0, np.uint64(0), np.uint64(0)
        if first > rule.alone:
            for w in range(1, size):
                bits += popcount(a[w] ^ b[start + w])
                left |= a[w]
                right |= b[start + w]
        asked = vote(first, bits, left != 0 and right != 0, rule)
        if asked != _NO and (rule.colours == 0 or alike(a, b, words, start // size, rule, asked == _CLOSELY)):
            least = int(first)
    return least


@compiled
def vote(first: Any, bits: Any, known: bool, rule: Rule) -> int:
    """What hashes within the rule's distance say: not near, near where looks agree, near where they agree closely.

    ``first`` and ``bits`` lie between the first words and the others; ``known``: both sides have others.
    """
    if first <= rule.alone:
        return _YES
    if not known:
        return _NO
    if bits <= rule.second:
        return _YES
    return _CLOSELY if (rule.screens or rule.colours > COLOUR_WORDS) and bits <= 2 * rule.second else _NO


@compiled
def alike(a: Words, b: Words, words: int, view: int, rule: Rule, closely: bool) -> bool:
    """Whether the look of a, which follows its ``words``, agrees with that of one of the views of b."""
    other = b[words:] if view == 0 else colours_of_view(b[words:], view, rule.turns)
    return looks_agree(a[words:], other, rule, closely)


@compiled
def looks_agree(a: Words, b: Words, rule: Rule, closely: bool) -> bool:
    """``agree`` by a rule: where it screens, whether they may with thumbnails."""
    return colours_agree(a, b, rule.grey) != NO if rule.screens else agree(a, b, rule.grey, closely)


@compiled
def near_each(a: Words, b: Words, rule: Rule) -> NDArray[np.bool_]:
    """``near`` for each row of a and the row of b beside it."""
    found = np.empty(a.shape[0], np.bool_)
    for row in range(a.shape[0]):
        found[row] = near(a[row], b[row], rule)
    return found


@compiled
def tell_apart(a: Words, b: Words, rule: Rule, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
    """For each row of a and the row of b beside it: bits of the first word and of the others, in the nearest near turn.

    Without a second hash on both sides, or with a rule of one distance, ``second`` is -1.
    """
    words = a.shape[1] - rule.colours
    size = words // rule.turns
    for row in range(a.shape[0]):
        if rule.alone < 0:
            first[row], second[row] = distance_of(a[row], b[row]), -1
            continue
        least = np.int64(1) << 40
        for start in range(0, words, size):
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
            asked = vote(bits, rest, known, rule) if bits <= rule.distance else _NO
            if asked != _NO:
                order = (bits << 20) | rest
                closely = asked == _CLOSELY
                if order < least and (rule.colours == 0 or alike(a[row], b[row], words, start // size, rule, closely)):
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
