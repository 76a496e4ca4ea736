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
from curation.sources.kept import kept_object, scalars
from curation.sources.options import PLAIN, Options
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
# Keys and columns of texts besides those of the list dialects, the likeliest first.
OTHER_TEXTS = ("prompt", "description", "captions", "texts", "caption_text", "title", "alt", "sentence")
_RELEASED = {"sample_id", "alt_text", "caption", "caption_kind", "source_file"}
_ELSEWHERE = {"url", "alt_text", "text"}  # what a sample has under these names already
_TEXTS = ("url", "language", "license")
# Sizes and hashes in a sidecar are those of the original on the web; these pixels may have been resized.
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
    text: bytes | None,
    metadata: bytes | None,
    listed: Mapping[str, Any] | None = None,
    extension: str = "txt",
    *,
    further: Mapping[str, Any] | None = None,
    options: Options = PLAIN,
) -> SourceMetadata:
    """The metadata of an image from its text file, its ``.json`` and its row in a metadata file, all optional.

    The text file wins over the text or caption of the JSON, and the JSON over the row. In a release of ours the JSON
    has the alt text, and the text file a caption. JSON keys are those of the list dialects, in any case; ``listed``
    maps roles to values, and ``further`` names to values that may be kept. What cannot be read is noted, and the image
    is kept.
    """
    record, note = _object(metadata)
    found, problem = _roles(record, options)
    values = {**(listed or {}), **{role: value for role, value in found.items() if value is not None}}
    notes = [n for n in (note, problem) if n]
    alt_text = values.get("alt_text")
    if text is not None and not is_released(record):
        alt_text, problem = decode(text)
        notes += [f"the .{extension} is {problem}"] if problem else []
    alt_text = clean(alt_text) if isinstance(alt_text, str) else ""
    trimmed = alt_text.strip() if options.tidy and text is not None else alt_text
    texts = {role: clean(v) for role in _TEXTS if isinstance(v := values.get(role), str)}
    numbers = {role: _number(values.get(role)) for role in _NUMBERS}
    return SourceMetadata(
        url=texts.get("url") or None,
        alt_text=trimmed,
        similarity=numbers["similarity"],
        aesthetic=numbers["aesthetic"],
        punsafe=numbers["punsafe"],
        pwatermark=numbers["pwatermark"],
        language=texts.get("language"),
        license=texts.get("license"),
        note="; ".join(notes) or None,
        known_text=alt_text if trimmed != alt_text else None,
        columns=_kept({**(further or {}), **_flat(record)}, options) if options.keep else None,
    )


def is_released(record: Mapping[str, Any]) -> bool:
    """Whether the JSON beside an image is that of a release of ours."""
    return record.keys() >= _RELEASED


def json_object(data: bytes | None) -> dict[str, Any]:
    """The JSON beside an image; nothing where it cannot be read or is no object."""
    return _object(data)[0]


def _kept(values: Mapping[str, Any], options: Options) -> str | None:
    plain = scalars(values)
    names = [*options.kept(plain), *options.kept(values.keys() - set(plain), nested=True)]
    return kept_object({name: values[name] for name in dict.fromkeys(names) if name.casefold() not in _ELSEWHERE})


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a JSON; further columns that an earlier release kept stand beside the others again."""
    earlier = record.get("source") if is_released(record) else None
    return {**(earlier if isinstance(earlier, dict) else {}), **{k: v for k, v in record.items() if v is not earlier}}


def _object(data: bytes | None) -> tuple[dict[str, Any], str | None]:
    """The JSON object, and a note on what is wrong with it."""
    if data is None:
        return {}, None
    text, problem = decode(data)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, f"the .json beside it cannot be read: {clean(str(error))[:200]}"
    if not isinstance(found, dict):
        return {}, f"the .json beside it holds a {type(found).__name__}; an object was expected"
    return found, f"the .json is {problem}" if problem else None


def _roles(record: Mapping[str, Any], options: Options) -> tuple[dict[str, Any], str | None]:
    """Values by role, and a note where the text has another key."""
    named = options.named(record)
    values = {role: record[key] for role, key in {**dict(roles_of(list(record))), **named}.items()}
    if is_released(record) and "alt_text" not in named:
        return {**values, "alt_text": record["alt_text"], "similarity": record.get("alt_text_similarity")}, None
    others = [k for k in record if k.casefold() in OTHER_TEXTS and isinstance(record[k], str)]
    if "alt_text" in values or not others:
        return values, None
    if options.tidy and len(others) == 1:
        return {**values, "alt_text": record[others[0]]}, None
    return values, f"the .json has no key text or caption; its {others[0]!r} is not read"


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
