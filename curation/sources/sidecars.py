"""Texts and metadata beside pixels on disk: ``.txt`` and ``.json`` files, or a row of a metadata file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import pyarrow as pa

from curation.images.facts import PixelsRejected
from curation.images.sniff import image_format
from curation.sources.dialects import roles_of
from curation.sources.encodings import decode
from curation.sources.source_metadata import SourceMetadata, as_number, clean
from schemas.arrow import table_of

BATCH = 2_000
_CHUNK = 1 << 20
LONGEST_SIDECAR = 16 << 20  # bytes; nothing that a person or a model wrote beside an image is longer
TEXT_EXTENSIONS = ("txt", "caption")
SIDECAR_EXTENSIONS = (*TEXT_EXTENSIONS, "json")
_COMMON = ("jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "avif", "heic", "heif")
_RARE = ("jp2", "ppm", "pgm", "pbm", "pnm", "ico", "tga")
IMAGE_EXTENSIONS = frozenset((*_COMMON, *_RARE))
IMAGE_HEAD = 4096  # bytes by which an image is recognised
# Formats that the download stage names when it rejects them; what else it does not take is no picture.
_REJECTED_PICTURES = {"jpeg xl", "jpeg 2000", "jpeg xr", "heif", "psd", "svg", "bigtiff", "qoi"}
# Sizes and hashes in a sidecar are those of the original on the web; these pixels may have been resized.
# Keys and columns of texts besides those of the list dialects, the likeliest first.
OTHER_TEXTS = ("prompt", "description", "captions", "texts", "caption_text", "title", "alt", "sentence")
_TEXTS = ("url", "language", "license")
_NUMBERS = ("similarity", "aesthetic", "punsafe", "pwatermark")


def is_image(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a picture, in a supported format or not."""
    try:
        image_format(head)
    except PixelsRejected as rejected:
        return rejected.detail in _REJECTED_PICTURES
    return True


def tables(rows: Iterable[SourceMetadata]) -> Iterator[pa.Table]:
    """The rows in tables of at most ``BATCH``."""
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield table_of(SourceMetadata, batch)


def beside(
    text: bytes | None, metadata: bytes | None, listed: Mapping[str, Any] | None = None, extension: str = "txt"
) -> SourceMetadata:
    """The metadata of an image from its text file, its ``.json`` and its row in a metadata file, all optional.

    The text file wins over the text or caption of the JSON, and the JSON over the row. JSON keys are those of the list
    dialects, in any case; ``listed`` maps roles to values. What cannot be read is noted, and the image is kept.
    """
    found, note = _metadata(metadata)
    values = {**(listed or {}), **{role: value for role, value in found.items() if value is not None}}
    notes = [note] if note else []
    alt_text = values.get("alt_text")
    if text is not None:
        alt_text, problem = decode(text)
        notes += [f"the .{extension} is {problem}"] if problem else []
    texts = {role: clean(v) for role in _TEXTS if isinstance(v := values.get(role), str)}
    numbers = {role: _number(values.get(role)) for role in _NUMBERS}
    return SourceMetadata(
        url=texts.get("url") or None,
        alt_text=clean(alt_text) if isinstance(alt_text, str) else "",
        similarity=numbers["similarity"],
        aesthetic=numbers["aesthetic"],
        punsafe=numbers["punsafe"],
        pwatermark=numbers["pwatermark"],
        language=texts.get("language"),
        license=texts.get("license"),
        note="; ".join(notes) or None,
    )


def _metadata(data: bytes | None) -> tuple[dict[str, Any], str | None]:
    """Values by role, and a note on what is wrong with the JSON."""
    if data is None:
        return {}, None
    text, problem = decode(data)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, f"the .json beside it cannot be read: {clean(str(error))[:200]}"
    if not isinstance(found, dict):
        return {}, f"the .json beside it holds a {type(found).__name__}; an object was expected"
    values = {role: found[key] for role, key in roles_of(list(found))}
    notes = [f"the .json is {problem}"] if problem else []
    other = next((k for k in found if k.casefold() in OTHER_TEXTS and isinstance(found[k], str)), None)
    if "alt_text" not in values and other is not None:
        notes.append(f"the .json has no key text or caption; its {other!r} is not read")
    return values, "; ".join(notes) or None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = as_number(value) if isinstance(value, str) else float(value)
    except OverflowError:
        return None
    return number if number is not None and abs(number) != float("inf") and number == number else None


def file_sha256(fs: Any, path: str) -> tuple[str, int]:
    """The sha256, hex, and the number of a file's bytes. Raises ``OSError``."""
    digest = hashlib.sha256()
    size = 0
    with fs.open(path, "rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size
