"""Reads a WebP's chunks (RFC 9649, section 2)."""

from __future__ import annotations

from curation.images.exif import orientation
from curation.images.facts import Header, PixelsRejected, Seen
from schemas.reasons import Reason

_PICTURES = frozenset({b"VP8 ", b"VP8L", b"ANMF"})
_NEEDED = _PICTURES | {b"VP8X", b"ANIM", b"ALPH"}
_ANIMATION, _ALPHA = 0x02, 0x10
_MAX_CHUNKS = 100_000


def read_webp(data: bytes) -> Header:
    """The header; ``animated`` counts pictures and believes no flag.

    Raises ``PixelsRejected``: TRUNCATED when the file ends before or within its picture, UNDECODABLE when it has none.
    """
    kept: list[bytes] = []
    metadata: dict[bytes, bytes] = {}
    pictures = 0
    size: tuple[int, int] | None = None
    frame: tuple[int, int, int, int] | None = None
    missing: str | None = None
    at = 12
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            break
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body, end = at + 8, at + 8 + length
        size = size or _size(kind, data[body : body + 10])
        if end > len(data) and kind in _NEEDED:
            missing = f"the WebP ends within its chunk {kind!r}"
        if kind in _PICTURES:
            pictures += 1
        if kind == b"ANMF" and length >= 12:
            left, top, wide, high = (int.from_bytes(data[body + i : body + i + 3], "little") for i in (0, 3, 6, 9))
            frame = 2 * left, 2 * top, 2 * left + wide + 1, 2 * top + high + 1
        if kind in _NEEDED:
            kept.append(data[at:end] + bytes(length & 1))
        elif end <= len(data):
            metadata.setdefault(kind, data[body:end])
        at = end + (length & 1)
    cut = 8 + int.from_bytes(data[4:8], "little") > len(data)
    if size is None or not pictures:
        reason = Reason.TRUNCATED if cut else Reason.UNDECODABLE
        raise PixelsRejected(reason, "the WebP has no picture", Seen("webp", *(size or ())))
    return Header(
        "webp",
        *size,
        _bare(kept),
        animated=pictures > 1,
        orientation=orientation(metadata.get(b"EXIF", b""), metadata.get(b"XMP ", b"")),
        profile=metadata.get(b"ICCP"),
        frame=frame if frame != (0, 0, *size) else None,
        missing=missing,
    )


def lossy_and_opaque(header: Header) -> bool:
    """Whether a WebP holds one lossy picture without alpha."""
    start = header.body[12:34]
    extended = start[:4] == b"VP8X" and start[18:] == b"VP8 " and not start[8] & (_ALPHA | _ANIMATION)
    return start[:4] == b"VP8 " or extended


def _size(kind: bytes, body: bytes) -> tuple[int, int] | None:
    """The size that this chunk states, if it is one that does."""
    if kind == b"VP8X" and len(body) >= 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    if kind == b"VP8L" and body[:1] == b"\x2f":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _bare(chunks: list[bytes]) -> bytes:
    """The same picture without metadata, whose loss would make the decoder refuse it."""
    if chunks[0][:4] == b"VP8X":
        animation = _ANIMATION if any(chunk[:4] == b"ANMF" for chunk in chunks) else 0
        flags = chunks[0][8] & _ALPHA | animation
        chunks = [chunks[0][:8] + bytes([flags]) + chunks[0][9:], *chunks[1:]]
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
