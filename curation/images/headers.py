"""Reads the header of an image of any format before a single pixel is decoded."""

from __future__ import annotations

import warnings

from curation.images.avif import read_avif
from curation.images.facts import Header, PixelsRejected
from curation.images.gif import read_gif
from curation.images.jpeg import read_jpeg
from curation.images.png import read_png
from curation.images.sniff import image_format
from curation.images.tiff import read_tiff
from curation.images.webp import read_webp
from schemas.reasons import Reason

# Pillow's remarks about hostile files become the detail of their rows.
warnings.filterwarnings("ignore", module=r"PIL(\.|$)")

_UNPACKED = frozenset({0, 3, 6})  # BMP compressions: none, bit fields, bit fields with alpha


def read_header(data: bytes, max_pixels: int) -> Header:
    """Raises ``PixelsRejected``: EMPTY_BODY, NOT_AN_IMAGE, UNSUPPORTED_FORMAT, TRUNCATED, UNDECODABLE for a header
    that contradicts itself, TOO_MANY_PIXELS for more than ``max_pixels``.
    """
    try:
        header = _read(data, max_pixels)
        pixels = header.width * header.height
        if not pixels:
            raise header.rejected(Reason.UNDECODABLE, f"its header says {header.width}x{header.height}")
        if pixels > max_pixels:
            size = f"{header.width}x{header.height} is {pixels} pixels"
            raise header.rejected(Reason.TOO_MANY_PIXELS, f"{size}, the maximum is {max_pixels}")
        return header
    except PixelsRejected:
        raise
    except Exception as error:
        # Hostile bytes find the case that no one thought of, and it costs them, not their shard.
        raise PixelsRejected(Reason.UNDECODABLE, f"{type(error).__name__}: {error}") from error


def _read(data: bytes, max_pixels: int) -> Header:
    match image_format(data):
        case "jpeg":
            return read_jpeg(data)
        case "png":
            return read_png(data)
        case "webp":
            return read_webp(data)
        case "bmp":
            return _bmp(data)
        case "tiff":
            return read_tiff(data, max_pixels)
        case "gif":
            return read_gif(data, max_pixels)
        case _:
            return read_avif(data)


def _bmp(data: bytes) -> Header:
    if int.from_bytes(data[14:18], "little") == 12:
        width, height = (int.from_bytes(data[i : i + 2], "little") for i in (18, 20))
        bits, compression = int.from_bytes(data[24:26], "little"), 0
    else:
        width, height = (abs(int.from_bytes(data[i : i + 4], "little", signed=True)) for i in (18, 22))
        bits, compression = (int.from_bytes(data[i:j], "little") for i, j in ((28, 30), (30, 34)))
    missing = None
    if compression in _UNPACKED and width and height:
        last = -(-width * bits // 8)
        end = int.from_bytes(data[10:14], "little") + (height - 1) * (-(-width * bits // 32) * 4) + last
        if end > len(data):
            missing = f"its pixels end at {end} of {len(data)} bytes"
        elif end + -last % 4 > len(data):
            data += bytes(-last % 4)  # the padding of the last row is no part of the picture
    return Header("bmp", width, height, data, optional_alpha=True, missing=missing)
