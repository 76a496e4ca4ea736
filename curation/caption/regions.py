"""Captions of parts of pictures: which part a kind of caption is about, and the pixels that a model is shown."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Protocol

from PIL import Image

from curation.core.stage import Shard
from schemas.arrow import Record

Region = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the exported image; right and bottom are exclusive."""
Described = Mapping[str, Region | None]
"""Kind of caption -> the region that it describes, None for the whole picture. Other kinds are not asked for."""


class Regions(Protocol):
    """Which part of its picture each kind of caption describes. A picture that is not named is not described."""

    @property
    def reads(self) -> tuple[type[Record], ...]:
        """The tables that say so."""
        ...

    def of(self, shard: Shard) -> Mapping[str, Described]:
        """By sample_id."""
        ...


def image_key(sha256: str, region: Region | None) -> str:
    """What identifies the pixels that a model is shown, for ``reply_key``."""
    return sha256 if region is None else f"{sha256}:{','.join(map(str, region))}"


def cut(data: bytes, region: Region | None) -> bytes:
    """The region of an image as JPEG; the image as it is where the region is all of it."""
    if region is None:
        return data
    with Image.open(io.BytesIO(data)) as image:
        part = image.crop(region).convert("RGB")
    out = io.BytesIO()
    part.save(out, "JPEG", quality=95)
    return out.getvalue()
