"""Holds fetched images against the recipe's blocklists, before any model looks at them; table ``blocked_images``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curation.blocklists.lists import Lists
from curation.core.job import Report
from curation.core.pipeline import Engine, Totals, run_segment
from curation.core.run import Part, Step
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Verdict
from curation.dedupe.blocked import ImageLists
from schemas.arrays import strings
from schemas.arrow import Record, table_of
from schemas.blocklists import OF_IMAGES, BlockedImage, Blocklists
from schemas.reasons import Reason
from schemas.records import ImageRow

_REASONS: dict[str, str] = {
    Reason.BLOCKED_SHA256: "the image's sha256 stands in a list of blocklists.sha256",
    Reason.BLOCKED_PHASH: "its pHash is near one in a list of blocklists.phash",
    Reason.BLOCKED_HOST: "a redirect led to a host of a list of blocklists.hosts",
    Reason.BLOCKED_URL: "a redirect led to a url of a list of blocklists.urls",
}
_COLUMNS = ("sample_id", "reason", "final_url", "original_sha256", "sha256", "phash")


@dataclass(frozen=True)
class BlocklistStage:
    """Rejects images that a list names: by sha256 (as fetched or as stored), pHash, or where a redirect led.

    Writes one row for each image with pixels. ``lists`` is a hash of what the root's lists say.
    """

    name: ClassVar[str] = "blocklists"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (ImageRow,)
    writes: ClassVar[type[Record]] = BlockedImage
    verdict: ClassVar[Verdict] = Verdict.each(BlockedImage, _REASONS)

    distance: int
    lists: str = ""
    on: bool = setting(True, digest=False)
    resources: Resources = setting(Resources(), digest=False)

    @contextmanager
    def open(self) -> Iterator[Work]:
        known: dict[str, ImageLists] = {}

        def judge(shard: Shard) -> pa.Table:
            if self.lists not in known:
                known[self.lists] = ImageLists.of(Lists.of_root(shard.store), self.distance)
            return table_of(BlockedImage, _rows(shard.read(ImageRow), known[self.lists]))

        yield judge


def _rows(images: pa.Table, lists: ImageLists) -> list[BlockedImage]:
    there = images.select(_COLUMNS).filter(pc.field("reason").is_null())
    samples = strings(there["sample_id"])
    hits = lists.judge(there)
    return [
        BlockedImage(sample, None, None, None, None)
        if hit is None
        else BlockedImage(sample, hit.reason, hit.list, hit.line, hit.detail)
        for sample, hit in zip(samples, hits, strict=True)
    ]


@dataclass(frozen=True)
class BlocklistStep(Step):
    """Judges every shard of images by the lists that the root keeps since the run began."""

    name: str = field(init=False, default="blocklists")
    recipe: Blocklists

    @property
    def parts(self) -> tuple[Part, ...]:
        return (BlocklistStage(self.recipe.phash_distance, on=self.recipe.enabled_for_images),)

    def shards(self, store: Store) -> int | None:
        return store.count(ImageRow.table)

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        stage = BlocklistStage(self.recipe.phash_distance, Lists.of_root(store).digest(OF_IMAGES))
        return run_segment(store, engine, [stage], sorted(store.entries(ImageRow.table)), report)
