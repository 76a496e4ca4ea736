"""A still picture is one picture, however the file flags it: pictures are counted wherever they can be."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.images.pixels import PixelsRejected, prepare
from schemas.reasons import Reason
from tests.support.images import chunk, encoded, natural, off, opened, untouched

FIRST, SECOND = natural(96, 64, seed=1), natural(96, 64, seed=2)


def u24(value: int) -> bytes:
    return struct.pack("<I", value)[:3]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) & 1) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp(*pictures: Any, flags: int = 2, still: bool = False) -> bytes:
    """A WebP with its flag for animation set, and these pictures as frames, or the first as a plain picture."""
    canvas = bytes([flags, 0, 0, 0]) + u24(95) + u24(63)
    frames = []
    for picture in pictures:
        data = encoded(picture, "WEBP", lossless=True)[12:]
        frames.append((b"ANMF", u24(0) * 2 + u24(95) + u24(63) + u24(100) + b"\0" + data))
    if still:
        data = encoded(pictures[0], "WEBP", lossless=True)[12:]
        return riff((b"VP8X", canvas), (data[:4], data[8:]))
    return riff((b"VP8X", canvas), (b"ANIM", b"\xff" * 4 + b"\0\0"), *frames)


def apng(claimed: int, *pictures: Any, apart: bool = False, end: bool = True) -> bytes:
    """A PNG that claims so many frames and holds these. ``apart``: the first picture is no frame."""

    def packed(picture: Any) -> bytes:
        return zlib.compress(b"".join(b"\0" + row.tobytes() for row in picture))

    control = struct.pack(">IIIIHHBB", 96, 64, 0, 0, 1, 10, 0, 0)
    chunks = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", 96, 64, 8, 2, 0, 0, 0)),
        chunk(b"acTL", struct.pack(">II", claimed, 0)),
    ]
    number = 0
    for n, picture in enumerate(pictures):
        if n or not apart:
            chunks.append(chunk(b"fcTL", struct.pack(">I", number) + control))
            number += 1
        if n:
            chunks.append(chunk(b"fdAT", struct.pack(">I", number) + packed(picture)))
            number += 1
        else:
            chunks.append(chunk(b"IDAT", packed(picture)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + (chunk(b"IEND", b"") if end else b"")


def gif(*pictures: Any, loop: bool = True) -> bytes:
    """A GIF with a loop count and a delay for each of these pictures."""
    screen, frames = b"", b""
    for picture in pictures:
        source = encoded(Image.fromarray(picture).convert("L"), "GIF")
        at = source.index(b",\0\0\0\0")
        screen = source[:13] + source[13 : 13 + 768]
        frames += b"!\xf9\4\4\x0a\0\0\0" + source[at:-1]
    return screen + (b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0" if loop else b"") + frames + b";"


def pages(*images: Any, **tags: Any) -> bytes:
    """A TIFF of several pages; the tags go to all but the first."""
    sink = io.BytesIO()
    from PIL.TiffImagePlugin import AppendingTiffWriter

    with AppendingTiffWriter(sink, True) as writer:
        for n, image in enumerate(images):
            Image.fromarray(image).save(writer, "TIFF", tiffinfo={int(k[1:]): v for k, v in tags.items()} if n else {})
            writer.newFrame()
    return sink.getvalue()


def mpo(*images: Any) -> bytes:
    return encoded(
        Image.fromarray(images[0]),
        "MPO",
        save_all=True,
        quality=95,
        append_images=[Image.fromarray(i) for i in images[1:]],
    )


def gain_map() -> bytes:
    """A JPEG with a smaller grey picture behind it, as phones store brightness beyond white."""
    main = encoded(FIRST, "JPEG", quality=95)
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'/>"
    segment = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
    return main[:2] + segment + main[2:] + encoded(Image.new("L", (24, 16), 99), "JPEG")


STILL: dict[str, bytes] = {
    "webp of one frame": webp(FIRST),
    "webp without frames, flagged": webp(FIRST, still=True),
    "webp, alpha flagged": webp(FIRST, flags=2 | 16),
    "apng of one frame": apng(1, FIRST),
    "apng that claims five frames": apng(5, FIRST),
    "apng that claims none": apng(0, FIRST, SECOND),
    "apng of a picture and one frame": apng(1, FIRST, SECOND, apart=True),
    "gif that loops one frame": gif(FIRST),
    "gif of one frame": gif(FIRST, loop=False),
    "tiff with a reduced copy": pages(FIRST, FIRST[::3, ::3], _254=1),
    "tiff with a mask": pages(FIRST, FIRST, _254=4),
    "tiff with an old reduced copy": pages(FIRST, FIRST[:50, :90], _255=2),
    "tiff pyramid without marks": pages(FIRST, FIRST[::2, ::2], FIRST[::4, ::4]),
    "mpo": mpo(FIRST, SECOND),
    "mpo of sizes": mpo(FIRST, SECOND[:32, :48]),
    "gain map": gain_map(),
    "motion photo": encoded(FIRST, "JPEG", quality=95) + b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40,
}  # fmt: skip
MOVING: dict[str, bytes] = {
    "webp": webp(FIRST, SECOND),
    "webp without its flag for animation": webp(FIRST, SECOND, flags=0),
    "apng": apng(2, FIRST, SECOND),
    "apng of a picture and two frames": apng(2, FIRST, SECOND, SECOND, apart=True),
    "apng that claims three of two": apng(3, FIRST, SECOND),
    "apng that breaks off behind its first frame": apng(7, FIRST, end=False),
    "gif": gif(FIRST, SECOND),
    "gif without loop": gif(FIRST, SECOND, loop=False),
    "gif that breaks off in its second frame": gif(FIRST, SECOND)[:-400],
    "tiff of two pages": pages(FIRST, SECOND),
    "tiff of a page and a small page": pages(FIRST, SECOND[::2, ::2], _254=2),
    "tiff of other proportions": pages(FIRST, SECOND[:20, :40]),
}


@pytest.mark.parametrize("name", STILL)
def test_one_picture_is_kept(name: str) -> None:
    prepared = prepare(STILL[name], untouched())
    assert (prepared.width, prepared.height) == (96, 64)
    expected = np.asarray(Image.fromarray(FIRST).convert("L").convert("RGB")) if name.startswith("gif") else FIRST
    assert off(opened(prepared.data), expected) < 6


@pytest.mark.parametrize("name", MOVING)
def test_several_pictures_are_animated(name: str) -> None:
    with pytest.raises(PixelsRejected) as caught:
        prepare(MOVING[name], untouched())
    assert caught.value.reason is Reason.ANIMATED, caught.value.detail
