"""A folder of images, each with a text or JSON file of the same name beside it, or a row in a metadata file.

Rows are numbered in the order of names. A picture that comes between two others is planned behind all of them, and
moves none (see ``planner``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import fsspec
import pyarrow as pa

from curation.sources.imagefolder import Listed
from curation.sources.options import PLAIN, Options
from curation.sources.sidecars import LONGEST_SIDECAR, beside, file_sha256, tables
from curation.sources.source_metadata import SourceMetadata, clean
from schemas.ids import content_url
from schemas.reasons import Reason


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image file with its sidecars; ``fault`` is the reason why it must not be read.

    ``text`` and ``metadata`` are paths, ``listed`` is its row in the metadata file, and ``note`` names a sidecar
    that must not be read.
    """

    name: str
    path: str
    text: str | None
    metadata: str | None
    fault: str | None = None
    listed: Listed | None = None
    note: str | None = None


def read_folder(
    url: str,
    pictures: Sequence[Picture],
    start: int = 0,
    end: int | None = None,
    *,
    options: Options = PLAIN,
) -> Iterator[pa.Table]:
    """Tables of ``SourceMetadata`` for the pictures [start, end). An unreadable one is a ``file_missing`` row."""
    fs, _ = fsspec.core.url_to_fs(url)
    return tables(_row(fs, p, options) for p in pictures[start:end])


def _row(fs: Any, picture: Picture, options: Options) -> SourceMetadata:
    text, text_note = _sidecar(fs, picture.text)
    metadata, metadata_note = _sidecar(fs, picture.metadata)
    listed = picture.listed or Listed()
    found = beside(
        text,
        metadata,
        listed.values,
        picture.text.rsplit(".", 1)[-1] if picture.text else "txt",
        further={"file_name": picture.name, **listed.further},
        options=options,
    )
    unused = text is not None  # then a remark on the listed text does not matter
    notes = (picture.note, text_note, metadata_note, found.note, None if unused else listed.note)
    note = "; ".join(n for n in notes if n) or None
    fault = picture.fault
    if fault is None:
        try:
            sha256, size = file_sha256(fs, picture.path)
            return dataclasses.replace(
                found,
                note=note,
                content=None if found.url else content_url(sha256),
                local_file=fs.unstrip_protocol(picture.path),
                local_offset=0,
                local_size=size,
            )
        except OSError as error:
            fault = str(error.strerror or error)
    return dataclasses.replace(found, fault=Reason.FILE_MISSING, note=clean(f"{picture.name}: {fault}")[:300])


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
