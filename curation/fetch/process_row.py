"""One row from its source to its fate: fetched or read, checked, prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

import fsspec
import pyarrow as pa

from curation.core.stage import Shard
from curation.core.store import Store, encoded
from curation.fetch.http import Fetched
from curation.fetch.rejected import FetchRejected
from curation.images.picture import Look
from curation.images.pixels import PixelsRejected, Prepared, prepare
from curation.sources.embedded import is_embedded, read_embedded
from schemas.arrow import table_of
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.records import Colours, ImageRow, SourceRow, Thumbnail

MADE_BY = b"download"  # key of the download stage's digest in the metadata of Parquet files beside the images
Hold = Callable[[int], AbstractContextManager[None]]
"""Waits until so many pixels may be decoded, and holds them; ``DecodeLimiter.hold`` is one."""


class Fetches(Protocol):
    """The part of a fetcher that is used here."""

    def fetch(self, url: str) -> Fetched:
        """Raises ``FetchRejected`` for every failure of the URL, its host or its response."""
        ...


@dataclass(frozen=True, slots=True)
class HashedRow(ImageRow):
    """A row of ``images`` with its colours and its thumbnail, which go into tables of their own.

    ``looks`` is what a ``Look`` found, where one was asked; it goes into a file of its own.
    """

    colours: bytes | None = None
    thumbnail: bytes | None = None
    looks: bytes | None = None


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row's fate. ``data`` are the bytes to export, or None."""

    row: ImageRow
    data: bytes | None = None


def process_row(
    row: SourceRow,
    fetcher: Fetches,
    settings: Download,
    hold: Hold,
    look: Look | None = None,
    buried: Collection[str] = (),
) -> RowResult:
    """Fetch and prepare one row. Expected failures are in the result; any exception is unexpected.

    ``buried`` are the sha256 of pictures that were taken down.
    """
    try:
        fetched = fetcher.fetch(row.url or "") if row.local_file is None else read_row(row, settings.max_bytes)
    except FetchRejected as rejected:
        return not_fetched(row, rejected)
    return prepared_row(row, fetched, lambda: prepare(fetched.data, settings, hold, look), settings, buried)


def not_fetched(row: SourceRow, rejected: FetchRejected) -> RowResult:
    """The result of a row without bytes."""
    return RowResult(
        replace(
            _blank(row),
            reason=rejected.reason,
            detail=rejected.detail,
            http_status=rejected.status,
            final_url=rejected.final_url,
            opt_out=rejected.opt_out,
        )
    )


def prepared_row(
    row: SourceRow,
    fetched: Fetched,
    pixels: Callable[[], Prepared],
    settings: Download,
    buried: Collection[str] = (),
) -> RowResult:
    """The result of a row with bytes; ``pixels`` returns the prepared image, or raises. ``buried``: as before."""
    if buried and hashlib.sha256(fetched.data).hexdigest() in buried:
        return RowResult(replace(_blank(row), reason=Reason.TAKEN_DOWN))
    known = replace(
        _blank(row),
        http_status=fetched.status or None,
        final_url=fetched.final_url,
        opt_out=fetched.opt_out,
        original_bytes=len(fetched.data),
    )
    mismatch = _mismatch(row, fetched.data)
    if row.expected_md5 or row.expected_sha256:
        known = replace(known, hash_matches=mismatch is None)
    if mismatch is not None and settings.hash_policy == "reject":
        sha256 = hashlib.sha256(fetched.data).hexdigest()
        return RowResult(replace(known, original_sha256=sha256, reason=Reason.HASH_MISMATCH, detail=mismatch))
    try:
        prepared = pixels()
    except PixelsRejected as rejected:
        return RowResult(
            replace(
                known,
                reason=rejected.reason,
                detail=rejected.detail,
                original_width=rejected.seen.width,
                original_height=rejected.seen.height,
                original_format=rejected.seen.format,
                original_sha256=hashlib.sha256(fetched.data).hexdigest(),
            )
        )
    if prepared.sha256 in buried:
        return RowResult(replace(_blank(row), reason=Reason.TAKEN_DOWN))
    return RowResult(_exported(known, prepared), prepared.data)


def publish_looks(shard: Shard, rows: Iterable[ImageRow]) -> None:
    """Publishes the shards of ``colours`` and ``thumbnails`` that belong to these rows: a row for each with pixels.

    They are tables beside ``images`` and not columns of it, so that roots that are older keep their downloads. Where
    the thumbnail of a row is not known, none are published: the step before dedupe then makes all from the pixels.
    """
    hashed = [row for row in rows if isinstance(row, HashedRow)]
    colours = [Colours(row.sample_id, row.colours) for row in hashed if row.colours is not None]
    thumbnails = [Thumbnail(row.sample_id, row.thumbnail) for row in hashed if row.thumbnail is not None]
    _publish(shard, Store.table_file(Colours.table, shard.name), table_of(Colours, colours))
    if len(thumbnails) == sum(row.reason is None for row in hashed):
        _publish(shard, Store.table_file(Thumbnail.table, shard.name), table_of(Thumbnail, thumbnails))


def looks_file(shard: str) -> str:
    """What was computed from the pixels of a shard's images while they were fetched; see ``images.picture``."""
    return f"images/{shard}.looks.parquet"


def keep_looks(shard: Shard, rows: Iterable[ImageRow], made_by: str) -> None:
    """Publishes what a ``Look`` found, where one was asked, in ``looks_file``.

    ``made_by`` is the digest of the stage that downloads.
    """
    if looked := [row for row in rows if isinstance(row, HashedRow) and row.looks is not None]:
        found = pa.table(
            {"sample_id": [row.sample_id for row in looked], "looks": pa.array([r.looks for r in looked], pa.binary())}
        )
        _publish(shard, looks_file(shard.name), found.replace_schema_metadata({MADE_BY: made_by.encode()}))


def _publish(shard: Shard, name: str, table: pa.Table) -> None:
    data = encoded(table)
    path = shard.scratch(name)
    try:
        path.write_bytes(data)
        shard.publish(name, path, hashlib.sha256(data).hexdigest())
    finally:
        path.unlink(missing_ok=True)


def _exported(known: HashedRow, prepared: Prepared) -> ImageRow:
    return replace(
        known,
        colours=prepared.colours,
        thumbnail=prepared.thumbnail,
        looks=prepared.looks,
        original_width=prepared.original_width,
        original_height=prepared.original_height,
        original_format=prepared.original_format,
        original_sha256=prepared.original_sha256,
        width=prepared.width,
        height=prepared.height,
        sha256=prepared.sha256,
        phash=prepared.phash,
        phash256=prepared.phash256,
        unchanged=prepared.unchanged,
        size=len(prepared.data),
    )


def _blank(row: SourceRow) -> HashedRow:
    return HashedRow(
        sample_id=row.sample_id,
        reason=None,
        detail=None,
        http_status=None,
        final_url=None,
        opt_out=None,
        original_width=None,
        original_height=None,
        original_format=None,
        original_bytes=None,
        original_sha256=None,
        hash_matches=None,
        width=None,
        height=None,
        sha256=None,
        phash=None,
        phash256=None,
        unchanged=None,
        offset=None,
        size=None,
    )


def _mismatch(row: SourceRow, data: bytes) -> str | None:
    """How the bytes' hash differs from the one that the source expects; None where it does not."""
    for name, expected in (("md5", row.expected_md5), ("sha256", row.expected_sha256)):
        if expected:
            found = hashlib.new(name, data, usedforsecurity=False).hexdigest()
            if found != expected.strip().lower():
                return f"{name} is {found}, the source says {expected}"
    return None


def read_row(row: SourceRow, max_bytes: int) -> Fetched:
    """A local image as if it had been fetched. Raises ``FetchRejected`` as ``read_local`` does."""
    return Fetched(read_local(row, max_bytes), 0)


def read_local(row: SourceRow, max_bytes: int) -> bytes:
    """The bytes of a local image. Raises ``FetchRejected``: FILE_MISSING, TRUNCATED or TOO_MANY_BYTES."""
    path = row.local_file or ""
    start = row.local_offset or 0
    if is_embedded(path):
        return _read_embedded(path, start, row.local_size or 0, max_bytes)
    try:
        fs, inner = fsspec.core.url_to_fs(path)
        size = row.local_size if row.local_size is not None else int(fs.size(inner)) - start
        if size > max_bytes:
            raise FetchRejected(Reason.TOO_MANY_BYTES, f"{size} bytes, the limit is {max_bytes}")
        data = bytes(fs.cat_file(inner, start=start, end=start + size))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise FetchRejected(Reason.FILE_MISSING, f"{path}: {error.strerror or 'not found'}") from error
    if len(data) < size:
        raise FetchRejected(Reason.TRUNCATED, f"{path} holds {len(data)} of {size} bytes from {start} on")
    return data


def _read_embedded(path: str, number: int, size: int, max_bytes: int) -> bytes:
    """The image in a row of a Parquet file. Raises ``FetchRejected`` as ``read_local`` does."""
    if size > max_bytes:
        raise FetchRejected(Reason.TOO_MANY_BYTES, f"{size} bytes, the limit is {max_bytes}")
    try:
        data = read_embedded(path, number)
    except (OSError, pa.ArrowException) as error:
        raise FetchRejected(Reason.FILE_MISSING, f"{path}: {' '.join(str(error).split())[:200]}") from error
    if data is None or len(data) != size:
        found = "none" if data is None else f"{len(data)} bytes"
        raise FetchRejected(Reason.TRUNCATED, f"{path} has another image in row {number}: {found} instead of {size}")
    return data
