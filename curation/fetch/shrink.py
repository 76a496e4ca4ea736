"""Down to the recipe's size, never up."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.recipe import Download

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


def shrunk(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """The same picture at this size, which must not be larger.

    Halved by averaging while it is twice as large or more; the rest by bicubic interpolation after the
    blur that a factor f asks for, ``0.5 * sqrt(f * f - 1)`` pixels. Nearer to a full Lanczos filter than
    area averaging is, at a third of its cost for the common case of a little too large.
    """
    while pixels.shape[1] >= 2 * width and pixels.shape[0] >= 2 * height:
        pixels = cv2.resize(pixels, (pixels.shape[1] // 2, pixels.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if pixels.shape[:2] == (height, width):
        return pixels
    factor = min(pixels.shape[1] / width, pixels.shape[0] / height)
    sigma = _SAMPLED * math.sqrt(max(factor * factor - 1.0, 0.0))
    if sigma > 0.15:  # below, the kernel's outer weights round to nothing
        pixels = cv2.GaussianBlur(pixels, (3, 3), sigma)
    reduced: NDArray[np.uint8] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    return reduced
