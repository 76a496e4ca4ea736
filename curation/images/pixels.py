"""Turns untrusted bytes into an upright 8-bit sRGB JPEG with its hashes. A pure function.

One way through this room: bytes, format (``sniff``), header facts (``headers`` and a file for each format), verdict,
``decode``, ``colour``, resize and orientation (``shrink``), encode, ``phash``. Cheap checks come first, and one decode
serves the resize and the pHash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import cv2

from curation.images import entropy, gif
from curation.images.chroma import block_colours
from curation.images.colour import PROFILES
from curation.images.decode import decode
from curation.images.facts import Header, PixelsRejected, Seen
from curation.images.headers import read_header
from curation.images.phash import phash_twice
from curation.images.phash import warm_up as warm_up_phash
from curation.images.shrink import shrunk, target, upright
from schemas.reasons import Reason
from schemas.recipe import Download

__all__ = ["PixelsRejected", "Prepared", "Room", "Seen", "prepare", "warm_up"]


_LONGEST_SIDE = 65_500  # of a JPEG, by libjpeg

Room = Callable[[int], AbstractContextManager[None]]
"""Makes one wait until so many pixels may be decoded."""


def _anyone(pixels: int) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image as exported. Sizes in pixels; the original's before orientation. Hashes of bytes in hex.

    ``phash``, ``phash256`` and ``colours`` are those of the exported pixels, before a JPEG encoder saw them.
    ``unchanged`` says that ``data`` are the very bytes that came in.
    """

    data: bytes
    width: int
    height: int
    original_width: int
    original_height: int
    original_format: str
    original_sha256: str
    sha256: str
    phash: int
    phash256: bytes
    colours: bytes
    unchanged: bool


def prepare(data: bytes, settings: Download, room: Room = _anyone) -> Prepared:
    """Raises ``PixelsRejected`` and nothing else, whatever the bytes are.

    ``room`` is asked for as many pixels as the header names before they are decoded.

    A JPEG of three 8-bit components that is upright, sRGB and small enough keeps its bytes, metadata
    included; it is decoded all the same, so that what cannot be decoded is never exported.
    """
    header = read_header(data, settings.max_pixels)
    _suits(header, settings)
    size = target(header.width, header.height, settings)
    if max(size) > _LONGEST_SIDE:
        raise PixelsRejected(
            Reason.TOO_MANY_PIXELS, f"{size[0]}x{size[1]} when exported, a JPEG has {_LONGEST_SIDE} a side", header.seen
        )
    with room(header.width * header.height):
        return _prepared(data, header, size, settings.quality)


def warm_up() -> None:
    """Compiles all kernels of this room, which takes some seconds, so that no image has to wait for it."""
    warm_up_phash()
    entropy.warm_up()
    gif.warm_up()


def _prepared(data: bytes, header: Header, size: tuple[int, int], quality: int) -> Prepared:
    width, height = size
    decoded = decode(header, (width, height))
    pixels = upright(shrunk(decoded.pixels, width, height, decoded.extent), header.orientation)
    unchanged = _needs_nothing(header, size)
    original = hashlib.sha256(data).hexdigest()
    exported = data if unchanged else _encode(pixels, quality)
    phash, phash256 = phash_twice(pixels, "bgr")
    return Prepared(
        data=exported,
        width=pixels.shape[1],
        height=pixels.shape[0],
        original_width=header.width,
        original_height=header.height,
        original_format=header.format,
        original_sha256=original,
        sha256=original if unchanged else hashlib.sha256(exported).hexdigest(),
        phash=phash,
        phash256=phash256,
        colours=block_colours(pixels, "bgr"),
        unchanged=unchanged,
    )


def _suits(header: Header, settings: Download) -> None:
    shorter, longer = sorted((header.width, header.height))
    if header.animated:
        raise PixelsRejected(Reason.ANIMATED, f"a {header.format} of more than one picture", header.seen)
    if shorter < settings.min_side:
        raise PixelsRejected(
            Reason.TOO_SMALL,
            f"{header.width}x{header.height}, the shorter side must be {settings.min_side} at least",
            header.seen,
        )
    if settings.max_aspect and longer > settings.max_aspect * shorter:
        raise PixelsRejected(
            Reason.ASPECT,
            f"{header.width}x{header.height} is {longer / shorter:.2f} to 1, the most is {settings.max_aspect:g}",
            header.seen,
        )


def _needs_nothing(header: Header, size: tuple[int, int]) -> bool:
    jpeg = header.jpeg
    return (
        jpeg is not None
        and jpeg.plain
        and len(jpeg.components) == 3
        and header.orientation == 1
        and size == (header.width, header.height)
        and PROFILES.transform(header.profile, "RGB") is None
    )


def _encode(pixels: cv2.typing.MatLike, quality: int) -> bytes:
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError(f"cannot encode pixels of shape {pixels.shape}")
    return encoded.tobytes()
