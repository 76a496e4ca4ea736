"""Reads a PNG's chunks (PNG, third edition, section 11) and copies those that its picture needs."""

from __future__ import annotations

import re
import zlib

from curation.images import cicp
from curation.images.exif import orientation
from curation.images.facts import MAX_PROFILE, Header, PixelsRejected, Seen
from schemas.reasons import Reason

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MAX_METADATA = 1 << 20
_HEXADECIMAL = re.compile(rb"^\s*(?:exif|app1|generic profile)\s+\d+\s+([0-9a-fA-F\s]+)$")


def read_png(data: bytes) -> Header:
    """The header, whose ``body`` is the same picture without any chunk that a decoder can do without.

    Only the first colour profile is inflated, to at most ``MAX_PROFILE`` bytes.
    Raises ``PixelsRejected(UNDECODABLE)`` when the file does not begin with its header.
    """
    if data[12:16] != b"IHDR" or len(data) < 33:
        reason = Reason.UNDECODABLE if len(data) >= 16 and data[12:16] != b"IHDR" else Reason.TRUNCATED
        raise PixelsRejected(reason, "the PNG does not begin with its header", Seen("png"))
    kept = [_SIGNATURE]
    metadata: dict[bytes, bytes] = {}
    texts: list[bytes] = []
    frames = 0
    missing: str | None = "the PNG has no end chunk"
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        body, end = at + 8, at + 12 + size
        if end > len(data):
            missing = f"the PNG ends within its chunk {kind!r}"
            if kind == b"IDAT":
                kept.append(data[at:end])
            break
        if kind in _NEEDED:
            kept.append(data[at:end])
        if kind in (b"eXIf", b"iCCP", b"cICP", b"sRGB", b"tRNS") or (kind == b"acTL" and b"IDAT" not in metadata):
            metadata.setdefault(kind, data[body : body + size])
        elif kind == b"IDAT":
            metadata[kind] = b""
        elif kind == b"fcTL":
            frames += 1
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and len(texts) < 64:
            texts.append(kind + data[body : body + min(size, _MAX_METADATA)])
        if kind == b"IEND":
            missing = None
            break
        at = end
    depth, colour = data[24], data[25]
    if b"IDAT" not in metadata and missing is None:
        raise PixelsRejected(Reason.UNDECODABLE, "the PNG holds no picture", Seen("png"))
    claimed = int.from_bytes(metadata.get(b"acTL", b"")[:4], "big")
    exif, xmp = _texts(texts)
    return Header(
        "png",
        int.from_bytes(data[16:20], "big"),
        int.from_bytes(data[20:24], "big"),
        b"".join(kept),
        # The claim counts where the frames cannot be counted.
        animated=claimed > 1 and (frames > 1 or missing is not None),
        orientation=orientation(metadata.get(b"eXIf", exif), xmp),
        profile=_profile(metadata),
        depth=depth,
        white=(1 << depth) - 1,
        key=_key(metadata.get(b"tRNS", b""), depth, colour),
        missing=missing,
    )


def repaired(header: Header) -> bytes | None:
    """The same picture with a whole data stream, where nothing but the stream's end is missing."""
    pixels = _inflated(header)
    if pixels is None or len(pixels) < _expected(header):
        return None
    at = header.body.index(b"IDAT") - 4
    packed = zlib.compress(pixels, 1)
    chunks = (b"IDAT", packed), (b"IEND", b"")
    return header.body[:at] + b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big") for kind, body in chunks
    )


def without_key(header: Header) -> bytes:
    """The same picture without its transparent colour."""
    at = header.body.index(b"tRNS") - 4
    return header.body[:at] + header.body[at + 12 + int.from_bytes(header.body[at : at + 4], "big") :]


def cut_short(header: Header) -> str | None:
    """How much of the picture is missing, if some is and the rest is undamaged."""
    pixels = _inflated(header)
    expected = _expected(header)
    if pixels is None or len(pixels) >= expected:
        return None
    return f"the PNG holds {len(pixels)} of {expected} bytes of its picture"


def _inflated(header: Header) -> bytes | None:
    inflater = zlib.decompressobj()
    packed, at = [], len(_SIGNATURE)
    while at + 8 <= len(header.body):
        size = int.from_bytes(header.body[at : at + 4], "big")
        if header.body[at + 4 : at + 8] == b"IDAT":
            packed.append(header.body[at + 8 : at + 8 + size])
        at += 12 + size
    try:
        return inflater.decompress(b"".join(packed), _expected(header) + 1)
    except zlib.error:
        return None


def _expected(header: Header) -> int:
    """Bytes of the inflated picture, filter bytes included."""
    bits = header.depth * _CHANNELS.get(header.body[25], 4)
    if not header.body[28]:
        return header.height * (1 + -(-header.width * bits // 8))
    total = 0
    for left, top, across, down in _PASSES:
        wide, high = -(-(header.width - left) // across), -(-(header.height - top) // down)
        if wide > 0 and high > 0:
            total += high * (1 + -(-wide * bits // 8))
    return total


def _key(chunk: bytes, depth: int, colour: int) -> int | tuple[int, int, int] | None:
    """The transparent colour; only its low bits count (section 11.3.1.1)."""
    values = [int.from_bytes(chunk[i : i + 2], "big") & ((1 << depth) - 1) for i in range(0, len(chunk) - 1, 2)]
    if colour == 0 and len(values) >= 1:
        return values[0]
    if colour == 2 and len(values) >= 3:
        return values[0], values[1], values[2]
    return None


def _profile(metadata: dict[bytes, bytes]) -> bytes | None:
    """The colour space: cICP counts before iCCP (section 4.3)."""
    numbers = metadata.get(b"cICP", b"")
    if len(numbers) == 4 and numbers[2] == 0 and numbers[3]:
        return cicp.profile(numbers[0], numbers[1])
    _, _, packed = metadata.get(b"iCCP", b"").partition(b"\0")
    return _unpacked(packed[1:], MAX_PROFILE) if packed else None


def _unpacked(packed: bytes, limit: int) -> bytes | None:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(packed, limit)
    except zlib.error:
        return None
    return found if inflater.eof else None


def _texts(texts: list[bytes]) -> tuple[bytes, bytes]:
    """Exif as older programs stored it, in hexadecimal, and XMP."""
    exif, xmp = b"", b""
    for text in texts:
        kind = text[:4]
        keyword, _, rest = text[4:].partition(b"\0")
        if keyword in (b"Raw profile type exif", b"Raw profile type APP1") and kind != b"iTXt" and not exif:
            found = _HEXADECIMAL.match((_unpacked(rest[1:], _MAX_METADATA) or b"") if kind == b"zTXt" else rest)
            digits = re.sub(rb"\s", b"", found[1]) if found else b""
            exif = bytes.fromhex(digits[: len(digits) & ~1].decode())
        elif keyword == b"XML:com.adobe.xmp" and kind == b"iTXt" and not xmp:
            packed, value = rest[:1] == b"\1", b"".join(rest[2:].split(b"\0", 2)[2:])
            xmp = (_unpacked(value, _MAX_METADATA) or b"") if packed else value
    return exif, xmp
