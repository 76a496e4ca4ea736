"""A 16 x 16 grey thumbnail of a picture in 264 bytes, which tells whether two pictures with near hashes are the same.

    byte   0         1
    bytes  1 to 7    zeros
    bytes  8 to 263  luma of 16 x 16 equal parts of the picture, row by row

Luma is that of JPEG (ITU-R 601, full range), averaged over each part.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.images.grey import luma_of

THUMBNAIL_BYTES = 264
_SIDE = 16
_HEADER = 8


def thumbnail(pixels: NDArray[np.uint8], order: Literal["rgb", "bgr"] = "rgb") -> bytes:
    """The thumbnail of (H, W, 3) pixels of 8 bits, in the order of channels given."""
    return thumbnail_of(luma_of(pixels, order))


def thumbnail_of(luma: NDArray[np.uint8]) -> bytes:
    """The thumbnail of a picture's luma, (H, W)."""
    found = np.zeros(THUMBNAIL_BYTES, np.uint8)
    found[0] = 1
    found[_HEADER:] = cv2.resize(luma, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).ravel()
    return found.tobytes()
