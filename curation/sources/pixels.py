"""What stands beside pixels that are already on disk: a caption in ``.txt``, or metadata in ``.json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from curation.sources.laion import Claim, roles_of
from curation.sources.source_metadata import as_number, clean
from schemas.arrow import table_of

BATCH = 2_000
_CHUNK = 1 << 20
LONGEST_SIDECAR = 16 << 20  # bytes; nothing that a person or a model wrote beside an image is longer
_COMMON = ("jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "avif", "heic", "heif")
_RARE = ("jp2", "ppm", "pgm", "pbm", "pnm", "ico", "tga")
IMAGE_EXTENSIONS = frozenset((*_COMMON, *_RARE))
# Sizes and hashes in a sidecar are those of the original on the web; these pixels may have been resized.
_TEXTS = ("url", "language", "license")
_NUMBERS = ("similarity", "aesthetic", "punsafe", "pwatermark")


def tables(claims: Iterable[Claim]) -> Iterator[pa.Table]:
    """The claims in tables of some thousands."""
    left = iter(claims)
    while batch := list(islice(left, BATCH)):
        yield table_of(Claim, batch)


def beside(text: bytes | None, metadata: bytes | None) -> Claim:
    """What a ``.txt`` and a ``.json`` say; either may be missing.

    The text file is the alt text, else the metadata's text or caption. Metadata keys are those of the
    list dialects, in any case. What cannot be read is noted, and the image goes on without it.
    """
    says, note = _metadata(metadata)
    alt_text = says.get("alt_text")
    if text is not None:
        alt_text = text.decode("utf-8-sig", "replace")
    texts = {role: clean(v) for role in _TEXTS if isinstance(v := says.get(role), str)}
    numbers = {role: _number(says.get(role)) for role in _NUMBERS}
    return Claim(
        url=texts.get("url") or None,
        alt_text=clean(alt_text) if isinstance(alt_text, str) else "",
        similarity=numbers["similarity"],
        aesthetic=numbers["aesthetic"],
        punsafe=numbers["punsafe"],
        pwatermark=numbers["pwatermark"],
        language=texts.get("language"),
        license=texts.get("license"),
        note=note,
    )


def _metadata(data: bytes | None) -> tuple[dict[str, Any], str | None]:
    """Values by role, and what is wrong with the JSON."""
    if data is None:
        return {}, None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        return {}, f"the .json beside it cannot be read: {clean(str(error))[:200]}"
    if not isinstance(found, dict):
        return {}, f"the .json beside it holds a {type(found).__name__}; an object was expected"
    return {role: found[key] for role, key in roles_of(list(found))}, None


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
