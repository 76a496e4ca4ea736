"""Reads Exif's orientation, and the directories of tags that Exif and TIFF share, from untrusted bytes."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])\b")
_MAX_VALUES = 1 << 20
EXIF = b"Exif\0\0"
ORIENTATION = 274
MAX_TAGS = 4096
"""Maximum tags of a directory; cameras and scanners write fewer than 200."""


class TooManyTags(ValueError):
    """A directory has more than ``MAX_TAGS`` tags, which no camera or program writes and which cost time."""


@dataclass(frozen=True, slots=True)
class Directory:
    """One image file directory (TIFF 6.0, section 2).

    ``tags`` maps whole-number tags to their first value and ``counts`` every tag to its number of values.
    ``places`` are the offsets of the tags' entries and ``next`` is the offset of the next directory, both in bytes
    from the start of the data. ``bytes_claimed`` is the size of all values that lie outside their entries.
    """

    tags: dict[int, int]
    counts: dict[int, int]
    places: dict[int, int]
    bytes_claimed: int
    next: int


def directory(data: bytes, start: int, at: int) -> Directory:
    """Reads the directory at offset ``at`` of the data, in the TIFF structure that begins at ``start``.

    Memory does not depend on the sizes that the file states. Raises ``ValueError`` when the directory runs over the
    end of the data, ``TooManyTags`` when it has more than ``MAX_TAGS``.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[start : start + 2])
    if order is None:
        raise ValueError("no byte order")
    try:
        (count,) = struct.unpack_from(order + "H", data, at)
        if count > MAX_TAGS:
            raise TooManyTags(f"a directory of {count} tags, the maximum is {MAX_TAGS}")
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
    """Reads the first directory of the TIFF structure that begins at ``start``. Raises as ``directory``."""
    order = "<" if data[start : start + 2] == b"II" else ">"
    if len(data) < start + 8:
        raise ValueError("too short for a TIFF header")
    (at,) = struct.unpack_from(order + "I", data, start + 4)
    return directory(data, start, start + at)


def values(data: bytes, found: Directory, tag: int) -> list[int]:
    """All whole numbers of a tag in a TIFF that begins with the data; none when they do not lie in the data."""
    order = "<" if data[:2] == b"II" else ">"
    entry = found.places[tag]
    _, kind, count = struct.unpack_from(order + "HHI", data, entry)
    size = _SIZES.get(kind, 1) * count
    at = entry + 8 if size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
    if kind not in _FORMATS or count > _MAX_VALUES or at + size > len(data):
        return []
    return list(struct.unpack_from(f"{order}{count}{_FORMATS[kind]}", data, at))


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """1 to 8 as Exif defines them; 1 when there is none or it cannot be read.

    ``xmp`` is used where Exif states no orientation (Metadata Working Group, Guidelines 2.0, section 5.4).
    """
    start = len(EXIF) if exif.startswith(EXIF) else 0
    try:
        value = first_directory(exif, start).tags.get(ORIENTATION)
    except ValueError:
        value = None
    if value is None:
        found = _XMP_ORIENTATION.search(xmp)
        value = int(found[1]) if found else 1
    return value if 1 <= value <= 8 else 1
