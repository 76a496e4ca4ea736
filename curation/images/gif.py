"""Reads a GIF's blocks (GIF89a specification) up to its second picture, and counts the pixels of the first."""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.images.facts import Header, PixelsRejected, Seen
from curation.images.jit import jit
from schemas.reasons import Reason

_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B


def read_gif(data: bytes, max_pixels: int) -> Header:
    """Raises ``PixelsRejected``: UNDECODABLE, TRUNCATED when pixels are missing, TOO_MANY_PIXELS.

    The canvas grows to hold a picture that is larger than the screen of the file. What the picture leaves free is
    transparent, as in browsers, whatever background colour the file names.
    """
    width, height = _u16(data, 6), _u16(data, 8)
    at = 13 + _table(data[10:11])
    pictures: list[tuple[int, int, int, int, int, int]] = []
    while at < len(data) and len(pictures) < 2:
        if data[at] == _EXTENSION:
            at = _skip_blocks(data, at + 2)
        elif data[at] == _PICTURE and at + 11 <= len(data):
            left, top, wide, high = (_u16(data, at + i) for i in (1, 3, 5, 7))
            start = at + 10 + _table(data[at + 9 : at + 10])
            at = _skip_blocks(data, start + 1)
            pictures.append((left, top, left + wide, top + high, start, at))
        else:
            break
    if not pictures:
        reason = Reason.TRUNCATED if data[at : at + 1] in (b"", b",") else Reason.UNDECODABLE
        raise PixelsRejected(reason, "the GIF ends before its picture", Seen("gif", width or None, height or None))
    left, top, right, bottom, start, end = pictures[0]
    width, height = max(width, right), max(height, bottom)
    frame = left, top, right, bottom
    header = Header(
        "gif",
        width,
        height,
        data[: min(end, len(data))] + b"\0;",
        animated=len(pictures) > 1,
        frame=None if frame == (0, 0, width, height) else frame,
    )
    if header.animated or width * height > max_pixels:
        return header
    expected = (right - left) * (bottom - top)
    found = _pixels(data, start, expected)
    if found < expected:
        raise header.rejected(Reason.TRUNCATED, f"the GIF holds {found} of {expected} pixels")
    return header


def warm_up() -> None:
    """Compiles the kernel, so that no image has to wait for it."""
    _count_pixels(np.frombuffer(bytes(3), np.uint8), 2, 1)


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _table(flags: bytes) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 128 else 0


def _skip_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def _pixels(data: bytes, at: int, enough: int) -> int:
    if at >= len(data) or not 1 <= data[at] <= 11:
        return 0
    bits = data[at]
    at += 1
    blocks = []
    while at < len(data) and data[at]:
        blocks.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return int(_count_pixels(np.frombuffer(b"".join(blocks) + b"\0\0\0", np.uint8), bits, enough))


@jit
def _count_pixels(packed: Any, bits: Any, enough: Any) -> Any:
    """How many pixels LZW codes stand for, counted up to ``enough``. Three bytes of padding follow the codes."""
    clear = 1 << bits
    lengths = np.ones(4096, np.int64)
    width: Any = bits + 1
    following, before = clear + 2, -1
    bit, total, end = 0, 0, 8 * (packed.size - 3)
    while total < enough and bit + width <= end:
        i = bit >> 3
        word = np.int64(packed[i]) | np.int64(packed[i + 1]) << 8 | np.int64(packed[i + 2]) << 16
        code = (word >> (bit & 7)) & ((1 << width) - 1)
        bit += width
        if code == clear:
            width, following, before = bits + 1, clear + 2, -1
            continue
        if code == clear + 1 or code > following or (code == following and before < 0):
            break
        if before >= 0 and following < 4096:
            lengths[following] = lengths[before] + 1
            following += 1
            if following == 1 << width and width < 12:
                width += 1
        if code >= clear + 2:
            total += lengths[code]
        else:
            total += 1
        before = code
    return total
