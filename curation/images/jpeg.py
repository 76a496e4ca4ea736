"""A JPEG's headers, read marker by marker (ITU-T T.81, annex B) without decoding anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from curation.images.exif import orientation
from curation.images.verdict import PixelsRejected, Seen
from schemas.reasons import Reason

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})
# Markers with a length behind them, and the end. Decoders skip lower ones and restarts like coded data.
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
# What does not belong in and behind the coded data: all but restarts and the end and, in a progressive file,
# tables and headers of further scans. Any other marker is damage, which some decoders paint over and others refuse.
_ODD = re.compile(rb"\xff[^\x00\xff\xd0-\xd7\xd9]")
_ODD_PROGRESSIVE = re.compile(rb"\xff[^\x00\xff\xd0-\xd7\xd9\xc4\xda\xdd]")
_MOST_SEGMENTS = 100_000
_MOST_SCANS = 100  # as libtiff; encoders write 10 to 20, and each has a decoder look at every block again
_PROFILE = b"ICC_PROFILE\0"
_EXIF = b"Exif\0\0"
_END = b"\xff\xd9"
# Longer than what a decoder looks ahead; a byte that cannot be taken for a marker.
_FILLER = b"\x5a" * 512


@dataclass(frozen=True, slots=True)
class Jpeg:
    """Frame and metadata of a JPEG; sizes in pixels, before orientation. ``scan`` is where its data starts."""

    width: int
    height: int
    components: int
    plain: bool
    orientation: int
    profile: bytes | None
    scan: int


def read_jpeg(data: bytes) -> Jpeg:
    """``plain`` says: 8 bits, Huffman coded, baseline or progressive and orderly, which every reader understands.

    Raises ``PixelsRejected(UNDECODABLE)`` when there is no frame before the first scan, or more scans or
    segments than anybody writes: a scan of 14 bytes costs a decoder as much as one of megabytes.
    """
    frame: tuple[int, int, int, int, int] | None = None
    turned = 1
    profiles: dict[int, bytes] = {}
    scan = 0
    for marker, start, end in _segments(data):
        body = start + 4
        if marker == 0xDA:
            scan = start
            break
        if marker in _FRAMES and frame is None and body + 6 <= len(data):
            height, width = (int.from_bytes(data[body + i : body + i + 2], "big") for i in (1, 3))
            frame = marker, data[body], width, height, data[body + 5]
        elif marker == 0xE1 and turned == 1 and data.startswith(_EXIF, body):
            turned = orientation(data[body:end])
        elif marker == 0xE2 and data.startswith(_PROFILE, body) and end - body > 14:
            profiles[data[body + 12]] = data[body + 14 : end]
    if frame is None or not scan:
        raise PixelsRejected(Reason.UNDECODABLE, "the JPEG ends before its first scan", Seen("jpeg"))
    kind, bits, width, height, components = frame
    orderly = _ODD.search(data, scan + 2) is None
    if not orderly and sum(marker == 0xDA for marker, _, _ in _segments(data, scan)) > _MOST_SCANS:
        raise PixelsRejected(Reason.UNDECODABLE, f"more than {_MOST_SCANS} scans", Seen("jpeg", width, height))
    profile = b"".join(profiles[n] for n in sorted(profiles)) or None
    orderly = orderly or (kind == 0xC2 and _ODD_PROGRESSIVE.search(data, scan + 2) is None)
    plain = kind in _HUFFMAN and bits == 8 and orderly
    return Jpeg(width, height, components, plain, turned, profile, scan)


def without_metadata(data: bytes, scan: int) -> bytes:
    """The same JPEG without Exif, profiles and comments, so that no decoder has to parse them."""
    kept = [data[:2]]
    for marker, start, end in _segments(data):
        if start >= scan:
            break
        if not (0xE1 <= marker <= 0xED or marker in (0xEF, 0xFE)):
            kept.append(data[start:end])
    kept.append(data[scan:])
    return b"".join(kept)


def _segments(data: bytes, at: int = 2) -> Iterator[tuple[int, int, int]]:
    """Each marker segment's code, start and end, from ``at`` to the end of the image; coded data are passed over.

    Raises ``PixelsRejected(UNDECODABLE)`` when there is no end to them.
    """
    for _ in range(_MOST_SEGMENTS):
        found = _SEGMENT.search(data, at)
        if found is None or found.end() + 2 > len(data):
            return
        marker, start = data[found.end() - 1], found.end() - 2
        if marker == 0xD9:
            return
        at = found.end() + max(int.from_bytes(data[found.end() : found.end() + 2], "big"), 2)
        yield marker, start, at
    raise PixelsRejected(Reason.UNDECODABLE, f"a JPEG of more than {_MOST_SEGMENTS} segments", Seen("jpeg"))


def with_filler(data: bytes, scan: int) -> bytes:
    """The same JPEG with more coded data in front of its end.

    A decoder that had all it needed does not look at it; one whose data broke off early does. So the two
    decode alike exactly when nothing was missing.
    """
    end = data.find(_END, scan)
    return data if end < 0 else data[:end] + _FILLER + data[end:]
