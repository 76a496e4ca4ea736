"""A folder of images, each with a ``.txt`` or ``.json`` of the same name beside it or alone.

Rows are numbered in the order of names, so a picture that comes between two others moves the later ones
to other rows; their ids stay what they were. Whoever adds pictures in batches puts each in a sub-folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import fsspec
import pyarrow as pa

from curation.sources.laion import Claim
from curation.sources.pixels import LONGEST_SIDECAR, beside, file_sha256, tables
from curation.sources.source_metadata import clean
from schemas.ids import content_url
from schemas.reasons import Reason


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image file with its sidecars; ``fault`` says why it must not be read."""

    name: str
    path: str
    text: str | None
    metadata: str | None
    fault: str | None = None


def read_folder(url: str, pictures: Sequence[Picture], start: int = 0, end: int | None = None) -> Iterator[pa.Table]:
    """Tables of claims for the pictures [start, end). One that cannot be read is a ``file_missing`` row."""
    fs, _ = fsspec.core.url_to_fs(url)
    return tables(_claim(fs, p) for p in pictures[start:end])


def _claim(fs: Any, picture: Picture) -> Claim:
    text, text_note = _sidecar(fs, picture.text)
    metadata, metadata_note = _sidecar(fs, picture.metadata)
    claim = beside(text, metadata)
    note = "; ".join(n for n in (text_note, metadata_note, claim.note) if n) or None
    fault = picture.fault
    if fault is None:
        try:
            sha256, size = file_sha256(fs, picture.path)
            return dataclasses.replace(
                claim,
                note=note,
                content=None if claim.url else content_url(sha256),
                local_file=fs.unstrip_protocol(picture.path),
                local_offset=0,
                local_size=size,
            )
        except OSError as error:
            fault = str(error.strerror or error)
    return dataclasses.replace(claim, fault=Reason.FILE_MISSING, note=clean(f"{picture.name}: {fault}")[:300])


def _sidecar(fs: Any, path: str | None) -> tuple[bytes | None, str | None]:
    if path is None:
        return None, None
    extension = path.rsplit(".", 1)[-1]
    try:
        with fs.open(path, "rb") as file:
            data: bytes = file.read(LONGEST_SIDECAR + 1)
    except OSError as error:
        return None, f"the .{extension} beside it cannot be read: {error.strerror or error}"
    if len(data) > LONGEST_SIDECAR:
        return None, f"the .{extension} beside it is longer than {LONGEST_SIDECAR} bytes"
    return data, None
