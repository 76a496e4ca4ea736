"""Makes the image file of a page, in the formats and shapes found on the web."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections import OrderedDict

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from curation.demo.near import transformed
from curation.demo.pages import Page
from curation.demo.render import encode, render
from curation.demo.truth import Scene
from curation.demo.world import scene

Image = NDArray[np.uint8]
HTML = b"<!DOCTYPE html><html><head><title>Not found</title></head><body><p>This picture has moved.</p></body></html>"
_PIXELS_30000 = 30_000


def body(seed: int, page: Page) -> bytes:
    """The final body of the page's URL, after redirects and retries."""
    match page.trouble:
        case "html":
            return HTML
        case "empty body":
            return b""
        case "too many pixels":
            return _huge_header()
    shown = scene(seed, page.scene)
    pixels = render(shown)
    if page.transformation:
        return transformed(pixels, page.transformation)
    return _file(pixels, shown, page.trouble)


def _file(pixels: Image, shown: Scene, trouble: str) -> bytes:
    h, w = pixels.shape[:2]
    quality = shown.photo.quality
    match trouble:
        case "png" | "webp" | "cmyk jpeg" | "grey jpeg" | "palette with alpha" | "animated gif" | "exif rotated":
            return _by_pillow(pixels, trouble)
        case "16-bit png":
            wide = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR).astype(np.uint16) * 257
            return bytes(cv2.imencode(".png", wide)[1])
        case "too small":
            return encode(cv2.resize(pixels, (w * 120 // min(w, h), h * 120 // min(w, h))), quality)
        case "extreme aspect":
            return encode(cv2.resize(pixels, (900, 240)), quality)
        case "large":
            return encode(cv2.resize(pixels, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC), quality)
        case _:
            return encode(pixels, quality)


def _by_pillow(pixels: Image, trouble: str) -> bytes:
    picture = Pictures.fromarray(pixels)
    out = io.BytesIO()
    match trouble:
        case "png":
            picture.save(out, "PNG", compress_level=1)
        case "webp":
            picture.save(out, "WEBP", quality=90, method=2)
        case "cmyk jpeg":
            picture.convert("CMYK").save(out, "JPEG", quality=92)
        case "grey jpeg":
            picture.convert("L").save(out, "JPEG", quality=92)
        case "palette with alpha":
            alpha = Pictures.new("L", picture.size, 255)
            alpha.paste(0, (0, 0, picture.width // 20, picture.height // 20))
            picture.putalpha(alpha)
            picture.quantize(200, method=Pictures.Quantize.FASTOCTREE).save(out, "PNG", compress_level=1)
        case "animated gif":
            frames = [Pictures.fromarray(np.roll(pixels, 6 * i, axis=1)).quantize(64) for i in range(3)]
            frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=120, loop=0)
        case _:
            exif = Pictures.Exif()
            exif[0x0112] = 6  # viewers turn it a quarter clockwise
            picture.transpose(Pictures.Transpose.ROTATE_90).save(out, "JPEG", quality=92, exif=exif)
    return out.getvalue()


def _huge_header() -> bytes:
    """A PNG of 30,000 x 30,000 pixels by its header, with next to nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", _PIXELS_30000, _PIXELS_30000, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


class Studio:
    """Makes bodies on first use and caches the latest ones, up to a number of bytes."""

    def __init__(self, seed: int, capacity: int = 256 * 1024 * 1024) -> None:
        self._seed = seed
        self._capacity = capacity
        self._held = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def kept(self, page: Page) -> bytes | None:
        """The body if it is in the cache."""
        with self._lock:
            data = self._kept.get(page.number)
            if data is not None:
                self._kept.move_to_end(page.number)
            return data

    def body(self, page: Page) -> bytes:
        """The body, the same bytes each time; safe from several threads."""
        data = self.kept(page)
        if data is not None:
            return data
        data = body(self._seed, page)
        with self._lock:
            if page.number not in self._kept:
                self._kept[page.number] = data
                self._held += len(data)
            while self._held > self._capacity and len(self._kept) > 1:
                self._held -= len(self._kept.popitem(last=False)[1])
        return data
