"""One row from its source to its fate: fetched or read, checked, prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

import pyarrow as pa

from curation.core.stage import Shard
from curation.core.store import Store, encoded
from curation.fetch.http import Fetched
from curation.fetch.local_row import read_row
from curation.fetch.rejected import FetchRejected, opted_out
from curation.images.picture import Look
from curation.images.pixels import PixelsRejected, Prepared, prepare
from curation.signals.embedded import image_signs
from curation.signals.policy import Policy
from curation.signals.sign import packed
from schemas.arrow import table_of
from schemas.changed import changed
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

    ``looks`` is what a ``Look`` found, where one was asked, and ``signs`` are those of opt-outs and licences
    (``curation.signals.sign.packed``), where they are looked for; they go into files of their own. So does
    ``retrieved_at``, which differs from run to run, and must stand in no table.
    """

    colours: bytes | None = None
    thumbnail: bytes | None = None
    looks: bytes | None = None
    signs: bytes | None = None
    retrieved_at: float | None = None


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
    policy: Policy | None = None,
) -> RowResult:
    """Fetch and prepare one row. Expected failures are in the result; any exception is unexpected.

    ``buried`` are the sha256 of pictures that were taken down.
    """
    try:
        fetched = fetcher.fetch(row.url or "") if row.local_file is None else read_row(row, settings.max_bytes)
        fetched = with_image_signs(fetched, policy)
    except FetchRejected as rejected:
        return not_fetched(row, rejected)
    return prepared_row(row, fetched, lambda: prepare(fetched.data, settings, hold, look), settings, buried)


def with_image_signs(fetched: Fetched, policy: Policy | None) -> Fetched:
    """The same with what the bytes say of rights. Raises ``FetchRejected`` where that forbids; nothing is decoded."""
    if policy is None or not policy.image or not fetched.data:
        return fetched
    found = image_signs(fetched.data)
    if not found:
        return fetched
    signs = (*fetched.signs, *found)
    if sign := policy.against(found):
        rejected = opted_out(sign, status=fetched.status or None, signs=signs)
        rejected.final_url = fetched.final_url
        raise rejected
    return replace(fetched, signs=signs)


def not_fetched(row: SourceRow | ImageRow, rejected: FetchRejected) -> RowResult:
    """The result of a row without bytes."""
    return RowResult(
        changed(
            _blank(row),
            reason=rejected.reason,
            detail=rejected.detail,
            http_status=rejected.status,
            final_url=rejected.final_url,
            opt_out=rejected.opt_out,
            signs=packed(rejected.signs) if rejected.signs else None,
        )
    )


def taken_down(row: SourceRow | ImageRow) -> RowResult:
    """The result of a row whose picture was taken down."""
    return RowResult(replace(_blank(row), reason=Reason.TAKEN_DOWN))


def prepared_row(
    row: SourceRow,
    fetched: Fetched,
    pixels: Callable[[], Prepared],
    settings: Download,
    buried: Collection[str] = (),
) -> RowResult:
    """The result of a row with bytes; ``pixels`` returns the prepared image, or raises. ``buried``: as before."""
    if buried and hashlib.sha256(fetched.data).hexdigest() in buried:
        return taken_down(row)
    known = changed(
        _blank(row),
        http_status=fetched.status or None,
        final_url=fetched.final_url,
        opt_out=fetched.opt_out,
        signs=packed(fetched.signs) if fetched.signs else None,
        retrieved_at=fetched.retrieved_at,
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
            changed(
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
        return taken_down(row)
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


def signals_file(shard: str) -> str:
    """What was said of a shard's images when they were fetched: opt-outs and licences."""
    return f"images/{shard}.signals.parquet"


BESIDE: Mapping[str, Callable[[str], str]] = MappingProxyType({"looks": looks_file, "signs": signals_file})
"""Fields of ``HashedRow`` that go into a file of their own beside the images, and that file by shard."""


def keep_beside(shard: Shard, rows: Sequence[ImageRow], made_by: str) -> None:
    """Publishes what a ``Look`` found and what was said of images, each in a file where there is any.

    ``made_by`` is the digest of the stage that downloads.
    """
    hashed = [row for row in rows if isinstance(row, HashedRow)]
    for field, file_of in BESIDE.items():
        found = [(row.sample_id, value) for row in hashed if (value := getattr(row, field)) is not None]
        if found:
            ids, values = zip(*found, strict=True)
            table = pa.table({"sample_id": pa.array(ids, pa.string()), field: pa.array(values, pa.binary())})
            _publish(shard, file_of(shard.name), table.replace_schema_metadata({MADE_BY: made_by.encode()}))


def _publish(shard: Shard, name: str, table: pa.Table) -> None:
    data = encoded(table)
    path = shard.scratch(name)
    try:
        path.write_bytes(data)
        shard.publish(name, path, hashlib.sha256(data).hexdigest())
    finally:
        path.unlink(missing_ok=True)


def _exported(known: HashedRow, prepared: Prepared) -> ImageRow:
    return changed(
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


def _blank(row: SourceRow | ImageRow) -> HashedRow:
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
