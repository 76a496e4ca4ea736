"""Hashes windows of every image, so that dedupe can find crops; table ``crop_hashes``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from curation.core.run import Step, segment
from curation.core.stage import Resources, Shard, Work, setting
from curation.dedupe.from_pixels import from_pixels
from curation.images.windows import WINDOWS
from schemas.arrow import Record
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
        yield _hashes


def crop_hashing(dedupe: Dedupe) -> Step:
    """The step of this stage; it runs when the recipe sets ``dedupe.crops``."""
    return segment("crops", [CropStage(on=dedupe.crops)], over=ImageRow)


def _hashes(shard: Shard) -> pa.Table:
    from curation.images.phash import crop_hashes

    return from_pixels(shard, CropHash, crop_hashes)
