"""Stored images as pictures."""

from __future__ import annotations

import cv2
import numpy as np

from curation.images.picture import Picture
from curation.images.reading import ImageReader


def stored_picture(read: ImageReader, offset: int | None, size: int | None, unchanged: bool | None) -> Picture | None:
    """The picture of a row of images; None where its pixels are not stored or cannot be decoded.

    One that was stored as it came has its original with it. Of another one only the exported pixels are known.
    """
    if offset is None or size is None:
        return None
    data = read(offset, size)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        return None
    pixels = np.asarray(decoded, np.uint8)
    return Picture(pixels, data, pixels) if unchanged else Picture(pixels)
