"""A PNG's headers, and a copy of it that holds nothing but its picture (PNG, third edition, section 11)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from curation.images.exif import orientation
from curation.images.verdict import PixelsRejected, Seen
from schemas.reasons import Reason

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
MAX_PROFILE = 4 << 20
"""Most bytes of a colour profile; the largest in use, for printing presses, stay below."""


@dataclass(frozen=True, slots=True)
class Png:
    """Header of a PNG. ``bare`` is the same picture without any chunk that a decoder can do without."""

    width: int
    height: int
    depth: int
    animated: bool
    orientation: int
    profile: bytes | None
    bare: bytes


def read_png(data: bytes) -> Png:
    """Raises ``PixelsRejected(UNDECODABLE)`` when the chunks do not hold together.

    Only the first colour profile is ever inflated, and of that at most ``MAX_PROFILE`` bytes.
    """
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise PixelsRejected(Reason.UNDECODABLE, "the PNG does not begin with its header", Seen("png"))
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    kept = [_SIGNATURE]
    animated = False
    turned = 1
    profile: bytes | None = None
    profiles = 0
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        body, end = at + 8, at + 12 + size
        if end > len(data) and kind != b"IDAT":
            break
        if kind in _NEEDED:
            kept.append(data[at:end])
        elif kind == b"acTL":
            animated = int.from_bytes(data[body : body + 4], "big") > 1
        elif kind == b"eXIf":
            turned = orientation(data[body : body + size])
        elif kind == b"iCCP":
            profiles += 1
            if profiles == 1:
                profile = _profile(data[body : body + size])
        if kind == b"IEND":
            break
        at = end
    return Png(width, height, data[24], animated, turned, profile, b"".join(kept))


def _profile(chunk: bytes) -> bytes | None:
    _, _, packed = chunk.partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(packed[1:], MAX_PROFILE)
    except zlib.error:
        return None
    return profile if inflater.eof else None
