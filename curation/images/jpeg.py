"""Reads a JPEG's headers marker by marker (ITU-T T.81, annex B) without decoding anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from curation.images.exif import EXIF, orientation
from curation.images.facts import Component, Header, Jpeg, PixelsRejected, Seen
from schemas.reasons import Reason

SCAN, END, TABLES, RESTART = 0xDA, 0xD9, 0xC4, 0xDD
SEQUENTIAL, PROGRESSIVE = frozenset({0xC0, 0xC1}), 0xC2
HUFFMAN = SEQUENTIAL | {PROGRESSIVE}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {TABLES, 0xC8, 0xCC}
# Markers with a length, and the end. Decoders skip lower ones and restarts like coded data.
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
_SEGMENTS = frozenset((*range(0xC0, 0xD0), *range(0xD9, 0xFF)))
# Coded data end at the first marker; with a restart interval, at the first one that is no restart.
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_NO_RESTART = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# Markers that do not belong behind the coded data. Some decoders paint over such damage and others refuse it.
_ODD = re.compile(rb"\xff[^\x00\xff\xd0-\xd7\xd9]")
_ODD_PROGRESSIVE = re.compile(rb"\xff[^\x00\xff\xd0-\xd7\xd9\xc4\xda\xdd]")
_RESTARTS = re.compile(rb"\xff[\xd0-\xd7]")
_MAX_SEGMENTS = 100_000
_MAX_SCANS = 100  # as libtiff; encoders write 10 to 20, and a decoder visits every block again for each
END_MARKER = b"\xff\xd9"
# libjpeg fills a register of 64 bits before it decodes the last code; these bits end no block early.
_READ_AHEAD = b"\xfe" * 8
_JFIF, _COMMENT = 0xE0, 0xFE
_PROFILE = b"ICC_PROFILE\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def read_jpeg(data: bytes) -> Header:
    """Raises ``PixelsRejected``: TRUNCATED when the data end before the first scan or restart intervals are missing,
    UNDECODABLE for more scans or segments than any encoder writes: 14 bytes of a scan cost a decoder as much as
    megabytes.
    """
    frame: tuple[int, int, int, int, tuple[Component, ...]] | None = None
    exif, xmp = b"", b""
    profiles: dict[int, bytes] = {}
    restart = scan = 0
    any_segment = False
    for marker, start, end in segments(data):
        any_segment = True
        at = start + 4
        if marker in (SCAN, END):
            scan = start if marker == SCAN else 0
            break
        if marker in _FRAMES and frame is None and at + 6 <= len(data):
            frame = _frame(marker, data[at:end])
        elif marker == 0xE1 and data.startswith(EXIF, at) and orientation(exif) == 1:
            exif = data[at:end]
        elif marker == 0xE1 and data.startswith(_XMP, at):
            xmp = data[at:end]
        elif marker == 0xE2 and data.startswith(_PROFILE, at) and end - at > 14:
            profiles[data[at + 12]] = data[at + 14 : end]
        elif marker == RESTART:
            restart = int.from_bytes(data[at : at + 2], "big")
    if frame is None or not scan:
        reason = Reason.TRUNCATED if any_segment else Reason.UNDECODABLE
        raise PixelsRejected(reason, "the JPEG ends before its first scan", Seen("jpeg"))
    process, bits, width, height, components = frame
    jpeg = _layout(data, process, bits, components, restart, scan)
    body, tail = _body(data, jpeg, scan)
    header = Header(
        "jpeg",
        width,
        height,
        body + tail,
        orientation=orientation(exif, xmp),
        profile=b"".join(profiles[n] for n in sorted(profiles)) or None,
        jpeg=replace(jpeg, end=len(body)),
    )
    if jpeg.one_scan and restart and width and height:
        expected = -(-_units(width, height, components) // restart) - 1
        found = len(_RESTARTS.findall(data, scan, jpeg.end))
        if found < expected:
            raise header.rejected(Reason.TRUNCATED, f"{found} of {expected} restart markers")
    return header


def without_metadata(data: bytes, end: int) -> bytes:
    """The same JPEG with what its decoding needs, colour profile included, and nothing else: no Exif, XMP, comments or
    thumbnails, and nothing behind its end. ``end`` is where its coded data end (``Jpeg.end``)."""
    kept = [data[:2]]
    for marker, start, after in segments(data):
        if marker == SCAN:
            kept.append(data[start:end])
            break
        if marker == _JFIF and data.startswith(b"JFIF\0", start + 4):
            kept.append(b"\xff\xe0\x00\x10" + data[start + 4 : start + 16] + b"\0\0")  # a thumbnail of no pixels
        elif (not 0xE0 <= marker <= 0xEF and marker != _COMMENT) or _is_needed(data[start:after]):
            kept.append(data[start:after])
    return b"".join([*kept, END_MARKER])


def _is_needed(segment: bytes) -> bool:
    """Whether an application's segment says how colours are to be understood."""
    return (segment.startswith(b"\xee", 1) and segment.startswith(b"Adobe", 4)) or segment.startswith(_PROFILE, 4)


def segments(data: bytes, at: int = 2) -> Iterator[tuple[int, int, int]]:
    """Yields each marker segment's code, start and end, from ``at`` to the end marker included; skips coded data.

    Raises ``PixelsRejected(UNDECODABLE)`` for more than ``_MAX_SEGMENTS``.
    """
    size = len(data)
    for _ in range(_MAX_SEGMENTS):
        if at + 1 < size and data[at] == 0xFF and data[at + 1] in _SEGMENTS:
            start = at  # as nearly all, right behind the one before
        else:
            found = _SEGMENT.search(data, at)
            if found is None:
                return
            start = found.start()
        marker, at = data[start + 1], start + 2
        if marker == END:
            yield marker, start, at
            return
        if at + 2 > size:
            return
        at += max(data[at] << 8 | data[at + 1], 2)
        yield marker, start, at
    raise PixelsRejected(Reason.UNDECODABLE, f"a JPEG of more than {_MAX_SEGMENTS} segments", Seen("jpeg"))


def _body(data: bytes, jpeg: Jpeg, scan: int) -> tuple[bytes, bytes]:
    """The bytes for the decoder up to the end of the coded data, and what is to follow them.

    In place of the end marker, a single scan is followed by just what a decoder reads ahead. So one decode tells
    whether all coded data are there: if not, the decoder runs out of bytes and fails. With the end marker it would
    paint what is missing grey and call that a success.
    """
    if len(jpeg.components) == 3:
        return data[: jpeg.end], _READ_AHEAD if jpeg.one_scan else END_MARKER
    # Pillow may decode this one, and would parse Exif, profiles and comments.
    kept = [data[:2]]
    for marker, start, end in segments(data):
        if start >= scan:
            break
        if not (0xE1 <= marker <= 0xED or marker in (0xEF, 0xFE)):
            kept.append(data[start:end])
    alone = jpeg.one_scan and len(jpeg.components) == 1
    return b"".join([*kept, data[scan : jpeg.end]]), _READ_AHEAD if alone else END_MARKER


def _frame(marker: int, body: bytes) -> tuple[int, int, int, int, tuple[Component, ...]]:
    height, width = (int.from_bytes(body[i : i + 2], "big") for i in (1, 3))
    sampling = [body[i : i + 3] for i in range(6, 6 + 3 * body[5], 3)]
    components = tuple(Component(c[0], c[1] >> 4, c[1] & 15) for c in sampling if len(c) == 3)
    return marker, body[0], width, height, components


def _layout(data: bytes, process: int, bits: int, components: tuple[Component, ...], restart: int, scan: int) -> Jpeg:
    together = data[scan + 4 : scan + 5] == bytes([len(components)])
    one_scan = process in SEQUENTIAL and together
    stop = (_NO_RESTART if restart else _MARKER).search(data, scan + 2)
    if stop is not None and data[stop.start() + 1] == END:
        end, tidy = stop.start(), _ODD.search(data, stop.end()) is None
    else:
        scans, end, ended = _scans(data, scan)
        one_scan = one_scan and scans == 1
        if one_scan and stop is not None:
            end = stop.start()
        tidy = ended and process == PROGRESSIVE and _ODD_PROGRESSIVE.search(data, scan + 2) is None
    while end > scan and data[end - 1] == 0xFF:
        end -= 1  # fill bytes, or half an end marker
    plain = tidy and process in HUFFMAN and bits == 8
    return Jpeg(process, bits, components, restart, end, one_scan, plain)


def _scans(data: bytes, scan: int) -> tuple[int, int, bool]:
    """How many scans there are, where their data end, and whether an end marker follows.

    Raises ``PixelsRejected(UNDECODABLE)`` for more than ``_MAX_SCANS``.
    """
    scans = 0
    for marker, start, _ in segments(data, scan):
        if marker == END:
            return scans, start, True
        scans += marker == SCAN
        if scans > _MAX_SCANS:
            raise PixelsRejected(Reason.UNDECODABLE, f"more than {_MAX_SCANS} scans", Seen("jpeg"))
    return scans, len(data), False


def _units(width: int, height: int, components: tuple[Component, ...]) -> int:
    """Coding units of a scan of all components."""
    if len(components) == 1:
        return -(-width // 8) * -(-height // 8)
    across = 8 * max(1, *(c.across for c in components))
    down = 8 * max(1, *(c.down for c in components))
    return -(-width // across) * -(-height // down)
