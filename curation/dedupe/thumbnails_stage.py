"""Thumbnails of stored images whose shards are older than the table ``thumbnails``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curation.core.job import Report
from curation.core.pipeline import Engine, Totals, run_segment
from curation.core.run import Step
from curation.core.stage import Resources, Shard, Work
from curation.core.store import Store
from curation.images.reading import ImageReader, open_images
from schemas.arrow import Record, rows_of, table_of
from schemas.records import ImageRow, Thumbnail


@dataclass(frozen=True)
class ThumbnailStage:
    """One row for each image with pixels, from the pixels as exported; nothing is fetched."""

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
        lacking = [
            shard
            for shard, entry in sorted(store.entries(ImageRow.table).items())
            if store.table_file(Thumbnail.table, shard) not in entry.writes
        ]
        return run_segment(store, engine, [ThumbnailStage()], lacking, report) if lacking else Totals()


def _thumbnails(shard: Shard) -> pa.Table:
    there = shard.read(ImageRow).filter(pc.field("reason").is_null())
    with open_images(shard.store, shard.name) as read:
        return table_of(
            Thumbnail, [Thumbnail(image.sample_id, _thumbnail(read, image)) for image in rows_of(ImageRow, there)]
        )


def _thumbnail(read: ImageReader, image: ImageRow) -> bytes | None:
    """None where the pixels are not stored or cannot be decoded: such an image is compared without a thumbnail."""
    if image.offset is None or image.size is None:
        return None
    import cv2
    import numpy as np

    from curation.images.thumbnail import thumbnail

    data = np.frombuffer(read(image.offset, image.size), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if pixels is None else thumbnail(np.asarray(pixels, np.uint8), "bgr")
