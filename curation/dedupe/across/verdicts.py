"""Decides on every image of several data sets: it overlaps with an evaluation set, is a duplicate, or is kept.

Images that overlap with an evaluation set are removed first; the others are then compared with each other. Between
data sets the order in which they were named decides, within one data set the priority of ``DedupeReduce``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.core.stage import Reduction, setting
from curation.core.store import Store
from curation.dedupe.across.datasets import DataSet
from curation.dedupe.across.evaluation import Evaluation, Seen, ShardHashes, read_all, shard_hashes, texts_of
from curation.dedupe.across.shared_text import SharedWords
from curation.dedupe.blocks import Blocks
from curation.dedupe.decide import decide, rule_for
from curation.dedupe.gather import Images, images_of
from curation.dedupe.search.rule import Rule, with_looks
from curation.dedupe.thumbnail_file import ThumbnailFile
from schemas.arrow import Record, conform
from schemas.duplicates import FindDuplicates, Verdict
from schemas.reasons import Reason

Column = NDArray[Any]


@dataclass(frozen=True)
class JudgeDataSets:
    """Writes one shard of ``Verdict`` for each shard of each data set, named ``<number>-<shard>``."""

    name: ClassVar[str] = "judge_data_sets"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[type[Record], ...]] = ()
    writes: ClassVar[type[Record]] = Verdict
    recipe: FindDuplicates
    shards: ShardHashes = field(metadata={"digest_name": "told"})
    evaluation_shards: ShardHashes = field(metadata={"digest_name": "against_told"})
    row_shards: ShardHashes = field(metadata={"digest_name": "rows_told"})
    data_sets: tuple[DataSet, ...] = setting((), digest=False)
    evaluation_sets: tuple[DataSet, ...] = setting((), digest=False)

    @classmethod
    def of(cls, recipe: FindDuplicates, data_sets: Sequence[DataSet], evaluation: Sequence[DataSet]) -> JudgeDataSets:
        """For the current state of the data sets, in order of preference."""
        rows = tuple((d.url, d.row_shards()) for d in data_sets)
        return cls(recipe, shard_hashes(data_sets), shard_hashes(evaluation), rows, tuple(data_sets), tuple(evaluation))

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        return Reduction(self._verdicts(store))

    def _verdicts(self, store: Store) -> Iterator[tuple[str, pa.Table]]:
        file = ThumbnailFile(store)
        parts, numbers = read_all(self.data_sets, file)
        images, rule = images_of(parts, file), rule_for(self.recipe.dedupe)
        owner = [self.data_sets[number].url for number in numbers]
        items = [
            item for data_set in self.data_sets for shard, _ in data_set.shards() for item in data_set.items(shard)
        ]
        verdicts = _Verdicts(images, np.repeat(np.array(owner, object), [t.num_rows for _, t in parts]), items)
        evaluation = Evaluation.of(self.evaluation_sets, self.recipe.decontamination)
        verdicts.rule_out(evaluation.seen(images, rule), evaluation)
        verdicts.rule_out_texts(texts_of(self.data_sets), evaluation.words)
        if self.recipe.dedupe.enabled:
            verdicts.remove_duplicates(parts, file, [d.url for d in self.data_sets], rule)
        table = conform(Verdict, verdicts.table())
        for name, start, size in images.shards:
            yield name, table.slice(start, size)


class _Verdicts:
    """The columns of ``Verdict``; the first finding on an image is kept."""

    def __init__(self, images: Images, owner: Column, items: Sequence[str]) -> None:
        n = len(images.ids)
        self.items: Column = np.array(items, object)
        self.ids: Column = np.array(images.ids.to_pylist(), object)
        self.owner: Column = owner
        self.reason: Column = np.full(n, None, object)
        self.keeper_dataset: Column = owner.copy()
        self.keeper_item: Column = self.items.copy()
        self.keeper_id: Column = self.ids.copy()
        self.distance: Column = np.full(n, 0, object)
        self.second: Column = np.full(n, None, object)
        self.second[images.hashes[:, 1:].any(axis=1)] = 0
        self.cluster: Column = self.ids.copy()
        self.detail: Column = np.full(n, None, object)

    def rule_out(self, seen: Seen, evaluation: Evaluation) -> None:
        at = np.flatnonzero(seen.place >= 0)
        self.reason[at] = Reason.NEAR_EVALUATION_ITEM.value
        names = evaluation.items() if len(at) else {}
        for here, place in zip(at, seen.place[at], strict=True):
            item = self.keeper_dataset[here], self.keeper_id[here] = evaluation.item(place)
            self.detail[here] = names.get(item)
        self.keeper_item[at] = None
        self.distance[at] = seen.distance[at]
        self.second[at] = [None if bits < 0 else bits for bits in seen.second[at].tolist()]
        self.cluster[at] = None

    def rule_out_texts(self, texts: Iterator[tuple[str, str]], known: SharedWords) -> None:
        if not known:
            return
        found = {name: shared for name, text in texts if (shared := known.find(text)) is not None}
        for at in np.flatnonzero(self.reason == None):  # noqa: E711 - an array is compared
            if (shared := found.get(self.ids[at])) is not None:
                (self.keeper_dataset[at], self.keeper_id[at]), self.detail[at] = shared
                self.reason[at] = Reason.SHARED_TEXT.value
                self.keeper_item[at] = self.distance[at] = self.second[at] = self.cluster[at] = None

    def remove_duplicates(
        self, parts: list[tuple[str, pa.Table]], file: ThumbnailFile, order: list[str], rule: Rule
    ) -> None:
        clean = self.reason == None  # noqa: E711 - an array is compared here too
        places = np.flatnonzero(clean)
        whole = pa.concat_tables([t for _, t in parts]) if parts else None
        if whole is None or not len(places):
            return
        preference = {url: number for number, url in enumerate(order)}
        owner = np.array([preference[url] for url in self.owner[places]], np.int64)
        blocks = Blocks(file)
        blocks.add([("", whole.filter(pa.array(clean)).append_column("first", pa.array(owner)))])
        decisions = decide(blocks, with_looks(rule, blocks.look_words)).table(0)
        keeper = places[decisions.column("keeper").to_numpy()]
        self.reason[places] = decisions.column("reason").to_pylist()
        self.keeper_dataset[places], self.keeper_id[places] = self.owner[keeper], self.ids[keeper]
        self.keeper_item[places] = self.items[keeper]
        self.distance[places] = decisions.column("distance").to_pylist()
        self.second[places] = decisions.column("second_distance").to_pylist()
        self.cluster[places] = decisions.column("cluster_id").to_pylist()

    def table(self) -> pa.Table:
        texts = {
            "dataset": self.owner,
            "item": self.items,
            "sample_id": self.ids,
            "reason": self.reason,
            "keeper_dataset": self.keeper_dataset,
            "keeper_item": self.keeper_item,
            "keeper_id": self.keeper_id,
            "cluster_id": self.cluster,
            "detail": self.detail,
        }
        numbers = {"distance": self.distance, "second_distance": self.second}
        columns = {name: pa.array(column.tolist(), pa.string()) for name, column in texts.items()}
        return pa.table(columns | {name: pa.array(column.tolist(), pa.int32()) for name, column in numbers.items()})
