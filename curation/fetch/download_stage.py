"""The download stage: every row that the plan let through becomes an image in the shard's tar, or a reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import pyarrow as pa

from curation.core.stage import Resources, Shard, Work
from curation.core.store import Store
from curation.core.verdict import Verdict, ViewColumn
from schemas.arrow import Record, columns, rows_of, table_of
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.records import ImageRow, Repeat, SourceRow

if TYPE_CHECKING:
    from curation.fetch.http import Fetcher
    from curation.fetch.limiter import DecodeLimiter
    from curation.fetch.seams import GuardedOpener

# Images exported at 512 px and quality 95 weigh about this much each; the source does not say.
_BYTES_AN_IMAGE = {"jpeg": 90_000, "webp": 70_000, "png": 420_000}
_REASONS = (
    *(Reason.BAD_URL, Reason.FORBIDDEN_ADDRESS, Reason.NAME_NOT_RESOLVED, Reason.CONNECTION_FAILED, Reason.TLS_FAILED),
    *(Reason.TIMEOUT, Reason.TOO_MANY_REDIRECTS, Reason.HTTP_400, Reason.HTTP_401, Reason.HTTP_403, Reason.HTTP_404),
    *(Reason.HTTP_410, Reason.HTTP_429, Reason.HTTP_451, Reason.HTTP_4XX, Reason.HTTP_5XX, Reason.HTTP_UNEXPECTED),
    *(Reason.TRUNCATED, Reason.TOO_MANY_BYTES, Reason.OPTED_OUT, Reason.ROBOTS_TXT, Reason.HASH_MISMATCH),
    *(Reason.FILE_MISSING, Reason.EMPTY_BODY, Reason.NOT_AN_IMAGE, Reason.UNSUPPORTED_FORMAT, Reason.TOO_MANY_PIXELS),
    *(Reason.UNDECODABLE, Reason.ANIMATED, Reason.TOO_SMALL, Reason.ASPECT),
)
_DOCS = {c.name: c.doc for c in columns(ImageRow)}
_COLUMNS = (
    *(ViewColumn(c, f"v.{c}", _DOCS[c], in_samples=True) for c in ("width", "height", "sha256", "phash")),
    *(ViewColumn(c, f'v."{c}"', "as in images") for c in ("offset", "size")),
)


@dataclass(frozen=True)
class DownloadStage:
    """Writes ``images/<shard>.tar`` with one ``<sample_id>.jpg`` an image, in row order, and its statistics.

    The extension is ``.webp`` or ``.png`` where the recipe asks for that format.

    A shard without images has an empty tar, so that readers of images need no special case.
    """

    name: ClassVar[str] = "download"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, Repeat)
    writes: ClassVar[type[Record]] = ImageRow

    recipe: Download

    @property
    def resources(self) -> Resources:
        return Resources(cpus=1.0, workers=self.recipe.workers)

    @property
    def verdict(self) -> Verdict:
        return Verdict.each(ImageRow, _REASONS, _COLUMNS)

    def ready(self, store: Store | None) -> Self:
        """Raises ``RecipeError`` for settings that no request can be made with."""
        from curation.fetch.http import Fetcher

        Fetcher(self.recipe).close()
        return self

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        stored = samples * _BYTES_AN_IMAGE[self.recipe.format] / 1e9
        return [
            ("to fetch", f"{samples:>12,} images, before repeats are taken out"),
            ("to store", f"{stored:>12,.2f} GB of images twice (prepared, released), at most"),
        ]

    @contextmanager
    def open(self) -> Iterator[Work]:
        """Raises ``RecipeError`` for settings that no request can be made with."""
        from curation.fetch.http import Fetcher
        from curation.fetch.limiter import DecodeLimiter
        from curation.fetch.seams import installed
        from curation.images.pixels import warm_up

        with Fetcher(self.recipe) as fetcher, installed() as opener, _single_threaded_opencv():
            warm_up()
            limiter = DecodeLimiter()
            yield lambda shard: self._download(shard, fetcher, opener, limiter)

    def _download(self, shard: Shard, fetcher: Fetcher, opener: GuardedOpener, limiter: DecodeLimiter) -> pa.Table:
        from curation.fetch.output import statistics
        from curation.fetch.process_row import publish_looks
        from curation.fetch.shard import download, patience

        rows = _wanted(shard)
        name = Store.images_file(shard.name)
        tar, spill, counts = shard.scratch(name), shard.scratch(name), shard.scratch(name)
        try:
            images = download(
                rows,
                tar,
                spill,
                settings=self.recipe,
                fetcher=fetcher,
                opener=opener,
                limiter=limiter,
                stuck_after=patience(self.recipe),
                ended=lambda: fetcher.ended,
            )
            counts.write_bytes(statistics(images))
            shard.publish(name, tar)
            shard.publish(name.removesuffix(".tar") + "_stats.json", counts)
            publish_looks(shard, images)
        finally:
            for left in (tar, counts):
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
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
