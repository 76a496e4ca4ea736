"""Resize an image for a request, and draw one for a trial."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from curation.caption.regions import Region, cut
from curation.images.reading import ImageReader


def fit(data: bytes, side: int) -> bytes:
    """The image as JPEG with its longer side reduced to ``side`` pixels.

    The bytes are returned unchanged when the image fits, when ``side`` is 0, or when they are no image (the model
    then reports that).
    """
    if side == 0:
        return data
    try:
        with Image.open(io.BytesIO(data)) as image:
            if max(image.size) <= side:
                return data
            scale = side / max(image.size)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image.draft("RGB", (4 * size[0], 4 * size[1]))  # a JPEG decodes faster so; below that it gets soft
            small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    except (OSError, ValueError, Image.DecompressionBombError):
        return data
    out = io.BytesIO()
    small.save(out, "JPEG", quality=95)
    return out.getvalue()


@dataclass
class FittedImages:
    """The images of a shard as requests show them; for one thread.

    The latest one is kept, because what is asked about an image is asked in a row.
    """

    images: ImageReader
    _latest: tuple[int, int, Region | None] = (-1, 0, None)
    _data: bytes = field(default=b"", repr=False)

    def __call__(self, offset: int, size: int, sha256: str, side: int, region: Region | None = None) -> bytes:
        """The image at ``offset`` of ``size`` bytes with this ``sha256``, or a region of it; ``side`` is as in ``fit``.

        Raises ``StoreError`` where it is another one: no reply may be paid for about damaged pixels.
        """
        if (offset, side, region) != self._latest:
            self._data = fit(cut(self.images(offset, size, sha256), region), side)
            self._latest = (offset, side, region)
        return self._data


def square(side: int, ground: str = "gray", middle: str = "silver") -> bytes:
    """A plain picture of ``side`` pixels with a smaller square in its middle, as JPEG."""
    image = Image.new("RGB", (side, side), ground)
    third = side // 3
    ImageDraw.Draw(image).rectangle((third, third, 2 * third, 2 * third), fill=middle)
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()
