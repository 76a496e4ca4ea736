"""Luma of a picture, and how often each of its values stands there."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.images.jit import jit

Pixels = NDArray[np.uint8]


def luma_of(pixels: Pixels, order: Literal["rgb", "bgr"]) -> Pixels:
    """Luma of JPEG (ITU-R 601, full range), (H, W), of pixels (H, W, 3) of 8 bits in the order of channels given."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY if order == "rgb" else cv2.COLOR_BGR2GRAY), np.uint8)


def padded(grey: Pixels) -> Pixels:
    """A grey picture (H, W) with one pixel more on every side, mirrored at the edge pixels (H + 2, W + 2): b|abc|b."""
    return np.asarray(cv2.copyMakeBorder(grey, 1, 1, 1, 1, cv2.BORDER_REFLECT_101), np.uint8)


def value_counts(grey: Pixels) -> NDArray[np.int64]:
    """How many values of an 8-bit array, contiguous and of any shape, are 0, 1, and so on to 255."""
    found = np.zeros(256, np.int64)
    _count(grey.reshape(-1), found)
    return found


@jit
def _count(values: Any, counts: Any) -> None:
    # Four tables in turn: neighbours are often equal, and one count would wait for the one before.
    tables = np.zeros((4, 256), np.int64)
    whole = values.size // 4 * 4
    for i in range(0, whole, 4):
        tables[0, values[i]] += 1
        tables[1, values[i + 1]] += 1
        tables[2, values[i + 2]] += 1
        tables[3, values[i + 3]] += 1
    for i in range(whole, values.size):
        tables[0, values[i]] += 1
    for i in range(256):
        counts[i] += tables[0, i] + tables[1, i] + tables[2, i] + tables[3, i]
