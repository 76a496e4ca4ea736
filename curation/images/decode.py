"""Decodes once: OpenCV for JPEGs of one or three components, Pillow for everything else."""

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
from curation.images.entropy import Coded, coded_data
from curation.images.facts import Header, Jpeg, PixelsRejected
from curation.images.jpeg import END_MARKER
from curation.images.png import cut_short, repaired
from schemas.reasons import Reason

Pixels = NDArray[np.uint8]


class Decoded(NamedTuple):
    """Pixels (H, W, 3) in the order blue, green, red. The picture covers ``extent`` of them (across, down)."""

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
# Blocks decoded at a smaller size are soft towards their highest frequencies, and alias there. With four pixels left
# for one of the result, Lanczos removes those: sharpness is 0.97 or more of a full decode's (0.95 with three, 0.90 with
# two, 0.83 with one and a half; median of photographs at factors up to 16).
_FINISH = 4


def decode(header: Header, size: tuple[int, int]) -> Decoded:
    """The picture as sRGB on white, before orientation.

    A JPEG comes out reduced by 2, 4 or 8 where that leaves ``_FINISH`` pixels or more for each of ``size`` (width,
    height): its blocks are then decoded at that size, which is faster. What is left is for a proper filter.
    Raises ``PixelsRejected``: TRUNCATED for data that end before the picture does, UNDECODABLE for damaged data.
    """
    try:
        if header.jpeg is None:
            return Decoded(_other(header), (header.width, header.height))
        grey = len(header.jpeg.components) == 1 and PROFILES.transform(header.profile, "L") is None
        simple = grey or len(header.jpeg.components) == 3
        if not (simple and header.jpeg.one_scan):
            _check_coded(header)
        return _jpeg(header, header.jpeg, size) if simple else Decoded(_other(header), (header.width, header.height))
    except PixelsRejected:
        raise
    except Exception as error:
        # Decoders meet hostile bytes with every exception there is; none of them is our fault.
        detail = f"{type(error).__name__}: {error}"
        missing = header.missing or (cut_short(header) if header.format == "png" else None)
        raise header.rejected(
            Reason.TRUNCATED if missing else Reason.UNDECODABLE, f"{missing}; {detail}" if missing else detail
        ) from error


def _check_coded(header: Header) -> None:
    match coded_data(header):
        case Coded.SHORT:
            raise header.rejected(Reason.TRUNCATED, "the JPEG ends before its picture does")
        case Coded.DAMAGED:
            raise header.rejected(Reason.UNDECODABLE, "the JPEG holds codes that none of its tables defines")


def _jpeg(header: Header, jpeg: Jpeg, size: tuple[int, int]) -> Decoded:
    spare = min(header.width / size[0], header.height / size[1]) / _FINISH
    by = max(n for n in _REDUCED if n == 1 or spare >= n)
    data = np.frombuffer(header.body, np.uint8)
    pixels: Pixels | None = cv2.imdecode(data, _REDUCED[by] | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        _check_coded(header)
    expected = -(-header.height // by), -(-header.width // by)
    if pixels is None or pixels.shape[:2] != expected:
        raise header.rejected(Reason.UNDECODABLE, "the JPEG is damaged")
    transform = PROFILES.transform(header.profile, "RGB")
    if transform is not None and len(jpeg.components) == 3:
        pixels = _bgr(transform.apply(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))))
    return Decoded(pixels, (header.width / by, header.height / by))


def _other(header: Header) -> Pixels:
    jpeg = header.jpeg
    try:
        return _by_pillow(header, header.body if jpeg is None else header.body[: jpeg.end] + END_MARKER)
    except (OSError, SyntaxError, ValueError):
        body = repaired(header) if header.format == "png" else None
        if body is None:
            raise
    return _by_pillow(header, body)


def _by_pillow(header: Header, body: bytes) -> Pixels:
    with _PLUGINS[header.format](io.BytesIO(body)) as image:
        image.info.pop("xmp", None)  # where Pillow looks for an orientation of its own
        if image.size != (header.width, header.height):
            found = f"{image.width}x{image.height} where its header says {header.width}x{header.height}"
            raise header.rejected(Reason.UNDECODABLE, found)
        image.load()
        if header.format == "png" and _blank_below(image):
            missing = cut_short(header)
            if missing:
                raise header.rejected(Reason.TRUNCATED, missing)
        return _bgr(to_srgb(image, header))


def _blank_below(image: Image.Image) -> bool:
    """Whether one of the last two rows holds zeros alone, as Pillow leaves them where a stream ends early."""
    width, height = image.size
    rows = (image.crop((0, y, width, y + 1)) for y in range(max(height - 2, 0), height))
    return any(row.getbbox(alpha_only=False) is None for row in rows)


def _bgr(image: Image.Image) -> Pixels:
    pixels: Pixels = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)
    return pixels
