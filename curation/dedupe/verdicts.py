"""Decides on every image of several data sets: seen in an evaluation set, a duplicate, or kept.

First what an evaluation set has too goes, whatever it is a copy of; the others are then compared with each
other. Between data sets the order in which they were named decides, within one the priority of ``DedupeReduce``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.dedupe.datasets import DataSet
from curation.dedupe.distinct import Distinct
from curation.dedupe.gather import Images, images_of, parts_of
from curation.dedupe.hamming import bits_between
from curation.dedupe.kernels import Words
from curation.dedupe.reduce import decide, rule_for
from curation.dedupe.rule import Rule
from curation.dedupe.scan import near_rows
from curation.dedupe.shared_text import SharedWords
from curation.dedupe.symmetry import TURNS, turned
from curation.stage import Reduction, setting
from curation.store import Store
from schemas.arrow import Record, conform
from schemas.duplicates import FindDuplicates, Verdict
from schemas.reasons import Reason

Told = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""Data sets by name, with their shards and those shards' sha256: what an answer depends on."""
Column = NDArray[Any]
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class JudgeDataSets:
    """Writes a shard of ``Verdict`` for each shard of each data set, named ``<number>-<shard>``."""

    name: ClassVar[str] = "judge_data_sets"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = ()
    writes: ClassVar[type[Record]] = Verdict
    recipe: FindDuplicates
    told: Told
    against_told: Told
    data_sets: tuple[DataSet, ...] = setting((), digest=False)
    against: tuple[DataSet, ...] = setting((), digest=False)

    @classmethod
    def of(cls, recipe: FindDuplicates, data_sets: Sequence[DataSet], against: Sequence[DataSet]) -> JudgeDataSets:
        """For data sets as they are now, in their order of preference."""
        return cls(recipe, _told(data_sets), _told(against), tuple(data_sets), tuple(against))

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        return Reduction(self._verdicts())

    def _verdicts(self) -> Iterator[tuple[str, pa.Table]]:
        parts, names = _read(self.data_sets)
        others, other_names = _read(self.against)
        images, evaluation = images_of(parts), images_of(others)
        rule = rule_for(self.recipe.dedupe)
        seen = seen_in(images.hashes, evaluation.hashes, rule._replace(turns=1), self.recipe.against.symmetries)
        verdicts = _Verdicts(images, np.repeat(names, [t.num_rows for _, t in parts]))
        verdicts.rule_out(seen, evaluation, np.repeat(other_names, [t.num_rows for _, t in others]))
        verdicts.rule_out_texts(_texts(self.data_sets), self._known_words())
        if self.recipe.dedupe.enabled:
            verdicts.remove_duplicates(parts, [d.url for d in self.data_sets], rule)
        for name, start, size in images.shards:
            yield name, conform(Verdict, verdicts.table().slice(start, size))

    def _known_words(self) -> SharedWords:
        known = SharedWords(self.recipe.against.shared_words)
        for data_set in self.against:
            known.add(((data_set.url, name), text) for name, text in _texts([data_set]))
        return known


@dataclass(frozen=True)
class Seen:
    """For each image the place of the nearest evaluation image, -1 for none, and the bits between them."""

    place: NDArray[np.int64]
    distance: NDArray[np.int64]
    second: NDArray[np.int64]


def seen_in(images: Words, evaluation: Words, rule: Rule, symmetries: bool) -> Seen:
    """Which images are near an evaluation image, mirrored and turned ones too with ``symmetries``.

    The nearest by pHash bits, then by those of the second look (-1 without one), then the first is told.
    """
    none = np.int64(1) << 62
    one = Distinct.of(images)
    best = np.full(len(one.rows), none)
    for turn in range((TURNS if symmetries else 1) if len(evaluation) else 0):
        two = Distinct.of(turned(evaluation, turn))
        for keys in near_rows(one.rows, two.rows, rule):
            a, b = (keys >> np.uint64(32)).astype(np.int64), (keys & _LOW).astype(np.int64)
            first = bits_between(one.rows[a, :1], two.rows[b, :1]).astype(np.int64)
            second = _second(one.rows[a], two.rows[b])
            order = (first << 48) | (np.where(second < 0, 511, second) << 39) | two.first[b].astype(np.int64)
            np.minimum.at(best, a, order)
    told = best[one.row]
    second = (told >> 39) & 511
    missing = told == none
    place = np.where(missing, -1, told & ((1 << 39) - 1))
    return Seen(place, told >> 48, np.where(second == 511, -1, second))


def _second(a: Words, b: Words) -> NDArray[np.int64]:
    known = a[:, 1:].any(axis=1) & b[:, 1:].any(axis=1)
    return np.where(known, bits_between(a[:, 1:], b[:, 1:], np.int64), -1)


class _Verdicts:
    """Columns of ``Verdict``, filled one finding after the other: what was found first stays."""

    def __init__(self, images: Images, owner: Column) -> None:
        n = len(images.ids)
        self.ids: Column = np.array(images.ids.to_pylist(), object)
        self.owner: Column = owner
        self.reason: Column = np.full(n, None, object)
        self.keeper_dataset: Column = owner.copy()
        self.keeper_id: Column = self.ids.copy()
        self.distance: Column = np.full(n, 0, object)
        self.second: Column = np.array([0 if any(words) else None for words in images.hashes[:, 1:].tolist()], object)
        self.cluster: Column = self.ids.copy()
        self.detail: Column = np.full(n, None, object)

    def rule_out(self, seen: Seen, evaluation: Images, owner: Column) -> None:
        at = np.flatnonzero(seen.place >= 0)
        place = seen.place[at]
        self.reason[at] = Reason.NEAR_EVALUATION_ITEM.value
        self.keeper_dataset[at] = owner[place]
        self.keeper_id[at] = np.array(evaluation.ids.to_pylist(), object)[place]
        self.distance[at] = seen.distance[at]
        self.second[at] = [None if bits < 0 else bits for bits in seen.second[at].tolist()]
        self.cluster[at] = None

    def rule_out_texts(self, texts: Iterator[tuple[str, str]], known: SharedWords) -> None:
        if not known:
            return
        found = {name: told for name, text in texts if (told := known.find(text)) is not None}
        for at in np.flatnonzero(self.reason == None):  # noqa: E711 - an array is compared
            if (told := found.get(self.ids[at])) is not None:
                (self.keeper_dataset[at], self.keeper_id[at]), self.detail[at] = told
                self.reason[at] = Reason.SHARED_TEXT.value
                self.distance[at] = self.second[at] = self.cluster[at] = None

    def remove_duplicates(self, parts: list[tuple[str, pa.Table]], order: list[str], rule: Rule) -> None:
        clean = self.reason == None  # noqa: E711 - likewise
        places = np.flatnonzero(clean)
        whole = pa.concat_tables([t for _, t in parts]) if parts else None
        if whole is None or not len(places):
            return
        images = images_of([("", whole.filter(pa.array(clean)))])
        preference = {url: number for number, url in enumerate(order)}
        owner = np.array([preference[url] for url in self.owner[places]], np.int64)
        rank = np.empty(len(places), np.int64)
        rank[np.lexsort((images.rank(), owner))] = np.arange(len(places))
        told = decide(images, rule, rank)
        keeper = places[told.column("keeper").to_numpy()]
        self.reason[places] = told.column("reason").to_pylist()
        self.keeper_dataset[places], self.keeper_id[places] = self.owner[keeper], self.ids[keeper]
        self.distance[places] = told.column("distance").to_pylist()
        self.second[places] = told.column("second_distance").to_pylist()
        self.cluster[places] = told.column("cluster_id").to_pylist()

    def table(self) -> pa.Table:
        texts = {
            "dataset": self.owner,
            "sample_id": self.ids,
            "reason": self.reason,
            "keeper_dataset": self.keeper_dataset,
            "keeper_id": self.keeper_id,
            "cluster_id": self.cluster,
            "detail": self.detail,
        }
        numbers = {"distance": self.distance, "second_distance": self.second}
        columns = {name: pa.array(column.tolist(), pa.string()) for name, column in texts.items()}
        return pa.table(columns | {name: pa.array(column.tolist(), pa.int32()) for name, column in numbers.items()})


def _read(data_sets: Sequence[DataSet]) -> tuple[list[tuple[str, pa.Table]], list[str]]:
    """All shards, named with their data set's number, and the data set of each."""
    parts: list[tuple[str, pa.Table]] = []
    names: list[str] = []
    for number, data_set in enumerate(data_sets):
        for shard, table in parts_of(data_set.store, [s for s, _ in data_set.shards()]):
            parts.append((f"{number:03d}-{shard}", table))
            names.append(data_set.url)
    return parts, names


def _texts(data_sets: Sequence[DataSet]) -> Iterator[tuple[str, str]]:
    for data_set in data_sets:
        for shard, _ in data_set.shards():
            table = data_set.texts(shard)
            yield from zip(*(table.column(c).to_pylist() for c in ("sample_id", "alt_text")), strict=True)


def _told(data_sets: Sequence[DataSet]) -> Told:
    return tuple((d.url, tuple(d.shards())) for d in data_sets)
