"""Finds samples that overlap with an evaluation set by image or text; table ``evaluation_overlaps``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

import pyarrow.compute as pc

from curation.core.errors import SourceError
from curation.core.job import Outcome, Report
from curation.core.pipeline import Engine, Totals, run_segment
from curation.core.run import Part, Step
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from schemas.arrays import strings
from schemas.arrow import Record, table_of
from schemas.reasons import Reason
from schemas.recipe import Decontamination, Dedupe
from schemas.records import ImageRow, Overlap, SourceRow

if TYPE_CHECKING:
    from curation.dedupe.across.datasets import DataSet
    from curation.dedupe.across.evaluation import Evaluation, ShardHashes


@dataclass(frozen=True)
class OverlapStage:
    """Writes one row for each image with pixels: the evaluation item that it is near, or that shares its text.

    The recipe's ``dedupe`` part defines near; with ``decontamination.symmetries`` mirrored and turned copies count
    too. Of several items the nearest is recorded. A changed data set is compared again.
    """

    name: ClassVar[str] = "overlaps"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, ImageRow)
    writes: ClassVar[type[Record]] = Overlap

    dedupe: Dedupe
    decontamination: Decontamination = field(metadata={"digest_name": "against"})
    evaluation_shards: ShardHashes = field(metadata={"digest_name": "told"})
    data_sets: tuple[DataSet, ...] = setting((), digest=False)

    @property
    def resources(self) -> Resources:
        return Resources()

    @contextmanager
    def open(self) -> Iterator[Work]:
        from curation.dedupe.across.evaluation import Evaluation

        evaluation = Evaluation.of(self.data_sets, self.decontamination)
        names = evaluation.items()
        yield lambda shard: table_of(Overlap, self._rows(shard, evaluation, names))

    def _rows(self, shard: Shard, evaluation: Evaluation, names: Mapping[tuple[str, str], str]) -> Iterator[Overlap]:
        from curation.dedupe.decide import rule_for
        from curation.dedupe.gather import gathered

        images = gathered(shard.store, [shard.name])
        seen = evaluation.seen(images, rule_for(self.dedupe))
        rows = shard.read(SourceRow).select(["sample_id", "alt_text", "reason"]).filter(pc.field("reason").is_null())
        texts = dict(zip(strings(rows["sample_id"]), strings(rows["alt_text"]), strict=True))
        for place, name in enumerate(strings(images.ids)):
            if (at := int(seen.place[place])) >= 0:
                second = int(seen.second[place])
                item = evaluation.item(at)
                yield Overlap(
                    name, Reason.NEAR_EVALUATION_ITEM, *item, names.get(item), int(seen.distance[place]),
                    None if second < 0 else second, None,
                )  # fmt: skip
            elif (shared := evaluation.words.find(texts.get(name) or "")) is not None:
                item, words = shared
                yield Overlap(name, Reason.SHARED_TEXT, *item, names.get(item), None, None, words)
            else:
                yield Overlap(name, None, None, None, None, None, None, None)


def open_evaluation_sets(decontamination: Decontamination, store: Store | None) -> list[DataSet]:
    """The recipe's evaluation sets; hashes of their pixels go into the root.

    Raises ``SourceError`` for a set that does not exist, holds no pixels, or is the root itself.
    """
    if not decontamination.sets:
        return []
    from curation.dedupe.across.datasets import open_data_set, place_of

    workplace = store or Store("memory://")
    try:
        found = [open_data_set(url, workplace) for url in decontamination.sets]
    except SourceError as error:
        raise SourceError(f"decontamination.sets: {error}") from error
    for data_set in found:
        if place_of(data_set.url) == place_of(workplace.url):
            raise SourceError(f"decontamination.sets names the root itself, {data_set.url}: no image would be left")
    return found


@dataclass(frozen=True)
class Overlaps:
    """The table of overlaps, which the dedupe reduce reads."""

    on: bool
    name: ClassVar[str] = OverlapStage.name
    writes: ClassVar[type[Record]] = Overlap


@dataclass(frozen=True)
class DecontaminationStep(Step):
    """Hashes the evaluation sets once, and compares every shard of images with them."""

    name: str = field(init=False, default="decontaminate")
    dedupe: Dedupe
    decontamination: Decontamination

    @property
    def parts(self) -> tuple[Part, ...]:
        return (Overlaps(on=bool(self.decontamination.sets)),)

    def ready(self, store: Store | None) -> Self:
        """Raises ``SourceError`` for an evaluation set that does not exist."""
        open_evaluation_sets(self.decontamination, store)
        return self

    def shards(self, store: Store) -> int | None:
        return store.count(ImageRow.table)

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        from curation.dedupe.across.evaluation import shard_hashes

        data_sets = open_evaluation_sets(self.decontamination, store)
        for data_set in data_sets:
            _hash(data_set, engine)
        stage = OverlapStage(self.dedupe, self.decontamination, shard_hashes(data_sets), tuple(data_sets))
        return run_segment(store, engine, [stage], sorted(store.entries(ImageRow.table)), report)


def _hash(data_set: DataSet, engine: Engine) -> None:
    from curation.dedupe.across.datasets import hash_pixels

    def quiet(outcome: Outcome) -> None: ...

    failed = hash_pixels(data_set, engine, quiet).failed
    if failed:
        raise SourceError(f"cannot hash {len(failed)} shards of evaluation set {data_set.url}: {failed[0].error}")
