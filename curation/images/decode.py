"""Decodes, once: OpenCV for JPEGs of three components, Pillow for everything else."""

from __future__ import annotations

import io
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from curation.images.colour import PROFILES, to_srgb
from curation.images.headers import Header
from curation.images.jpeg import with_filler
from curation.images.verdict import PixelsRejected
from schemas.reasons import Reason

Pixels = NDArray[np.uint8]


class Decoded(NamedTuple):
    """Pixels (H, W, 3) in the order blue, green, red, and how many of them the picture covers across and down."""

    pixels: Pixels
    extent: tuple[float, float]


# The format is known by now; letting Pillow guess again would let the bytes pick another decoder.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
}
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_GREY = 128


def decode(header: Header, at_least: tuple[int, int]) -> Decoded:
    """The picture as sRGB on white, before orientation.

    A JPEG comes out reduced by 2, 4 or 8 where that leaves ``at_least`` (width, height) pixels: its blocks
    are then decoded at that size, which is both the faster and the better filter.
    Raises ``PixelsRejected(UNDECODABLE)`` for data that is cut short or damaged.
    """
    try:
        if header.jpeg is not None and header.jpeg.components == 3:
            return _jpeg(header, at_least)
        return Decoded(_other(header), (header.width, header.height))
    except PixelsRejected:
        raise
    except Exception as error:
        # Decoders meet hostile bytes with every exception there is; none of them is about us.
        raise PixelsRejected(Reason.UNDECODABLE, f"{type(error).__name__}: {error}", header.seen) from error


def _jpeg(header: Header, at_least: tuple[int, int]) -> Decoded:
    by = max(n for n in _REDUCED if n == 1 or (header.width >= n * at_least[0] and header.height >= n * at_least[1]))
    pixels = _read(header.body, by)
    expected = -(-header.height // by), -(-header.width // by)
    if pixels is None or pixels.shape[:2] != expected:
        raise PixelsRejected(Reason.UNDECODABLE, "the JPEG is cut short or damaged", header.seen)
    if header.jpeg is not None and (pixels[-1, -1] == _GREY).all():
        # What a decoder paints where data is missing; real grey does not change when more data follows.
        again = _read(with_filler(header.body, header.jpeg.scan), by)
        if again is None or not np.array_equal(pixels, again):
            raise PixelsRejected(Reason.UNDECODABLE, "the JPEG ends before its picture does", header.seen)
    transform = PROFILES.transform(header.profile, "RGB")
    if transform is not None:
        pixels = _bgr(transform.apply(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))))
    return Decoded(pixels, (header.width / by, header.height / by))


def _read(data: bytes, by: int) -> Pixels | None:
    pixels: Pixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED[by] | cv2.IMREAD_IGNORE_ORIENTATION)
    return pixels


def _other(header: Header) -> Pixels:
    with _PLUGINS[header.format](io.BytesIO(header.body)) as image:
        image.info.pop("xmp", None)  # where Pillow looks for an orientation of its own
        if image.size != (header.width, header.height):
            found = f"{image.width}x{image.height} where its header says {header.width}x{header.height}"
            raise PixelsRejected(Reason.UNDECODABLE, found, header.seen)
        image.load()
        profile = header.profile or image.info.get("icc_profile")
        return _bgr(to_srgb(image, profile, header.white, header.inverted))


def _bgr(image: Image.Image) -> Pixels:
    pixels: Pixels = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)
    return pixels
