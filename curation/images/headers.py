"""What an image's header tells, whatever its format, before a single pixel is decoded."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace

from PIL import AvifImagePlugin, GifImagePlugin, Image, ImageFile, WebPImagePlugin

from curation.images import exif
from curation.images.jpeg import Jpeg, read_jpeg, without_metadata
from curation.images.png import read_png
from curation.images.sniff import image_format
from curation.images.verdict import PixelsRejected, Seen
from schemas.reasons import Reason

# What Pillow has to say about hostile files is said in their rows.
warnings.filterwarnings("ignore", module=r"PIL(\.|$)")

_REDUCED_COPY = 1
_MOST_PAGES = 64
_MOST_MARKS = 64  # of Exif in an AVIF; one is common, and camera makers' notes hold a few more
# How often a TIFF's strips or tiles may cover its picture: padding and planes of their own are below.
_MOST_COVERS = 32


@dataclass(frozen=True, slots=True)
class Header:
    """Sizes in pixels, before orientation. ``body`` is what a decoder is to be given.

    ``white`` is the largest sample value and ``inverted`` says that it means black, where the format lets
    a file choose; ``jpeg`` is there for that format only.
    """

    format: str
    width: int
    height: int
    body: bytes
    animated: bool = False
    orientation: int = 1
    profile: bytes | None = None
    white: int = 255
    inverted: bool = False
    jpeg: Jpeg | None = None

    @property
    def seen(self) -> Seen:
        return Seen(self.format, self.width, self.height)


def read_header(data: bytes, max_pixels: int) -> Header:
    """Raises ``PixelsRejected``: EMPTY_BODY, NOT_AN_IMAGE, UNSUPPORTED_FORMAT, UNDECODABLE for a header that
    does not hold together, TOO_MANY_PIXELS for what would not fit.
    """
    try:
        return _read(data, max_pixels)
    except PixelsRejected:
        raise
    except Exception as error:
        # As in decoding: hostile bytes find the case that no one thought of, and it costs them, not their shard.
        raise PixelsRejected(Reason.UNDECODABLE, f"{type(error).__name__}: {error}") from error


def _read(data: bytes, max_pixels: int) -> Header:
    name = image_format(data)
    match name:
        case "jpeg":
            header = _jpeg(data)
        case "png":
            png = read_png(data)
            white = (1 << png.depth) - 1
            header = Header(
                name, png.width, png.height, png.bare, png.animated, png.orientation, png.profile, white=white
            )
        case "webp":
            canvas = _webp(data)
            _fits(canvas, max_pixels)
            header = canvas if canvas.animated else _opened(WebPImagePlugin.WebPImageFile, canvas)
        case "bmp":
            header = _bmp(data)
        case "tiff":
            header = _tiff(data, max_pixels)
        case "gif":
            # A frame may be larger than the screen that the file declares; opening reads both, no pixels.
            screen = Header(name, int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"), data)
            _fits(screen, max_pixels)
            header = _opened(GifImagePlugin.GifImageFile, screen)
        case _:
            if _overlapping(data):
                raise PixelsRejected(Reason.UNDECODABLE, "its Exif claims more bytes than there are", Seen(name))
            header = _opened(AvifImagePlugin.AvifImageFile, Header(name, 0, 0, data))
    if not header.width or not header.height:
        raise PixelsRejected(Reason.UNDECODABLE, f"its header says {header.width}x{header.height}", header.seen)
    _fits(header, max_pixels)
    return header


def _fits(header: Header, max_pixels: int) -> None:
    if header.width * header.height > max_pixels:
        raise PixelsRejected(
            Reason.TOO_MANY_PIXELS,
            f"{header.width}x{header.height} is {header.width * header.height} pixels, the most is {max_pixels}",
            header.seen,
        )


def _jpeg(data: bytes) -> Header:
    jpeg = read_jpeg(data)
    # OpenCV ignores metadata; Pillow, which decodes the rest, would parse it.
    body = data if jpeg.components == 3 else without_metadata(data, jpeg.scan)
    return Header("jpeg", jpeg.width, jpeg.height, body, orientation=jpeg.orientation, profile=jpeg.profile, jpeg=jpeg)


def _webp(data: bytes) -> Header:
    kind, body = data[12:16], data[20:30]
    animated = False
    if kind == b"VP8X" and len(body) >= 10:
        animated = bool(body[0] & 2)
        width, height = (int.from_bytes(body[i : i + 3], "little") + 1 for i in (4, 7))
    elif kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[i : i + 2], "little") & 0x3FFF for i in (6, 8))
    elif kind == b"VP8L" and body[:1] == b"\x2f":
        bits = int.from_bytes(body[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        raise PixelsRejected(Reason.UNDECODABLE, "the WebP has no picture", Seen("webp"))
    return Header("webp", width, height, data, animated)


def _bmp(data: bytes) -> Header:
    if int.from_bytes(data[14:18], "little") == 12:
        width, height = (int.from_bytes(data[i : i + 2], "little") for i in (18, 20))
    else:
        width, height = (abs(int.from_bytes(data[i : i + 4], "little", signed=True)) for i in (18, 22))
    return Header("bmp", width, height, data)


def _tiff(data: bytes, max_pixels: int) -> Header:
    try:
        first = exif.first_directory(data, 0)
    except ValueError as error:
        raise PixelsRejected(Reason.UNDECODABLE, str(error), Seen("tiff")) from error
    tags = first.tags
    header = Header("tiff", tags.get(256, 0), tags.get(257, 0), data, inverted=tags.get(262) == 0)
    if first.bytes_claimed > len(data):
        raise PixelsRejected(Reason.UNDECODABLE, "its tags claim more bytes than there are", header.seen)
    across, down = tags.get(322, 1), tags.get(323, 1)
    if across * down > max_pixels:
        raise PixelsRejected(
            Reason.TOO_MANY_PIXELS, f"tiles of {across}x{down} pixels, the most is {max_pixels}", header.seen
        )
    bits = tags.get(258, 8)
    if bits < 1:
        raise PixelsRejected(Reason.UNDECODABLE, f"samples of {bits} bits", header.seen)
    if _covered(header, first) > _MOST_COVERS:
        raise PixelsRejected(Reason.UNDECODABLE, "its parts cover the picture again and again", header.seen)
    turned = tags.get(exif.ORIENTATION, 1)
    return replace(
        header,
        body=data if turned == 1 else _as_stored(data, first),
        animated=_more_pages(data, first.next),
        orientation=turned,
        white=(1 << min(bits, 16)) - 1,
    )


def _covered(header: Header, first: exif.Directory) -> float:
    """How often the strips or tiles would fill the picture, were each decoded as Pillow does."""
    pixels = header.width * header.height
    if pixels <= 0:
        return 0.0
    strip = header.width * min(first.tags.get(278, header.height), header.height)
    tile = min(first.tags.get(322, 1), header.width) * min(first.tags.get(323, 1), header.height)
    return max(first.counts.get(273, 0) * strip, first.counts.get(324, 0) * tile) / pixels


def _as_stored(data: bytes, first: exif.Directory) -> bytes:
    """The same TIFF with its orientation renamed to a private tag: Pillow would turn this format by itself."""
    at = first.places[exif.ORIENTATION]
    private = b"\xff\xff"
    return data[:at] + private + data[at + 2 :]


def _more_pages(data: bytes, at: int) -> bool:
    """Whether there is a second picture; smaller copies of the first do not count, and cycles end."""
    seen: set[int] = set()
    while at and at not in seen and len(seen) < _MOST_PAGES:
        seen.add(at)
        try:
            page = exif.directory(data, 0, at)
        except ValueError:
            return False
        if not page.tags.get(254, 0) & _REDUCED_COPY:
            return True
        at = page.next
    return False


def _opened(plugin: type[ImageFile.ImageFile], header: Header) -> Header:
    try:
        with plugin(io.BytesIO(header.body)) as image:
            return replace(
                header,
                width=max(header.width, image.width),
                height=max(header.height, image.height),
                animated=bool(getattr(image, "is_animated", False)),
                orientation=exif.orientation(_exif(image)),
                profile=image.info.get("icc_profile"),
            )
    except Image.DecompressionBombError as error:
        raise PixelsRejected(Reason.TOO_MANY_PIXELS, str(error), header.seen) from error
    except Exception as error:
        raise PixelsRejected(Reason.UNDECODABLE, f"{type(error).__name__}: {error}", header.seen) from error


def _exif(image: Image.Image) -> bytes:
    blob = image.info.get("exif")
    return blob if isinstance(blob, bytes) else b""


def _overlapping(data: bytes) -> bool:
    """Whether an Exif block in the data has tags that share bytes: Pillow would copy each of them.

    So has, as far as anybody can tell in time, a file of many such blocks or of one with countless tags.
    """
    looked = 0
    for mark in (b"II*\0", b"MM\0*"):
        at = data.find(mark)
        while at >= 0:
            looked += 1
            if looked > _MOST_MARKS:
                return True
            try:
                if exif.first_directory(data, at).bytes_claimed > len(data):
                    return True
            except exif.Crowded:
                return True
            except ValueError:
                pass
            at = data.find(mark, at + 1)
    return False
