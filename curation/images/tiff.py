"""Reads a TIFF's first directory (TIFF 6.0) and counts its pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from curation.images import exif
from curation.images.facts import Header, PixelsRejected, Seen
from schemas.reasons import Reason

_REDUCED_OR_MASK, _PAGE = 1 | 4, 2  # bits of NewSubfileType
_MAX_PAGES = 64
# How often a TIFF's strips or tiles may cover its picture: padding and separate planes cover it less often.
_MAX_COVERS = 32


def read_tiff(data: bytes, max_pixels: int) -> Header:
    """Raises ``PixelsRejected``: UNDECODABLE, TRUNCATED, or TOO_MANY_PIXELS for tiles larger than ``max_pixels``."""
    try:
        first = exif.first_directory(data, 0)
    except ValueError as error:
        at = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")
        reason = Reason.TRUNCATED if at + 2 > len(data) or len(data) < 8 else Reason.UNDECODABLE
        raise PixelsRejected(reason, str(error), Seen("tiff")) from error
    tags = first.tags
    header = Header("tiff", tags.get(256, 0), tags.get(257, 0), data, inverted=tags.get(262) == 0)
    if first.bytes_claimed > len(data):
        raise header.rejected(Reason.UNDECODABLE, "its tags claim more bytes than there are")
    across, down = tags.get(322, 1), tags.get(323, 1)
    if across * down > max_pixels:
        raise header.rejected(
            Reason.TOO_MANY_PIXELS, f"tiles of {across}x{down} pixels, the maximum is {max_pixels} pixels"
        )
    bits = tags.get(258, 8)
    if bits < 1:
        raise header.rejected(Reason.UNDECODABLE, f"samples of {bits} bits")
    covers = _covers(header, first)
    if covers > _MAX_COVERS:
        raise header.rejected(Reason.UNDECODABLE, f"its parts cover the picture {covers:.0f} times")
    turned = tags.get(exif.ORIENTATION, 1)
    return replace(
        header,
        body=_for_pillow(data, first, bits),
        animated=_more_pages(data, header, first.next),
        orientation=turned,
        white=(1 << min(bits, 16)) - 1,
        optional_alpha=tags.get(338, 0) == 0,
        missing=_missing(data, first),
    )


def _covers(header: Header, first: exif.Directory) -> float:
    """How often the strips or tiles would fill the picture if each were decoded, as Pillow does."""
    pixels = header.width * header.height
    if pixels <= 0:
        return 0.0
    strip = header.width * min(first.tags.get(278, header.height), header.height)
    tile = min(first.tags.get(322, 1), header.width) * min(first.tags.get(323, 1), header.height)
    return max(first.counts.get(273, 0) * strip, first.counts.get(324, 0) * tile) / pixels


def _missing(data: bytes, first: exif.Directory) -> str | None:
    for places, sizes in ((273, 279), (324, 325)):
        if places in first.places and sizes in first.places:
            parts = zip(exif.values(data, first, places), exif.values(data, first, sizes), strict=False)
            ends = [at + size for at, size in parts]
            if ends and max(ends) > len(data):
                return f"its strips or tiles end at {max(ends)} of {len(data)} bytes"
    return None


def _for_pillow(data: bytes, first: exif.Directory, bits: int) -> bytes:
    """The same TIFF as Pillow should read it: stored rows and deep samples as they are, which ``Header`` explains."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    body = data
    if first.tags.get(exif.ORIENTATION, 1) != 1:
        # Pillow would turn this format by itself; a private tag means nothing to it.
        at = first.places[exif.ORIENTATION]
        body = body[:at] + b"\xff\xff" + body[at + 2 :]
    changes = []
    if bits > 8 and first.tags.get(262) == 0:
        changes.append((262, 1))  # white is zero, which Pillow knows for few kinds of deep samples
    if bits == 32 and first.tags.get(339) == 1 and order == "big":
        changes.append((339, 2))  # no sign, which Pillow does not know in this byte order
    for tag, value in changes:
        at = first.places[tag] + 8
        body = body[:at] + value.to_bytes(2, order) + body[at + 2 :]
    return body


def _more_pages(data: bytes, header: Header, at: int) -> bool:
    """Whether there is a second picture. Masks and smaller copies of the first do not count; cycles end."""
    visited: set[int] = set()
    while at and at not in visited and len(visited) < _MAX_PAGES:
        visited.add(at)
        try:
            page = exif.directory(data, 0, at)
        except ValueError:
            return False
        if not _is_copy(page, header):
            return True
        at = page.next
    return False


def _is_copy(page: exif.Directory, header: Header) -> bool:
    """Whether the page is marked as a mask or a smaller copy, or is at most half as large in the same proportions."""
    if page.tags.get(254, 0) & _REDUCED_OR_MASK or page.tags.get(255, 1) == 2:
        return True
    if page.tags.get(254, 0) & _PAGE:
        return False
    width, height = page.tags.get(256, 0), page.tags.get(257, 0)
    if not 0 < 2 * width <= header.width + 1 or not 0 < 2 * height <= header.height + 1:
        return False
    return abs(width * header.height - height * header.width) <= max(header.width, header.height)
