"""Pictures whose pixels are known, in every dress that the web sends them in."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from schemas.recipe import Download

Pixels = NDArray[np.uint8]


def natural(width: int, height: int, seed: int = 0) -> Pixels:
    """RGB noise with a natural image's spectrum: much at low frequencies, little at high ones, mostly in luma."""
    random = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 128, np.float32)
    cells, strength = 4, 90.0
    while cells < 2 * max(width, height):
        grid = max(2, height * cells // max(width, height)), max(2, width * cells // max(width, height))
        luma = random.normal(size=(*grid, 1)).astype(np.float32)
        chroma = random.normal(size=(*grid, 3)).astype(np.float32) * (0.4 if cells < 64 else 0.1)
        picture += cv2.resize(luma + chroma, (width, height), interpolation=cv2.INTER_CUBIC) * strength
        cells, strength = cells * 2, strength * 0.62
    clipped: Pixels = np.clip(picture, 0, 255).astype(np.uint8)
    return clipped


def smooth(width: int, height: int) -> Pixels:
    """An RGB gradient with a dark top left corner: turned or mirrored, it is never the same again."""
    across = np.linspace(0, 255, width)[None, :]
    down = np.linspace(0, 255, height)[:, None]
    picture = np.stack([across + 0 * down, down + 0 * across, (across + down) / 2], axis=-1)
    picture[: height // 4, : width // 4] = 10
    return picture.round().astype(np.uint8)


def encoded(pixels: Pixels | Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a file of this kind, as Pillow writes it."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def jpeg(pixels: Pixels | Image.Image, quality: int = 95, **options: Any) -> bytes:
    """A JPEG without chroma subsampling, so that its pixels stay near the ones given."""
    return encoded(pixels, "JPEG", quality=quality, subsampling=0, **options)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG of raw rows, each with its filter byte; ``extra`` chunks stand before the data."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + extra + data + chunk(b"IEND", b"")


def png16(samples: NDArray[np.uint16], colour: int, extra: bytes = b"") -> bytes:
    """A PNG of 16-bit samples (H, W) or (H, W, channels)."""
    height, width = samples.shape[:2]
    big = samples.astype(">u2")
    rows = b"".join(b"\0" + big[y].tobytes() for y in range(height))
    return png(width, height, 16, colour, rows, extra)


def exif(orientation: int) -> bytes:
    """An Exif block that holds an orientation and nothing else."""
    block = Image.Exif()
    block[274] = orientation
    return block.tobytes()


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """What a camera would store so that this orientation brings ``pixels`` back."""
    inverse = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, 1),
        7: np.rot90(pixels.transpose(1, 0, 2), 2),
        8: np.rot90(pixels, -1),
    }
    return np.ascontiguousarray(inverse[orientation])


def swapped_profile() -> bytes:
    """A colour profile of RGB whose red and green are swapped, which no eye can miss."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = {plain[at : at + 4]: at for at in range(132, 132 + 12 * int.from_bytes(plain[128:132], "big"), 12)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    made = bytearray(plain)
    made[red + 4 : red + 12], made[green + 4 : green + 12] = plain[green + 4 : green + 12], plain[red + 4 : red + 12]
    return bytes(made)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def opened(data: bytes) -> NDArray[np.int16]:
    """A file's pixels as RGB."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.int16)


def off(one: Any, other: Any) -> float:
    """The mean absolute difference of two pictures in levels of 255."""
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


def untouched(**changes: Any) -> Download:
    """Settings that let every picture through at its own size, unless changed."""
    return Download(**{"resize": "none", "min_side": 1, "max_aspect": 0.0, **changes})
