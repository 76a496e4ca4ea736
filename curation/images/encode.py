"""Encodes prepared pixels as the recipe asks: JPEG, WebP or PNG, without metadata."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.recipe import Download

LONGEST_SIDE: Mapping[str, int] = {"jpeg": 65_500, "webp": 16_383, "png": 1_000_000}
"""Most pixels of a side, by libjpeg, by the format itself, and by libpng."""

_CHROMA = {420: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, 444: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444}


def encode(pixels: NDArray[np.uint8], settings: Download) -> bytes:
    """The bytes of a file with these pixels (H, W, 3) in the order blue, green, red."""
    options = {
        "jpeg": [
            *(cv2.IMWRITE_JPEG_QUALITY, settings.quality),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _CHROMA[settings.chroma]),
        ],
        "webp": [cv2.IMWRITE_WEBP_QUALITY, settings.quality],
        "png": [],
    }[settings.format]
    done, encoded = cv2.imencode(f".{settings.extension}", pixels, options)
    if not done:
        raise RuntimeError(f"cannot encode pixels of shape {pixels.shape} as {settings.format}")
    return encoded.tobytes()
