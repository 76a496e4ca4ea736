"""One row from its source to its fate: fetched or read, checked, prepared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Protocol

import fsspec

from curation.fetch.http import Fetched
from curation.fetch.rejected import FetchRejected
from curation.images.pixels import PixelsRejected, Prepared, Room, prepare
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.records import ImageRow, SourceRow


class Fetches(Protocol):
    """What is asked of a fetcher."""

    def fetch(self, url: str) -> Fetched:
        """Raises ``FetchRejected``, and nothing else for whatever a host does."""
        ...


@dataclass(frozen=True, slots=True)
class Settled:
    """A row's fate. ``data`` are the bytes to export; ``arrived`` says whether bytes came at all."""

    row: ImageRow
    data: bytes | None = None
    arrived: bool = False


def settle(row: SourceRow, fetcher: Fetches, settings: Download, room: Room) -> Settled:
    """What becomes of a row. Expected failures are in it; anything that is raised is unexpected."""
    try:
        fetched = fetcher.fetch(row.url or "") if row.local_file is None else _local(row, settings.max_bytes)
    except FetchRejected as rejected:
        return Settled(
            replace(
                turned_down(row, rejected.reason, rejected.detail),
                http_status=rejected.status,
                final_url=rejected.final_url,
                opt_out=rejected.opt_out,
            )
        )
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
        known = replace(known, original_sha256=sha256, reason=Reason.HASH_MISMATCH, detail=mismatch)
        return Settled(known, arrived=True)
    try:
        prepared = prepare(fetched.data, settings, room)
    except PixelsRejected as rejected:
        known = replace(
            known,
            reason=rejected.reason,
            detail=rejected.detail,
            original_width=rejected.seen.width,
            original_height=rejected.seen.height,
            original_format=rejected.seen.format,
            original_sha256=hashlib.sha256(fetched.data).hexdigest(),
        )
        return Settled(known, arrived=True)
    return Settled(_exported(known, prepared), prepared.data, arrived=True)


def turned_down(row: SourceRow, reason: Reason, detail: str) -> ImageRow:
    """A row of which nothing came."""
    return replace(_blank(row), reason=reason, detail=detail)


def _exported(known: ImageRow, prepared: Prepared) -> ImageRow:
    return replace(
        known,
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


def _blank(row: SourceRow) -> ImageRow:
    return ImageRow(
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
    """What the bytes' hash is where the source expected another one."""
    for name, expected in (("md5", row.expected_md5), ("sha256", row.expected_sha256)):
        if expected:
            found = hashlib.new(name, data, usedforsecurity=False).hexdigest()
            if found != expected.strip().lower():
                return f"{name} is {found}, the source says {expected}"
    return None


def _local(row: SourceRow, max_bytes: int) -> Fetched:
    return Fetched(read_local(row, max_bytes), 0)


def read_local(row: SourceRow, max_bytes: int) -> bytes:
    """The bytes of a local image. Raises ``FetchRejected``: FILE_MISSING, TRUNCATED or TOO_MANY_BYTES."""
    path = row.local_file or ""
    start = row.local_offset or 0
    try:
        fs, inner = fsspec.core.url_to_fs(path)
        size = row.local_size if row.local_size is not None else int(fs.size(inner)) - start
        if size > max_bytes:
            raise FetchRejected(Reason.TOO_MANY_BYTES, f"{size} bytes, the most is {max_bytes}")
        data = bytes(fs.cat_file(inner, start=start, end=start + size))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise FetchRejected(Reason.FILE_MISSING, f"{path}: {error.strerror or 'not found'}") from error
    if len(data) < size:
        raise FetchRejected(Reason.TRUNCATED, f"{path} holds {len(data)} of {size} bytes from {start} on")
    return data
