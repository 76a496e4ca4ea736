"""Data sets to search for duplicates: roots of ours, img2dataset's output, or other image files on disk.

A root of ours already has its hashes. For other image files a small root of rows and hashes is written, shard by
shard; the pixels stay where they are. So the second run hashes nothing.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curation.core.errors import SourceError, StoreError
from curation.core.job import Outcome, Report
from curation.core.pipeline import Engine, Totals, run_segment
from curation.core.stage import Resources, Shard, Work
from curation.core.store import Store
from curation.fetch.http import Fetched
from curation.fetch.limiter import DecodeLimiter
from curation.fetch.local_row import read_local
from curation.fetch.process_row import process_row, publish_looks
from curation.fetch.rejected import FetchRejected
from curation.images.phash import warm_up
from curation.images.quiet import quiet_decoders
from curation.images.reading import open_images
from curation.sources.discover import open_source
from curation.sources.embedded import is_embedded
from curation.sources.planner import plan
from schemas.arrays import strings
from schemas.arrow import Record, rows_of, table_of
from schemas.prompt_records import PlacedPrompt
from schemas.reasons import Reason
from schemas.recipe import Download, Source
from schemas.records import ImageRow, SourceRow

# No filters: an image that a training set would reject may be in an evaluation set.
ALL_ROWS = Source(min_side=0, max_aspect=0, max_punsafe=None, max_pwatermark=None, max_text_repeats=0)
ALL_PIXELS = Download(min_side=1, max_aspect=0)


@dataclass(frozen=True)
class Pixels:
    """An image of a data set; sizes in pixels, as hashed. Missing values are None."""

    data: bytes | None
    width: int | None
    height: int | None
    text: str | None


@dataclass(frozen=True)
class DataSet:
    """``url`` as the user named it; ``store`` holds its rows and hashes (for a root of ours, the root itself)."""

    has_pixels: ClassVar[bool] = True

    url: str
    store: Store
    ours: bool

    def shards(self) -> list[tuple[str, str]]:
        """Its shards in order, each with the sha256 of its images table."""
        entries = self.store.entries(ImageRow.table)
        return [(s, entries[s].writes[self.store.table_file(ImageRow.table, s)]) for s in sorted(entries)]

    def texts(self, shard: str) -> pa.Table:
        """Alt texts by sample_id; empty if the root has no rows."""
        if not self.store.exists(self.store.table_file(SourceRow.table, shard)):
            return pa.table({"sample_id": pa.array([], pa.string()), "alt_text": pa.array([], pa.string())})
        table = self.store.read_table(SourceRow, shard, ["sample_id", "alt_text", "reason"])
        return table.filter(pc.field("reason").is_null()).drop_columns(["reason"])

    def names(self, shard: str) -> list[tuple[str, str]]:
        """A readable name for each row, by sample_id: its url, its own file, or its list and row number."""
        return [(name, url or item) for name, url, item in self._named(shard)]

    def items(self, shard: str) -> list[str]:
        """The unique name of each image with pixels in a shard, in row order; see ``Verdict.item``."""
        rows: defaultdict[str, deque[str]] = defaultdict(deque)
        for name, _, item in self._named(shard):
            rows[name].append(item)
        table = self.store.read_table(ImageRow, shard, ["sample_id", "reason"])
        images = zip(strings(table.column("sample_id")), table.column("reason").to_pylist(), strict=True)
        # Images are in the order of their rows, also those that share an id.
        found = ((rows[name].popleft() if rows[name] else name, reason) for name, reason in images)
        return [item for item, reason in found if reason is None]

    def row_shards(self) -> tuple[tuple[str, str], ...]:
        """Its shards in order, each with the sha256 of its rows, on which ``items`` depends too."""
        entries = self.store.entries(SourceRow.table)
        return tuple((s, entries[s].writes[self.store.table_file(SourceRow.table, s)]) for s in sorted(entries))

    def _named(self, shard: str) -> list[tuple[str, str | None, str]]:
        """(sample_id, url, item) of the rows that no filter rejected; empty if the root has no rows."""
        if not self.store.exists(self.store.table_file(SourceRow.table, shard)):
            return []
        columns = ["sample_id", "url", "local_file", "local_offset", "source_file", "source_row"]
        table = self.store.read_table(SourceRow, shard, [*columns, "reason"]).filter(pc.field("reason").is_null())
        rows = zip(*(table.column(c).to_pylist() for c in columns), strict=True)
        return [
            (name, url, file.removeprefix("file://") if _is_picture_file(file, offset) else f"{listed}:{row}")
            for name, url, file, offset, listed, row in rows
        ]

    def find(self, sample_id: str) -> Pixels | None:
        """Finds an image by its sample_id, shard by shard."""
        for shard, _ in self.shards():
            table = self.store.read_table(ImageRow, shard)
            for image in rows_of(ImageRow, table.filter(pc.field("sample_id") == sample_id)):
                row = self._row(shard, sample_id)
                data = self._pixels(shard, image, row)
                return Pixels(data, image.width, image.height, row.alt_text if row else None)
        return None

    def _row(self, shard: str, sample_id: str) -> SourceRow | None:
        if not self.store.exists(self.store.table_file(SourceRow.table, shard)):
            return None
        rows = self.store.read_table(SourceRow, shard)
        return next(rows_of(SourceRow, rows.filter(pc.field("sample_id") == sample_id)), None)

    def _pixels(self, shard: str, image: ImageRow, row: SourceRow | None) -> bytes | None:
        try:
            if self.ours and image.offset is not None and image.size is not None:
                with open_images(self.store, shard) as read:
                    return read(image.offset, image.size)
            return read_local(row, ALL_PIXELS.max_bytes) if row is not None and row.local_file else None
        except (FetchRejected, StoreError):
            return None  # moved since it was hashed


def _is_picture_file(file: str | None, offset: int | None) -> bool:
    """Whether the pixels are a file of their own."""
    return bool(file) and not offset and not is_embedded(file or "")


@dataclass(frozen=True)
class PromptSet(DataSet):
    """A root of evaluation prompts: texts alone. Its release is what counts."""

    has_pixels: ClassVar[bool] = False

    def shards(self) -> list[tuple[str, str]]:
        entries = self.store.entries(PlacedPrompt.table)
        return [(s, entries[s].writes[self.store.table_file(PlacedPrompt.table, s)]) for s in sorted(entries)]

    def texts(self, shard: str) -> pa.Table:
        table = self.store.read_table(PlacedPrompt, shard, ["sample_id", "caption"])
        return table.rename_columns(["sample_id", "alt_text"])

    def names(self, shard: str) -> list[tuple[str, str]]:
        table = self.store.read_table(PlacedPrompt, shard, ["sample_id", "item_id"])
        return list(zip(strings(table.column("sample_id")), strings(table.column("item_id")), strict=True))


def open_data_set(url: str, workplace: Store) -> DataSet:
    """Opens a root of ours, of images or of prompts, or a folder, tars or images, whose hashes go into ``workplace``.

    Raises ``SourceError`` for anything else, such as a list of URLs.
    """
    store = Store(url)
    if store.exists("manifest") and store.shards(ImageRow.table):
        return DataSet(url, store, True)
    if store.exists("manifest") and store.shards(PlacedPrompt.table):
        return PromptSet(url, store, True)
    try:
        files = open_source([url]).files
    except SourceError as error:
        raise SourceError(f"the data set {url} cannot be opened: {error}") from error
    if any(file.layout is not None and not file.layout.has_pixels for file in files):
        raise SourceError(
            f"the data set {url} lists addresses without pixels; name the folder or the tars that hold the images, "
            "or refine the list first and name its root"
        )
    mark = hashlib.sha256(store.path("").encode()).hexdigest()[:16]
    return DataSet(url, Store(f"{workplace.url}/data_sets/{mark}"), False)


def place_of(url: str) -> str:
    """The canonical form of a URL: equal for every spelling of the same location."""
    store = Store(url)
    path = store.path("")
    return str(Path(path).resolve()) if store.is_local else str(store.filesystem.unstrip_protocol(path))


def hash_pixels(data_set: DataSet, engine: Engine, report: Report) -> Totals:
    """Hashes the images that have no hash yet."""
    if data_set.ours:
        return Totals()
    planned = Totals()

    def both(outcome: Outcome) -> None:
        planned.add(outcome)
        report(outcome)

    shards = plan(data_set.store, open_source([data_set.url]), ALL_ROWS, both, keep_fetched=False)
    hashed = run_segment(data_set.store, engine, [HashStage()], shards, report)
    return Totals(hashed.done, hashed.skipped, planned.failed + hashed.failed)


@dataclass(frozen=True)
class HashStage:
    """Reads local pixels, and writes only their sizes and hashes."""

    name: ClassVar[str] = "hash"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow,)
    writes: ClassVar[type[Record]] = ImageRow
    recipe: Download = ALL_PIXELS

    @property
    def resources(self) -> Resources:
        return Resources(cpus=1.0)

    @contextmanager
    def open(self) -> Iterator[Work]:
        warm_up()
        limiter = DecodeLimiter()

        def work(shard: Shard) -> pa.Table:
            rows = [row for row in rows_of(SourceRow, shard.read(SourceRow)) if row.reason is None]
            images = [process_row(row, _NoNetwork(), self.recipe, limiter.hold).row for row in rows]
            publish_looks(shard, images)
            return table_of(ImageRow, images)

        with quiet_decoders():
            yield work


class _NoNetwork:
    """Fetches nothing: an image that is not on disk is rejected."""

    def fetch(self, url: str) -> Fetched:
        raise FetchRejected(Reason.FILE_MISSING, f"{url}: no pixels on disk")
