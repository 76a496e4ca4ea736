"""What a file says of its picture: blocks of Exif, XMP, IPTC, C2PA and text. Untrusted bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from curation.images.exif import EXIF
from curation.images.facts import PixelsRejected
from curation.images.jpeg import SCAN, segments

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_MORE = b"http://ns.adobe.com/xmp/extension/\0"
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_PACKET = (b"<x:xmpmeta", b"</x:xmpmeta>")
_PHOTOSHOP = b"Photoshop 3.0\0"
_IPTC = b"8BIM\4\4"  # Photoshop's image resource 0x0404
_MOST = 1 << 20  # bytes of a block that are looked at
_MOST_BLOCKS = 1000


@dataclass
class Metadata:
    """The blocks of a file, each empty where it has none; ``texts`` are a PNG's by keyword, inflated.

    ``exif`` begins with the TIFF header. Blocks in several pieces are joined in the order of the file.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    c2pa: bytes = b""
    texts: dict[bytes, bytes] = field(default_factory=dict)


def read_metadata(data: bytes) -> Metadata | None:
    """The metadata of a JPEG, PNG or WebP; None for anything else. Damaged files give what can be read."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def scanned(data: bytes) -> Metadata:
    """What can be found in a file of any other format without reading the format: an XMP packet, and a C2PA manifest.

    Both stand in AVIF, TIFF and others in one piece; a packet may be searched for (ISO 16684-3, packet scanning).
    """
    found = Metadata()
    if (start := data.find(_PACKET[0])) >= 0:
        end = data.find(_PACKET[1], start, start + _MOST)
        found.xmp = data[start : end if end > 0 else start + _MOST]
    at = 0
    for _ in range(_MOST_BLOCKS):
        at = data.find(b"jumb", at + 4)
        if at < 0:
            break
        if data[at + 8 : at + 12] == b"jumd" and b"c2pa" in data[at : at + 64]:
            size = int.from_bytes(data[at - 4 : at], "big")
            found.c2pa = data[at - 4 : at - 4 + min(size, _MOST)]
            break
    return found


def _jpeg(data: bytes) -> Metadata:
    found, resources = Metadata(), b""
    try:
        for marker, start, end in segments(data):
            if marker == SCAN:
                break
            at = start + 4
            if marker == 0xE1 and data.startswith(EXIF, at):
                found.exif = found.exif or data[at + len(EXIF) : end]
            elif marker == 0xE1 and (data.startswith(_XMP, at) or data.startswith(_XMP_MORE, at)):
                found.xmp = (found.xmp + data[at:end])[:_MOST]
            elif marker == 0xED and data.startswith(_PHOTOSHOP, at):
                resources = (resources + data[at + len(_PHOTOSHOP) : end])[:_MOST]
            elif marker == 0xEB and data.startswith(b"JP", at):  # JUMBF boxes (ISO/IEC 19566-5), as C2PA has them
                at += 8
                if found.c2pa and data.startswith(found.c2pa[:8], at):
                    at += 8  # each further segment says the box's length and type once more
                found.c2pa = (found.c2pa + data[at:end])[:_MOST]
    except PixelsRejected:
        pass  # too many segments: what came before counts
    found.c2pa = found.c2pa if b"c2pa" in found.c2pa else b""
    found.iptc = _iptc(resources)
    return found


def _iptc(resources: bytes) -> bytes:
    """The IPTC records among Photoshop's image resources: a name (padded to an even length), a size, the records."""
    at = resources.find(_IPTC)
    if at < 0:
        return b""
    at += len(_IPTC)
    name = resources[at] + 1 if at < len(resources) else 1
    at += name + (name & 1)
    size = int.from_bytes(resources[at : at + 4], "big")
    return resources[at + 4 : at + 4 + size]


def _png(data: bytes) -> Metadata:
    found = Metadata()
    for kind, body in _chunks(data, 8, "big", kind_first=False, trailer=4):
        if kind == b"eXIf":
            found.exif = found.exif or body
        elif kind == b"caBX":
            found.c2pa = found.c2pa or body
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, rest = body.partition(b"\0")
            text = _text(kind, rest)
            if keyword == _XMP_KEYWORD:
                found.xmp = found.xmp or text
            else:
                found.texts.setdefault(keyword, text)
    return found


def _webp(data: bytes) -> Metadata:
    found = Metadata()
    for kind, body in _chunks(data, 12, "little", kind_first=True, trailer=0):
        if kind == b"EXIF":
            found.exif = found.exif or body.removeprefix(EXIF)
        elif kind == b"XMP ":
            found.xmp = found.xmp or body
        elif kind == b"C2PA":
            found.c2pa = found.c2pa or body
    return found


def _chunks(data: bytes, at: int, order: str, *, kind_first: bool, trailer: int) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG or WebP from ``at`` on, each with at most ``_MOST`` bytes of its body."""
    for _ in range(_MOST_BLOCKS):
        if at + 8 > len(data):
            return
        first, second = data[at : at + 4], data[at + 4 : at + 8]
        kind, length = (first, second) if kind_first else (second, first)
        size = int.from_bytes(length, "little" if order == "little" else "big")
        yield kind, data[at + 8 : at + 8 + min(size, _MOST)]
        at += 8 + size + (size & 1 if kind_first else trailer)


def _text(kind: bytes, rest: bytes) -> bytes:
    """The text of a PNG's chunk behind its keyword (PNG, third edition, section 11.3.3); empty where it is damaged."""
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    elif packed:
        rest = rest[1:]
    if not packed:
        return rest
    try:
        return zlib.decompressobj().decompress(rest, _MOST)
    except zlib.error:
        return b""
