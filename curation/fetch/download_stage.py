"""The download stage: every row that the plan let through becomes an image in the shard's tar, or a reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import cv2
import pyarrow as pa

from curation.core.stage import Resources, Shard, Work
from curation.core.store import Store
from curation.fetch.http import Fetcher
from curation.fetch.limiter import DecodeRoom
from curation.fetch.opener import RowOpener, installed
from curation.fetch.shard import download, patience
from curation.fetch.statistics import statistics
from curation.images.phash import warm_up
from schemas.arrow import Record, rows_of, table_of
from schemas.recipe import Download
from schemas.records import ImageRow, Repeat, SourceRow


@dataclass(frozen=True)
class DownloadStage:
    """Writes ``images/<shard>.tar`` with one ``<sample_id>.jpg`` an image, in row order, and its statistics.

    A shard without images has an empty tar, so that whoever reads images need not know of the exception.
    """

    name: ClassVar[str] = "download"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, Repeat)
    writes: ClassVar[type[Record]] = ImageRow

    recipe: Download

    @property
    def resources(self) -> Resources:
        return Resources(cpus=1.0, workers=self.recipe.workers)

    @contextmanager
    def open(self) -> Iterator[Work]:
        """Raises ``RecipeError`` for settings that no request can be made with."""
        with Fetcher(self.recipe) as fetcher, installed() as opener, _single_threaded_opencv():
            warm_up()
            room = DecodeRoom()
            yield lambda shard: self._download(shard, fetcher, opener, room)

    def _download(self, shard: Shard, fetcher: Fetcher, opener: RowOpener, room: DecodeRoom) -> pa.Table:
        rows = _wanted(shard)
        name = Store.images_file(shard.name)
        tar, spill, told = shard.scratch(name), shard.scratch(name), shard.scratch(name)
        try:
            images = download(
                rows,
                tar,
                spill,
                settings=self.recipe,
                fetcher=fetcher,
                opener=opener,
                room=room,
                stuck_after=patience(self.recipe),
                ended=lambda: fetcher.ended,
            )
            told.write_bytes(statistics(images))
            shard.publish(name, tar)
            shard.publish(name.removesuffix(".tar") + "_stats.json", told)
        finally:
            for left in (tar, told):
                left.unlink(missing_ok=True)
        return table_of(ImageRow, images)


def _wanted(shard: Shard) -> list[SourceRow]:
    """The rows that no filter rejected and that repeat no other, in the source's order."""
    table = shard.read(SourceRow)
    shard.rows_in = table.num_rows
    repeats = {(r.source_file, r.source_row) for r in rows_of(Repeat, shard.read(Repeat))}
    return [r for r in rows_of(SourceRow, table) if r.reason is None and (r.source_file, r.source_row) not in repeats]


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Images are decoded side by side already; OpenCV's own threads would only get in each other's way."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
