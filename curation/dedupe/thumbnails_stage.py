"""Thumbnails of stored images whose shards are older than the table ``thumbnails``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa

from curation.core.job import Report
from curation.core.pipeline import Engine, Totals, run_segment
from curation.core.run import Step
from curation.core.stage import Resources, Shard, Work
from curation.core.store import Store
from curation.dedupe.from_pixels import from_pixels
from schemas.arrow import Record
from schemas.records import ImageRow, Thumbnail


@dataclass(frozen=True)
class ThumbnailStage:
    """One row for each image with pixels, from the pixels as exported; nothing is fetched.

    Where they are not stored or cannot be decoded, the image is compared without a thumbnail.
    """

    name: ClassVar[str] = "thumbnails"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (ImageRow,)
    writes: ClassVar[type[Record]] = Thumbnail

    @property
    def resources(self) -> Resources:
        return Resources()

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield _thumbnails


@dataclass(frozen=True)
class ThumbnailStep(Step):
    """Adds thumbnails to the shards that were downloaded before downloads published them; else it does nothing."""

    name: str = field(init=False, default="thumbnails")

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        lacking = store.entries(ImageRow.table).lacking(Thumbnail.table)
        return run_segment(store, engine, [ThumbnailStage()], lacking, report) if lacking else Totals()


def _thumbnails(shard: Shard) -> pa.Table:
    from curation.images.thumbnail import thumbnail

    return from_pixels(shard, Thumbnail, thumbnail)
