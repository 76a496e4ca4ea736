"""pHash of decoded pixels: ``imagehash.phash`` to the bit, in a fraction of its time, and a second look at them.

The definition: luma, Lanczos down to 32x32, a two-dimensional DCT, and of its lowest 8x8 coefficients
those above their median. The reduction must round exactly as Pillow's does: coefficients of 22 bits, sums
in whole numbers, 8 bits between the passes. Here Numba does the passes for images that are not tall;
for tall ones Pillow chooses the order of the passes by its version, so Pillow itself does the work.

The second look takes the lowest 16x16 coefficients of the same transform, which is
``imagehash.phash(image, hash_size=16, highfreq_factor=2)``: 192 of its 256 bits tell what the first does not.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any, Literal

import cv2
import numpy as np
import scipy.fftpack
from numpy.typing import NDArray
from PIL import Image

from curation.images.jit import jit
from curation.images.windows import WINDOWS

_SIDE = 32
_LOW = 8
_WIDE = 16
_BITS = 22  # Pillow's PRECISION_BITS: 32 bits less 8 of the sample and 2 of head-room
_LANCZOS = 3.0
_SMALLEST = 128
_TALL = 1.6

Bytes = NDArray[np.uint8]


def phash(pixels: Bytes | Image.Image, order: Literal["rgb", "bgr"] = "rgb") -> int:
    """The 64 bits of ``imagehash.phash`` of this image as a number, the first bit the highest.

    ``pixels`` are (H, W, 3) of 8 bits in the order of channels given, or a Pillow image of any mode.
    """
    return int.from_bytes(_above_median(_spectrum(pixels, order), _LOW), "big")


def phash_twice(pixels: Bytes | Image.Image, order: Literal["rgb", "bgr"] = "rgb") -> tuple[int, bytes]:
    """The pHash, and the 256 bits (32 bytes, the first bit the highest) of the second look at the same pixels."""
    spectrum = _spectrum(pixels, order)
    return int.from_bytes(_above_median(spectrum, _LOW), "big"), _above_median(spectrum, _WIDE)


def crop_hashes(pixels: Bytes | Image.Image, order: Literal["rgb", "bgr"] = "rgb") -> bytes:
    """``phash_twice`` of ``WINDOWS`` of the same pixels, 40 bytes each: what a crop of the picture may look like."""
    luma = _luma(pixels, order) if isinstance(pixels, np.ndarray) else np.asarray(pixels.convert("L"))
    height, width = luma.shape
    found = []
    for share, across, down in WINDOWS:
        high, wide = max(1, round(height * (1 - share))), max(1, round(width * (1 - share)))
        top, left = round((height - high) * down), round((width - wide) * across)
        spectrum = _transformed(np.ascontiguousarray(luma[top : top + high, left : left + wide]))
        found.append(_above_median(spectrum, _LOW) + _above_median(spectrum, _WIDE))
    return b"".join(found)


def warm_up() -> None:
    """Compiles the kernels, which takes about a second, so that no image has to wait for it."""
    phash(np.zeros((_SMALLEST, _SMALLEST, 3), np.uint8))


def _spectrum(pixels: Bytes | Image.Image, order: str) -> NDArray[np.float64]:
    return _transformed(_luma(pixels, order) if isinstance(pixels, np.ndarray) else np.asarray(pixels.convert("L")))


def _transformed(luma: Bytes) -> NDArray[np.float64]:
    found: NDArray[np.float64] = scipy.fftpack.dct(scipy.fftpack.dct(_reduced(luma), axis=0), axis=1)
    return found


def _above_median(spectrum: NDArray[np.float64], side: int) -> bytes:
    lowest = spectrum[:side, :side]
    ranked = np.sort(lowest, axis=None)
    middle = side * side // 2
    return np.packbits(lowest > (ranked[middle - 1] + ranked[middle]) / 2).tobytes()


def _luma(pixels: Bytes, order: str) -> Bytes:
    first, green, last = cv2.split(pixels)
    red, blue = (first, last) if order == "rgb" else (last, first)
    luma = np.empty(pixels.shape[:2], np.uint8)
    _weigh(red.ravel(), green.ravel(), blue.ravel(), luma.ravel())
    return luma


def _reduced(luma: Bytes) -> Bytes:
    height, width = luma.shape
    if width < _SMALLEST or height < _SMALLEST or height > _TALL * width or not _rounds_as_pillow():
        return _by_pillow(luma)
    return _by_us(np.ascontiguousarray(luma))


def _by_pillow(luma: Bytes) -> Bytes:
    return np.asarray(Image.fromarray(luma).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def _by_us(luma: Bytes) -> Bytes:
    height, width = luma.shape
    narrow = np.empty((height, _SIDE), np.uint8)
    small = np.empty((_SIDE, _SIDE), np.uint8)
    _across(luma, *_coefficients(width), narrow)
    _down(narrow, *_coefficients(height), small)
    return small


@cache
def _rounds_as_pillow() -> bool:
    """Whether the installed Pillow rounds as the one that these kernels were written after."""
    noise = np.random.default_rng(0)
    for height, width in ((512, 512), (819, 512), (384, 683), (204, 128), (128, 128), (129, 1000), (333, 267)):
        luma = noise.integers(0, 256, (height, width), dtype=np.uint8)
        if not np.array_equal(_by_us(luma), _by_pillow(luma)):
            return False
    return True


@lru_cache(maxsize=512)
def _coefficients(size: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Pillow's weights for reducing ``size`` samples to 32: (32, n) whole numbers, and (first, count) of each."""
    scale = size / _SIDE
    stretch = max(scale, 1.0)
    support = _LANCZOS * stretch
    weights = np.zeros((_SIDE, math.ceil(support) * 2 + 1), np.int32)
    spans = np.zeros((_SIDE, 2), np.int64)
    for out in range(_SIDE):
        center = (out + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        last = min(int(center + support + 0.5), size)
        row = [_lanczos((x - center + 0.5) * (1.0 / stretch)) for x in range(first, last)]
        total = 0.0
        for weight in row:
            total += weight
        spans[out] = first, last - first
        for i, weight in enumerate(row):
            scaled = weight * (1.0 / total) * (1 << _BITS)
            weights[out, i] = int(scaled - 0.5) if scaled < 0 else int(scaled + 0.5)
    return weights, spans


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / _LANCZOS) if -_LANCZOS <= x < _LANCZOS else 0.0


def _sinc(x: float) -> float:
    return math.sin(x * math.pi) / (x * math.pi) if x else 1.0


@jit
def _weigh(red: Any, green: Any, blue: Any, luma: Any) -> None:
    """ITU-R 601 luma in 16 bits, rounded, as Pillow's mode L."""
    for i in range(luma.size):
        luma[i] = (
            np.uint32(red[i]) * np.uint32(19595)
            + np.uint32(green[i]) * np.uint32(38470)
            + np.uint32(blue[i]) * np.uint32(7471)
            + np.uint32(0x8000)
        ) >> np.uint32(16)


@jit
def _across(luma: Any, weights: Any, spans: Any, narrow: Any) -> None:
    """The horizontal pass: (H, W) to (H, 32)."""
    height, width = luma.shape
    line = np.empty(width, np.int32)
    for y in range(height):
        source = luma[y]
        for x in range(width):
            line[x] = source[x]
        for out in range(_SIDE):
            first, count = spans[out, 0], spans[out, 1]
            part = line[first : first + count]
            weight = weights[out, :count]
            total = np.int32(1 << (_BITS - 1))
            for i in range(count):
                total += part[i] * weight[i]
            narrow[y, out] = min(max(total >> _BITS, 0), 255)


@jit
def _down(narrow: Any, weights: Any, spans: Any, small: Any) -> None:
    """The vertical pass: (H, 32) to (32, 32)."""
    total = np.empty(_SIDE, np.int32)
    for out in range(_SIDE):
        total[:] = 1 << (_BITS - 1)
        for i in range(spans[out, 1]):
            line = narrow[spans[out, 0] + i]
            weight = weights[out, i]
            for x in range(_SIDE):
                total[x] += line[x] * weight
        for x in range(_SIDE):
            small[out, x] = min(max(total[x] >> _BITS, 0), 255)
