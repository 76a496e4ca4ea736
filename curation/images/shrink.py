"""Size and direction: down to the recipe's size, never up, and upright."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.recipe import Download

Pixels = NDArray[np.uint8]

# Blur of a sampled image in pixels that scale-space theory commonly assumes (Lowe 2004, section 3.3).
_SAMPLED = 0.5


def target(width: int, height: int, settings: Download) -> tuple[int, int]:
    """The size to export at: the side that the recipe names becomes ``size``, the other keeps the aspect."""
    match settings.resize:
        case "none":
            return width, height
        case "shorter":
            side = min(width, height)
        case "longer":
            side = max(width, height)
    if side <= settings.size:
        return width, height
    return _scaled(width, settings.size, side), _scaled(height, settings.size, side)


def _scaled(length: int, size: int, side: int) -> int:
    return max(1, (2 * length * size + side) // (2 * side))


def shrunk(pixels: Pixels, width: int, height: int, extent: tuple[float, float] | None = None) -> Pixels:
    """The same picture at this size, which must not be larger.

    ``extent`` is the part of the pixels, across and down, that the picture covers; the default is all of them.
    A JPEG decoded at an eighth of 1001 pixels yields 126 pixels, of which the picture covers 125.125.

    Halved by averaging while it is twice as large or more; the rest by bicubic interpolation after the
    blur that a factor f asks for, ``0.5 * sqrt(f * f - 1)`` pixels. Nearer to a full Lanczos filter than
    area averaging is, at a third of its cost for the common case of a little too large.
    """
    across, down = extent or (pixels.shape[1], pixels.shape[0])
    while across >= 2 * width and down >= 2 * height:
        half = pixels.shape[1] // 2, pixels.shape[0] // 2
        across, down = across * half[0] / pixels.shape[1], down * half[1] / pixels.shape[0]
        pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    if (across, down) == (width, height):
        return pixels
    factor = min(across / width, down / height)
    sigma = _SAMPLED * math.sqrt(max(factor * factor - 1.0, 0.0))
    if sigma > 0.15:  # below, the kernel's outer weights round to nothing
        pixels = cv2.GaussianBlur(pixels, (3, 3), sigma)
    if (across, down) == (pixels.shape[1], pixels.shape[0]):
        return _cubic(pixels, (width, height), 0.0, 0.0)
    # Given the factors and no size, OpenCV keeps them exact and may yield a row and a column beyond the picture.
    return _cubic(pixels, None, width / across, height / down)[:height, :width]


def _cubic(pixels: Pixels, size: tuple[int, int] | None, across: float, down: float) -> Pixels:
    resized: Pixels = cv2.resize(pixels, size, fx=across, fy=down, interpolation=cv2.INTER_CUBIC)
    return resized


_UPRIGHT: dict[int, Callable[[Any], Any]] = {
    2: lambda a: cv2.flip(a, 1),
    3: lambda a: cv2.rotate(a, cv2.ROTATE_180),
    4: lambda a: cv2.flip(a, 0),
    5: cv2.transpose,
    6: lambda a: cv2.rotate(a, cv2.ROTATE_90_CLOCKWISE),
    7: lambda a: cv2.rotate(cv2.transpose(a), cv2.ROTATE_180),
    8: lambda a: cv2.rotate(a, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turns pixels (H, W, 3) by the Exif orientation 1 to 8 that they are stored in."""
    turn = _UPRIGHT.get(orientation)
    if turn is None:
        return pixels
    turned: NDArray[np.uint8] = turn(pixels)
    return turned
