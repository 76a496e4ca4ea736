"""Orientation: read from Exif without trusting it, applied to pixels. Also the directory walk that TIFF shares."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
ORIENTATION = 274
MOST_TAGS = 4096
"""Most tags of a directory that is read; cameras and scanners write below 200."""


class Crowded(ValueError):
    """A directory has more tags than anybody writes, and only costs time."""


@dataclass(frozen=True, slots=True)
class Directory:
    """One image file directory: its whole-number tags (first values only), and where the next one lies.

    ``counts`` say how many values each tag has. ``places`` are the tags' entries and ``next`` the next directory, both
    in bytes from the start of the data.
    """

    tags: dict[int, int]
    counts: dict[int, int]
    places: dict[int, int]
    bytes_claimed: int
    next: int


def directory(data: bytes, start: int, at: int) -> Directory:
    """The directory that lies ``at`` bytes into the data, of the TIFF structure that begins at ``start``.

    Nothing is allocated by what the file claims. Raises ``ValueError`` when it does not lie in the data, and
    ``Crowded`` when it has more than ``MOST_TAGS``.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[start : start + 2])
    if order is None:
        raise ValueError("no byte order")
    try:
        (count,) = struct.unpack_from(order + "H", data, at)
        if count > MOST_TAGS:
            raise Crowded(f"a directory of {count} tags, the most is {MOST_TAGS}")
        tags: dict[int, int] = {}
        counts: dict[int, int] = {}
        places: dict[int, int] = {}
        claimed = 0
        for index in range(count):
            entry = at + 2 + 12 * index
            tag, kind, values = struct.unpack_from(order + "HHI", data, entry)
            size = _SIZES.get(kind, 1) * values
            counts[tag] = values
            places[tag] = entry
            claimed += size if size > 4 else 0
            if values and kind in _FORMATS:
                form = order + _FORMATS[kind]
                where = entry + 8
                if size > 4:
                    where = start + struct.unpack_from(order + "I", data, where)[0]
                if where + struct.calcsize(form) <= len(data):
                    tags[tag] = struct.unpack_from(form, data, where)[0]
        (following,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    except struct.error as error:
        raise ValueError(f"a directory runs over the end of the data: {error}") from error
    return Directory(tags, counts, places, claimed, following and start + following)


def first_directory(data: bytes, start: int) -> Directory:
    """The first directory of the TIFF structure that begins at ``start``. Raises ``ValueError``."""
    order = "<" if data[start : start + 2] == b"II" else ">"
    if len(data) < start + 8:
        raise ValueError("too short for a TIFF header")
    (at,) = struct.unpack_from(order + "I", data, start + 4)
    return directory(data, start, start + at)


def orientation(exif: bytes) -> int:
    """1 to 8 as Exif defines them; 1 when there is none or it cannot be read."""
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    try:
        value = first_directory(exif, start).tags.get(ORIENTATION, 1)
    except ValueError:
        return 1
    return value if 1 <= value <= 8 else 1


_UPRIGHT: dict[int, Callable[[Any], Any]] = {
    2: lambda a: cv2.flip(a, 1),
    3: lambda a: cv2.rotate(a, cv2.ROTATE_180),
    4: lambda a: cv2.flip(a, 0),
    5: cv2.transpose,
    6: lambda a: cv2.rotate(a, cv2.ROTATE_90_CLOCKWISE),
    7: lambda a: cv2.rotate(cv2.transpose(a), cv2.ROTATE_180),
    8: lambda a: cv2.rotate(a, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The same pixels (H, W, 3) turned as the orientation 1 to 8 asks."""
    turn = _UPRIGHT.get(orientation)
    if turn is None:
        return pixels
    turned: NDArray[np.uint8] = turn(pixels)
    return turned
