"""Turns untrusted bytes into an upright 8-bit sRGB image with its hashes. A pure function.

One way through this room: bytes, format (``sniff``), header facts (``headers`` and a file for each format), verdict,
``decode``, ``colour``, resize and orientation (``shrink``), ``encode``, ``phash``. Cheap checks come first, and one
decode serves the resize and the pHash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from curation.images import chroma, entropy, gif
from curation.images.chroma import block_colours
from curation.images.colour import PROFILES
from curation.images.decode import Decoded, Pixels, decode
from curation.images.encode import LONGEST_SIDE, encode
from curation.images.facts import Header, PixelsRejected, Seen
from curation.images.grey import luma_of
from curation.images.headers import read_header
from curation.images.jpeg import without_metadata
from curation.images.phash import phash_twice
from curation.images.phash import warm_up as warm_up_phash
from curation.images.picture import Look, Picture
from curation.images.shrink import shrunk, target, upright
from curation.images.thumbnail import thumbnail_of
from curation.images.webp import lossy_and_opaque
from schemas.reasons import Reason
from schemas.recipe import Download

__all__ = ["PixelsRejected", "Prepared", "Room", "Seen", "prepare", "warm_up"]


Room = Callable[[int], AbstractContextManager[None]]
"""Makes one wait until so many pixels may be decoded."""


def _anyone(pixels: int) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image as exported. Sizes in pixels; the original's before orientation. Hashes of bytes in hex.

    ``phash``, ``phash256``, ``colours`` and ``thumbnail`` are those of the exported pixels, before an encoder saw
    them; so does what a ``Look`` found, ``looks``. ``unchanged`` says that ``data`` are the very bytes that came in.
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
    thumbnail: bytes
    unchanged: bool
    looks: bytes | None = None


def prepare(data: bytes, settings: Download, room: Room = _anyone, look: Look | None = None) -> Prepared:
    """Raises ``PixelsRejected`` and nothing else, whatever the bytes are.

    ``room`` is asked for as many pixels as the header names before they are decoded; ``look`` sees them afterwards.

    A JPEG of three 8-bit components that is upright, sRGB and small enough is not encoded again where JPEGs are
    exported, nor is a lossy WebP without alpha where WebPs are; it loses its metadata, unless the recipe keeps them.
    It is decoded all the same, so that what cannot be decoded is never exported.
    """
    header = read_header(data, settings.max_pixels)
    _suits(header, settings)
    size = target(header.width, header.height, settings)
    longest = LONGEST_SIDE[settings.format]
    if max(size) > longest:
        raise header.rejected(
            Reason.TOO_MANY_PIXELS,
            f"{size[0]}x{size[1]} when exported, a {settings.format} has {longest} a side at most",
        )
    with room(header.width * header.height):
        return _prepared(data, header, size, settings, look)


def warm_up() -> None:
    """Compiles all kernels of this room, which takes some seconds, so that no image has to wait for it."""
    warm_up_phash()
    chroma.warm_up()
    entropy.warm_up()
    gif.warm_up()


def _prepared(data: bytes, header: Header, size: tuple[int, int], settings: Download, look: Look | None) -> Prepared:
    width, height = size
    decoded = decode(header, (width, height))
    pixels = upright(shrunk(decoded.pixels, width, height, decoded.extent), header.orientation)
    original = hashlib.sha256(data).hexdigest()
    fits = _needs_nothing(header, size, settings.format)
    exported = _bare(data, header, settings) if fits else encode(pixels, settings)
    unchanged = fits and exported == data
    phash, phash256 = phash_twice(pixels, "bgr")
    luma = luma_of(pixels, "bgr")
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
        thumbnail=thumbnail_of(luma),
        unchanged=unchanged,
        looks=look(_picture(data, header, decoded, pixels, luma)) if look is not None else None,
    )


def _bare(data: bytes, header: Header, settings: Download) -> bytes:
    """A file that needs no other pixels, as it is exported."""
    if settings.keep_metadata:
        return data
    return header.body if header.jpeg is None else without_metadata(data, header.jpeg.end)


def _picture(data: bytes, header: Header, decoded: Decoded, pixels: Pixels, luma: Pixels) -> Picture:
    whole = decoded.pixels.shape[:2] == (header.height, header.width)
    return Picture(pixels, data, decoded.pixels if whole else None, luma)


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


def _needs_nothing(header: Header, size: tuple[int, int], kind: str) -> bool:
    return (
        header.format == kind
        and (_plain_jpeg(header) if kind == "jpeg" else kind == "webp" and lossy_and_opaque(header))
        and header.orientation == 1
        and header.frame is None
        and size == (header.width, header.height)
        and PROFILES.transform(header.profile, "RGB") is None
    )


def _plain_jpeg(header: Header) -> bool:
    return header.jpeg is not None and header.jpeg.plain and len(header.jpeg.components) == 3
