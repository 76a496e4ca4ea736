"""Every place in which a file states its orientation is read; where two differ, the format's own order counts."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from curation.images.pixels import prepare
from tests.support.images import chunk, encoded, exif, off, opened, smooth, turned, untouched

PICTURE = smooth(120, 80)
SIDEWAYS = turned(PICTURE, 6)
FORMS = [
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/>',
    b"<rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation = '%d'/>",
    b"<tiff:Orientation>%d</tiff:Orientation>",
    b"<tiff:Orientation>\n  %d\n</tiff:Orientation>",
]


def xmp(orientation: int, form: int = 0) -> bytes:
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>' + FORMS[form] % orientation + b"</rdf:RDF></x:xmpmeta>"


def big_endian(orientation: int) -> bytes:
    return b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def jpeg_with(*segments: bytes, **options: Any) -> bytes:
    data = encoded(SIDEWAYS, "JPEG", quality=95, subsampling=0, **options)
    extra = b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
    return data[:2] + extra + data[2:]


def png_with(*chunks: bytes, behind: bool = False) -> bytes:
    data = encoded(SIDEWAYS, "PNG")
    at = data.index(b"IEND") - 4 if behind else data.index(b"IDAT") - 4
    return data[:at] + b"".join(chunks) + data[at:]


def raw_profile(block: bytes, keyword: bytes, name: bytes, packed: bool) -> bytes:
    digits = block.hex().encode()
    lines = b"\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
    text = b"\n" + name + b"\n%8d\n" % len(block) + lines + b"\n"
    return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(text)) if packed else chunk(b"tEXt", keyword + b"\0" + text)


def webp_with(*chunks: tuple[bytes, bytes]) -> bytes:
    picture = encoded(SIDEWAYS, "WEBP", lossless=True)[12:]
    canvas = bytes([12, 0, 0, 0]) + struct.pack("<I", 79)[:3] + struct.pack("<I", 119)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + picture
    for kind, data in chunks:
        body += kind + struct.pack("<I", len(data)) + data + bytes(len(data) & 1)
    return b"RIFF" + struct.pack("<I", len(body)) + body


ADOBE = b"http://ns.adobe.com/xap/1.0/\0"
KEYWORD = b"XML:com.adobe.xmp\0"
TURNED: dict[str, bytes] = {
    "jpeg, exif": jpeg_with(exif(6)),
    "jpeg, big-endian exif": jpeg_with(big_endian(6)),
    "jpeg, second exif": jpeg_with(b"Exif\0\0", exif(6)),
    **{f"jpeg, xmp {n}": jpeg_with(ADOBE + xmp(6, n)) for n in range(len(FORMS))},
    "jpeg, exif without the tag, xmp": jpeg_with(b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", ADOBE + xmp(6)),
    "jpeg, exif before xmp": jpeg_with(exif(6), ADOBE + xmp(1)),
    "jpeg, exif behind another xmp": jpeg_with(ADOBE + xmp(3), exif(6)),
    "grey jpeg, exif": encoded(Image.fromarray(SIDEWAYS).convert("L"), "JPEG", exif=exif(6), quality=95),
    "cmyk jpeg, exif": encoded(Image.fromarray(SIDEWAYS).convert("CMYK"), "JPEG", exif=exif(6), quality=95),
    "progressive jpeg, exif": jpeg_with(exif(6), progressive=True),
    "png, eXIf": png_with(chunk(b"eXIf", exif(6)[6:])),
    "png, eXIf behind the data": png_with(chunk(b"eXIf", exif(6)[6:]), behind=True),
    "png, eXIf with the prefix of a JPEG": png_with(chunk(b"eXIf", exif(6))),
    "png, text": png_with(raw_profile(exif(6), b"Raw profile type exif", b"exif", packed=False)),
    "png, packed text": png_with(raw_profile(exif(6), b"Raw profile type exif", b"exif", packed=True)),
    "png, packed text of a segment": png_with(raw_profile(exif(6), b"Raw profile type APP1", b"app1", packed=True)),
    "png, xmp": png_with(chunk(b"iTXt", KEYWORD + b"\0\0\0\0" + xmp(6))),
    "png, packed xmp": png_with(chunk(b"iTXt", KEYWORD + b"\1\0\0\0" + zlib.compress(xmp(6)))),
    "png, xmp behind the data": png_with(chunk(b"iTXt", KEYWORD + b"\0\0en\0x\0" + xmp(6)), behind=True),
    "webp, exif": webp_with((b"EXIF", exif(6)[6:])),
    "webp, exif with the prefix of a JPEG": webp_with((b"EXIF", exif(6))),
    "webp, xmp": webp_with((b"XMP ", xmp(6))),
    "tiff": encoded(SIDEWAYS, "TIFF", tiffinfo={274: 6}),
    "tiff lzw": encoded(SIDEWAYS, "TIFF", tiffinfo={274: 6}, compression="tiff_lzw"),
    "avif": encoded(SIDEWAYS, "AVIF", exif=exif(6), quality=95),
}
UPRIGHT: dict[str, bytes] = {
    "jpeg, exif 1 before xmp 6": jpeg_with(exif(1), ADOBE + xmp(6)),
    "jpeg, xmp 9": jpeg_with(ADOBE + xmp(9)),
    "jpeg, xmp 66": jpeg_with(ADOBE + xmp(66)),
    "png, eXIf 1 before xmp 6": png_with(chunk(b"eXIf", exif(1)[6:]), chunk(b"iTXt", KEYWORD + b"\0\0\0\0" + xmp(6))),
    "png, broken text": png_with(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 8\nxyz")),
    "png, odd digits": png_with(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 8\n4578f")),
    "webp, broken exif": webp_with((b"EXIF", b"II*\0")),
    "tiff, exif of a thumbnail": encoded(SIDEWAYS, "TIFF"),
}


@pytest.mark.parametrize("name", TURNED)
def test_a_stated_orientation_is_followed(name: str) -> None:
    prepared = prepare(TURNED[name], untouched())
    assert (prepared.width, prepared.height) == (120, 80)
    expected: Any = PICTURE
    if name.startswith("grey"):
        expected = Image.fromarray(PICTURE).convert("L").convert("RGB")
    elif name.startswith("cmyk"):
        expected = Image.fromarray(PICTURE).convert("CMYK").convert("RGB")
    assert off(opened(prepared.data), expected) < 3
    assert not prepared.unchanged


@pytest.mark.parametrize("name", UPRIGHT)
def test_an_orientation_that_is_overruled_or_broken_is_not(name: str) -> None:
    prepared = prepare(UPRIGHT[name], untouched())
    assert (prepared.width, prepared.height) == (80, 120)
    assert off(opened(prepared.data), SIDEWAYS) < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("place", ["jpeg", "png", "webp"])
def test_xmp_alone_turns_as_exif_does(place: str, orientation: int) -> None:
    stored = turned(PICTURE, orientation)
    block = xmp(orientation)
    if place == "jpeg":
        data = encoded(stored, "JPEG", quality=95, subsampling=0)
        segment = ADOBE + block
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    elif place == "png":
        data = encoded(stored, "PNG")
        at = data.index(b"IDAT") - 4
        data = data[:at] + chunk(b"iTXt", KEYWORD + b"\0\0\0\0" + block) + data[at:]
    else:
        data = encoded(stored, "WEBP", lossless=True, xmp=block)
    assert off(opened(prepare(data, untouched()).data), PICTURE) < 2
