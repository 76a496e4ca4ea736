"""Thumbnails: small JPEGs of stored images, named by the content that they show, so that none is made twice."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

from PIL import Image

from curation.core.errors import StoreError
from curation.core.store import Store
from curation.images.reading import ImageReader, open_images

FOLDER = "thumbnails"
SIDE = 256
"""Length of the longer side of a thumbnail, in pixels."""
MOST_PICTURES = 3000
MOST_BYTES = 40_000_000
"""What all thumbnails of a page may take."""
_QUALITY = 76
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9a-f]{32}\.jpg")
_MOST_PIXELS = 100_000_000  # as download.max_pixels has it; a tar may have been exchanged
_MOST_STORED = 50_000_000  # bytes of one stored image that are read
_NONE: Mapping[str, bytes] = MappingProxyType({})
_AT_ONCE = 64
_THREADS = 4  # Pillow decodes without Python's lock; on an object store requests overlap


@dataclass(frozen=True)
class Stored:
    """Where a stored image lies."""

    sha256: str
    shard: str
    offset: int
    size: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Stored | None:
        """From a row with these columns of ``images`` and its shard; None where there are no pixels."""
        sha, offset, size = row.get("sha256"), row.get("offset"), row.get("size")
        if not sha or offset is None or not size or not _SHA256.fullmatch(sha) or size > _MOST_STORED:
            return None
        return cls(sha, str(row["images_shard"]), offset, size)

    @property
    def name(self) -> str:
        """The name of its thumbnail's file."""
        return f"{self.sha256[:32]}.jpg"


def is_name(text: str) -> bool:
    """Whether a text is the name of a thumbnail."""
    return _NAME.fullmatch(text) is not None


def thumbnail(data: bytes, side: int = SIDE) -> bytes | None:
    """A JPEG of at most ``side`` pixels a side, encoded anew, without metadata; None for what cannot be decoded."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            image.draft("RGB", (side, side))
            small = image if image.mode in ("RGB", "L") else _on_white(image)
            small.thumbnail((side, side), Image.Resampling.LANCZOS if small.width < 4 * side else Image.Resampling.BOX)
            sink = io.BytesIO()
            Image.Image.save(small.convert("RGB"), sink, "JPEG", quality=_QUALITY, optimize=True)
            return sink.getvalue()
    except Exception:  # whatever a decoder raises of its own: the page shows that there is no picture
        return None


def _on_white(image: Image.Image) -> Image.Image:
    over = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")


def write_thumbnails(
    source: Store, target: Store, folder: str, wanted: Iterable[Stored], more: Mapping[str, bytes] = _NONE
) -> set[str]:
    """Makes the thumbnails that are not there yet, in this order, and removes all others; the names of all there are.

    At most ``MOST_PICTURES``, and as many as ``MOST_BYTES`` hold. An image that cannot be read has none. ``more`` are
    some that were made elsewhere, by name.
    """
    there = _sizes(target, folder)
    asked = iter(dict.fromkeys(islice(dict.fromkeys(wanted), MOST_PICTURES)))
    names = set(more)
    for name in more.keys() - there.keys():
        target.write(f"{folder}/{name}", more[name])
    left = MOST_BYTES - sum(map(len, more.values()))
    threads = _THREADS if source.is_local and target.is_local else 4 * _THREADS
    with ThreadPoolExecutor(threads) as pool:
        while left >= 0 and (some := list(islice(asked, _AT_ONCE))):
            made = _made(source, [s for s in some if s.name not in there], pool)
            fresh: dict[str, bytes] = {}
            for stored in some:
                data = made.get(stored)
                if data is None and stored.name not in there:
                    continue
                left -= there[stored.name] if data is None else len(data)
                if left < 0:
                    break
                names.add(stored.name)
                if data is not None:
                    fresh[f"{folder}/{stored.name}"] = data
            list(pool.map(target.write, fresh.keys(), fresh.values()))
    for stale in there.keys() - names:
        target.remove(f"{folder}/{stale}")
    return names


def _made(source: Store, new: Sequence[Stored], pool: ThreadPoolExecutor) -> dict[Stored, bytes | None]:
    """The thumbnails of some images; the tars that hold them are open no longer than that."""
    with ExitStack() as stack:
        readers = {s: stack.enter_context(open_images(source, s)) for s in {stored.shard for stored in new}}
        return dict(zip(new, pool.map(lambda s: read_thumbnail(readers[s.shard], s), new), strict=True))


def read_thumbnail(read: ImageReader, stored: Stored, side: int = SIDE) -> bytes | None:
    """The thumbnail of one stored image; None where its pixels cannot be read."""
    try:
        return thumbnail(read(stored.offset, stored.size), side)
    except StoreError:
        return None


def _sizes(target: Store, folder: str) -> dict[str, int]:
    """The thumbnails that are there, with their bytes."""
    try:
        found = target.filesystem.ls(target.path(folder), detail=True)
    except FileNotFoundError:
        return {}
    named = {str(f["name"]).rsplit("/", 1)[-1]: int(f["size"] or 0) for f in found if f["type"] == "file"}
    return {name: size for name, size in named.items() if is_name(name)}
