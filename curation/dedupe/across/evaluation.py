"""Finds what training data shares with evaluation sets: near images, and texts with a common run of words."""

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

ShardHashes = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""(data set, its (shard, sha256) pairs): the inputs that a result depends on."""
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Seen:
    """For each image the index of the nearest evaluation image, -1 for none, and the bits between them."""

    place: NDArray[np.int64]
    distance: NDArray[np.int64]
    second: NDArray[np.int64]


@dataclass(frozen=True)
class Evaluation:
    """Evaluation sets in memory; ``owner`` is the index of each image's data set."""

    data_sets: tuple[DataSet, ...]
    images: Images
    owner: NDArray[np.int64]
    words: SharedWords
    symmetries: bool

    @classmethod
    def of(cls, data_sets: Sequence[DataSet], settings: Decontamination) -> Evaluation:
        """Reads all images of the data sets, which must have been hashed before."""
        parts, owner = read_all(data_sets)
        words = SharedWords(settings.shared_words)
        for data_set in data_sets:
            words.add(((data_set.url, name), text) for name, text in texts_of([data_set]))
        counts = [table.num_rows for _, table in parts]
        owners = np.repeat(np.array(owner, np.int64), counts)
        return cls(tuple(data_sets), images_of(parts), owners, words, settings.symmetries)

    def seen(self, images: Images, rule: Rule) -> Seen:
        """The nearest evaluation image of each of these images; with ``symmetries`` turned ones count too."""
        once = with_colours(rule._replace(turns=1), images.looks, self.images.looks)
        return seen_in(images.rows(once), self.images.rows(once), once, self.symmetries)

    def item(self, place: int) -> tuple[str, str]:
        """The data set and the sample_id of the evaluation image at this index."""
        return self.data_sets[int(self.owner[place])].url, self.images.ids[place].as_py()

    def items(self) -> Mapping[tuple[str, str], str]:
        """A readable name of each row, by data set and sample_id; see ``DataSet.names``."""
        return {(d.url, name): item for d in self.data_sets for shard, _ in d.shards() for name, item in d.names(shard)}


def seen_in(images: Words, evaluation: Words, rule: Rule, symmetries: bool) -> Seen:
    """Which images are near an evaluation image; with ``symmetries`` mirrored and turned ones too. Both: search rows.

    The nearest is chosen by pHash bits, then by bits of the 256-bit hash (-1 without one), then by index.
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
    packed = best[one.row]
    second = (packed >> 39) & 511
    missing = packed == none
    place = np.where(missing, -1, packed & ((1 << 39) - 1))
    return Seen(place, packed >> 48, np.where(second == 511, -1, second))


def read_all(data_sets: Sequence[DataSet]) -> tuple[list[tuple[str, pa.Table]], list[int]]:
    """The images of all shards, each named with the number of its data set, and those numbers."""
    parts: list[tuple[str, pa.Table]] = []
    numbers: list[int] = []
    for number, data_set in enumerate(data_sets):
        if not data_set.has_pixels:
            continue
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


def shard_hashes(data_sets: Sequence[DataSet]) -> ShardHashes:
    """The current shards of the data sets, with their sha256."""
    return tuple((d.url, tuple(d.shards())) for d in data_sets)


def _turned(rows: Words, turn: int, colours: int) -> Words:
    """The search rows of the mirrored or turned pictures: five words of hashes, then ``colours`` words of colours."""
    words = rows.shape[1] - colours
    hashes = turned(np.ascontiguousarray(rows[:, :words]), turn)
    return np.concatenate([hashes, seen_as(rows[:, words:], turn, TURNS)], axis=1) if colours else hashes


def _second(a: Words, b: Words, colours: int) -> NDArray[np.int64]:
    words = slice(1, a.shape[1] - colours)
    known = a[:, words].any(axis=1) & b[:, words].any(axis=1)
    return np.where(known, bits_between(a[:, words], b[:, words], np.int64), -1)
