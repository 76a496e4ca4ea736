"""Hashes windows of every image, so that dedupe can find crops; table ``crop_hashes``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curation.core.run import Step, segment
from curation.core.stage import Resources, Shard, Work, setting
from curation.images.reading import ImageReader, open_images
from curation.images.windows import WINDOWS
from schemas.arrow import Record, rows_of, table_of
from schemas.recipe import Dedupe
from schemas.records import CropHash, ImageRow


@dataclass(frozen=True)
class CropStage:
    """Writes one row for each image that has pixels, from the exported pixels; some milliseconds each."""

    name: ClassVar[str] = "crop_hashes"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (ImageRow,)
    writes: ClassVar[type[Record]] = CropHash

    windows: tuple[tuple[float, float, float], ...] = WINDOWS
    on: bool = setting(True, digest=False)

    @property
    def resources(self) -> Resources:
        return Resources()

    @contextmanager
    def open(self) -> Iterator[Work]:
        from curation.images.phash import warm_up

        warm_up()
        yield _hash


def crop_hashing(dedupe: Dedupe) -> Step:
    """The step of this stage; it runs when the recipe sets ``dedupe.crops``."""
    return segment("crops", [CropStage(on=dedupe.crops)], over=ImageRow)


def _hash(shard: Shard) -> pa.Table:
    there = shard.read(ImageRow).filter(pc.field("reason").is_null())
    with open_images(shard.store, shard.name) as read:
        return table_of(
            CropHash, [CropHash(image.sample_id, _windows(read, image)) for image in rows_of(ImageRow, there)]
        )


def _windows(read: ImageReader, image: ImageRow) -> bytes | None:
    if image.offset is None or image.size is None:
        return None
    import cv2
    import numpy as np

    from curation.images.phash import crop_hashes

    data = np.frombuffer(read(image.offset, image.size), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if pixels is None else crop_hashes(np.asarray(pixels, np.uint8), "bgr")
