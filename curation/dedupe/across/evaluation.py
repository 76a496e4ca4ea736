"""What training data shares with evaluation sets: near images, and texts with a run of words in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.dedupe.across.datasets import DataSet
from curation.dedupe.across.shared_text import SharedWords
from curation.dedupe.gather import Images, images_of, parts_of
from curation.dedupe.search.colours import seen_as
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.hamming import bits_between
from curation.dedupe.search.kernels import Words
from curation.dedupe.search.rule import Rule, with_colours
from curation.dedupe.search.scan import near_rows
from curation.dedupe.search.symmetry import TURNS, turned
from schemas.recipe import Decontamination

Told = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Data sets by name, with their shards and those shards' sha256: what an answer depends on."""
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Seen:
    """For each image the place of the nearest evaluation image, -1 for none, and the bits between them."""

    place: NDArray[np.int64]
    distance: NDArray[np.int64]
    second: NDArray[np.int64]


@dataclass(frozen=True)
class Evaluation:
    """Evaluation sets as they are looked for; ``owner`` is the place of each image's data set."""

    data_sets: tuple[DataSet, ...]
    images: Images
    owner: NDArray[np.int64]
    words: SharedWords
    symmetries: bool

    @classmethod
    def of(cls, data_sets: Sequence[DataSet], settings: Decontamination) -> Evaluation:
        """Reads them whole; their pixels have been hashed before."""
        parts, owner = read_all(data_sets)
        words = SharedWords(settings.shared_words)
        for data_set in data_sets:
            words.add(((data_set.url, name), text) for name, text in texts_of([data_set]))
        counts = [table.num_rows for _, table in parts]
        owners = np.repeat(np.array(owner, np.int64), counts)
        return cls(tuple(data_sets), images_of(parts), owners, words, settings.symmetries)

    def seen(self, images: Images, rule: Rule) -> Seen:
        """The nearest evaluation image of each of these images; turned ones where the recipe says so."""
        once = with_colours(rule._replace(turns=1), images.looks, self.images.looks)
        return seen_in(images.rows(once), self.images.rows(once), once, self.symmetries)

    def item(self, place: int) -> tuple[str, str]:
        """The data set and the sample_id of an image."""
        return self.data_sets[int(self.owner[place])].url, self.images.ids[place].as_py()

    def items(self) -> Mapping[tuple[str, str], str]:
        """What people call each row of the sets: as ``DataSet.names``."""
        return {(d.url, name): told for d in self.data_sets for shard, _ in d.shards() for name, told in d.names(shard)}


def seen_in(images: Words, evaluation: Words, rule: Rule, symmetries: bool) -> Seen:
    """Which images are near an evaluation image, mirrored and turned ones too with ``symmetries``. Both as search rows.

    The nearest by pHash bits, then by those of the second look (-1 without one), then the first is given.
    """
    none = np.int64(1) << 62
    one = Distinct.of(images)
    best = np.full(len(one.rows), none)
    for turn in range((TURNS if symmetries else 1) if len(evaluation) else 0):
        two = Distinct.of(_turned(evaluation, turn, rule.colours))
        for keys in near_rows(one.rows, two.rows, rule):
            a, b = (keys >> np.uint64(32)).astype(np.int64), (keys & _LOW).astype(np.int64)
            first = bits_between(one.rows[a, :1], two.rows[b, :1]).astype(np.int64)
            second = _second(one.rows[a], two.rows[b], rule.colours)
            order = (first << 48) | (np.where(second < 0, 511, second) << 39) | two.first[b].astype(np.int64)
            np.minimum.at(best, a, order)
    told = best[one.row]
    second = (told >> 39) & 511
    missing = told == none
    place = np.where(missing, -1, told & ((1 << 39) - 1))
    return Seen(place, told >> 48, np.where(second == 511, -1, second))


def read_all(data_sets: Sequence[DataSet]) -> tuple[list[tuple[str, pa.Table]], list[int]]:
    """All shards' images, named with their data set's number, and that number."""
    parts: list[tuple[str, pa.Table]] = []
    numbers: list[int] = []
    for number, data_set in enumerate(data_sets):
        for shard, table in parts_of(data_set.store, [s for s, _ in data_set.shards()]):
            parts.append((f"{number:03d}-{shard}", table))
            numbers.append(number)
    return parts, numbers


def texts_of(data_sets: Sequence[DataSet]) -> Iterator[tuple[str, str]]:
    """(sample_id, alt text) of all rows."""
    for data_set in data_sets:
        for shard, _ in data_set.shards():
            table = data_set.texts(shard)
            yield from zip(*(table.column(c).to_pylist() for c in ("sample_id", "alt_text")), strict=True)


def told_of(data_sets: Sequence[DataSet]) -> Told:
    """The data sets as they are now."""
    return tuple((d.url, tuple(d.shards())) for d in data_sets)


def _turned(rows: Words, turn: int, colours: int) -> Words:
    """Rows of five words of hashes, and ``colours`` of colours, as mirrored and turned pictures have them."""
    words = rows.shape[1] - colours
    hashes = turned(np.ascontiguousarray(rows[:, :words]), turn)
    return np.concatenate([hashes, seen_as(rows[:, words:], turn, TURNS)], axis=1) if colours else hashes


def _second(a: Words, b: Words, colours: int) -> NDArray[np.int64]:
    words = slice(1, a.shape[1] - colours)
    known = a[:, words].any(axis=1) & b[:, words].any(axis=1)
    return np.where(known, bits_between(a[:, words], b[:, words], np.int64), -1)
