"""Finds the format of bytes by the bytes alone; names and Content-Type headers are often wrong."""

from __future__ import annotations

import re

from curation.images.facts import PixelsRejected
from schemas.reasons import Reason

_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"jpeg"}
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}

_UNSUPPORTED: tuple[tuple[bytes, str], ...] = (
    (b"8BPS", "psd"),
    (b"\xff\x0a", "jpeg xl"),
    (b"\0\0\0\x0cJXL ", "jpeg xl"),
    (b"\0\0\0\x0cjP  ", "jpeg 2000"),
    (b"\xff\x4f\xff\x51", "jpeg 2000"),
    (b"\0\0\1\0", "ico"),
    (b"\0\0\2\0", "cur"),
    (b"%PDF", "pdf"),
    (b"%!PS", "postscript"),
    (b"\xc5\xd0\xd3\xc6", "postscript"),
    (b"v/1\1", "openexr"),
    (b"DDS ", "dds"),
    (b"qoif", "qoi"),
    (b"II\xbc", "jpeg xr"),
    (b"II+\0", "bigtiff"),
    (b"MM\0+", "bigtiff"),
    (b"icns", "icns"),
    (b"gimp xcf", "xcf"),
    (b"\xd7\xcd\xc6\x9a", "wmf"),
    (b"\x1f\x8b", "gzip"),
)
_PNM = re.compile(rb"P[1-7]\s")
_DOCTYPE = rb"<!DOCTYPE\s+svg[^>\[]*+(?:\[[^\]]*+\]\s*+)?>"  # Illustrator declares entities in brackets
# Atomic and possessive groups never read the same bytes twice, so that the time is linear in the bytes.
_SVG = re.compile(
    rb"^(?:\xef\xbb\xbf)?(?>\s+|<\?xml.*?\?>|<!--.*?-->|" + _DOCTYPE + rb")*+<(?:\w+:)?svg[\s>]", re.I | re.S
)


def image_format(data: bytes) -> str:
    """``jpeg``, ``png``, ``webp``, ``gif``, ``bmp``, ``tiff`` or ``avif``.

    Raises ``PixelsRejected``: EMPTY_BODY, UNSUPPORTED_FORMAT for image formats that are recognised but not
    decoded, NOT_AN_IMAGE for everything else.
    """
    if not data:
        raise PixelsRejected(Reason.EMPTY_BODY, "0 bytes")
    found = _supported(data)
    if found is not None:
        return found
    head = data[:64]
    for magic, name in _UNSUPPORTED:
        if head.startswith(magic):
            raise PixelsRejected(Reason.UNSUPPORTED_FORMAT, name)
    if head[4:8] == b"ftyp" and _brands(data) & _HEIF:
        raise PixelsRejected(Reason.UNSUPPORTED_FORMAT, "heif")
    if _PNM.match(head):
        raise PixelsRejected(Reason.UNSUPPORTED_FORMAT, "pnm")
    if _SVG.match(data[:4096]):
        raise PixelsRejected(Reason.UNSUPPORTED_FORMAT, "svg")
    shown = data[:24].decode("latin-1").encode("ascii", "backslashreplace").decode()
    printable = "".join(c if c.isprintable() else "." for c in shown)
    raise PixelsRejected(Reason.NOT_AN_IMAGE, f"{len(data)} bytes that begin with {printable!r}")


def exported_format(data: bytes) -> str:
    """``png``, ``webp`` or ``jpeg``: what an image that this project exported is."""
    found = _supported(data[:16])
    return found if found in ("png", "webp") else "jpeg"


def extension(data: bytes) -> str:
    """The extension of an exported image in tars."""
    found = exported_format(data)
    return "jpg" if found == "jpeg" else found


def _supported(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith((b"II*\0", b"MM\0*")):
        return "tiff"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    if data[4:8] == b"ftyp" and _brands(data) & _AVIF:
        return "avif"
    return None


def _brands(data: bytes) -> set[bytes]:
    """The major and compatible brands of an ISO media file."""
    end = min(int.from_bytes(data[:4], "big"), 256, len(data))
    return {data[8:12]} | {data[at : at + 4] for at in range(16, end - 3, 4)}
