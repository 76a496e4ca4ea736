"""Takes faces out of pictures: what is left of one is a blot of a few colours."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in shares of width and height."""
_BEYOND = 0.35  # of a face's sides: boxes end at chin and brow, and their corners must lie in the ellipse
_EDGE = 0.15  # of the ellipse's radius, over which it passes into the picture
_CELLS = 4  # means that are left of a face, across and down


def blurred(pixels: NDArray[np.uint8], boxes: Iterable[Box]) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with an ellipse around each box replaced by 4x4 means of it, with a soft edge.

    The pixels that are given stay as they are.
    """
    found = pixels.copy()
    height, width = pixels.shape[:2]
    for left, top, right, bottom in boxes:
        across, down = (right - left) * _BEYOND, (bottom - top) * _BEYOND
        x0, x1 = max(0, int((left - across) * width)), min(width, int(np.ceil((right + across) * width)))
        y0, y1 = max(0, int((top - down) * height)), min(height, int(np.ceil((bottom + down) * height)))
        if x0 < x1 and y0 < y1:
            found[y0:y1, x0:x1] = _blot(found[y0:y1, x0:x1])
    return found


def _blot(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = part.shape[:2]
    cells = cv2.resize(part, (min(_CELLS, width), min(_CELLS, height)), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.hypot((x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1)
    share = np.clip((1 - away) / _EDGE, 0, 1)[..., None].astype(np.float32)
    mixed = smooth * share + part.astype(np.float32) * (1 - share)
    replaced: NDArray[np.uint8] = np.rint(mixed).astype(np.uint8)
    return replaced
