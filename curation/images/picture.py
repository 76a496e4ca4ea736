"""A decoded picture as scorers see it, with what several of them look at, computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.images.grey import luma_of, padded, value_counts

Pixels = NDArray[np.uint8]

SMALL_SIDE = 256
"""Pixels of the shorter side of ``Picture.small``."""
_MOST_ENLARGED = 4_000_000  # pixels


class Picture:
    """One picture. Made for one thread: what is computed is kept, and nothing is locked.

    ``pixels`` are those that are exported, (H, W, 3) of 8 bits in the order blue, green, red. ``original`` are the
    bytes as they were fetched, and ``decoded`` all their pixels, not resized, turned or reduced; both are None where
    they are not at hand: most pictures that were stored earlier, and large JPEGs, which are decoded at a part of their
    size.
    """

    def __init__(
        self,
        pixels: Pixels,
        original: bytes | None = None,
        decoded: Pixels | None = None,
        luma: Pixels | None = None,
    ) -> None:
        """``luma`` is that of the pixels (see there), where somebody has it already."""
        self.pixels = pixels
        self.original = original
        self.decoded = decoded
        if luma is not None:
            self.luma = luma

    @cached_property
    def luma(self) -> Pixels:
        """Luma of JPEG (ITU-R 601, full range) of ``pixels``, (H, W)."""
        return luma_of(self.pixels, "bgr")

    @cached_property
    def small(self) -> Pixels:
        """Luma with a shorter side of ``SMALL_SIDE``: areas of larger pictures averaged, smaller ones interpolated.

        A strip that would become large stays as it is.
        """
        height, width = self.luma.shape
        factor = min(height, width) / SMALL_SIDE
        if factor == 1:
            return self.luma
        size = max(SMALL_SIDE, round(width / factor)), max(SMALL_SIDE, round(height / factor))
        if factor < 1 and size[0] * size[1] > _MOST_ENLARGED:
            return self.luma
        luma = self.luma
        if factor == 2:  # whole blocks of 2 x 2, which OpenCV averages several times as fast
            luma = luma[: 2 * (height // 2), : 2 * (width // 2)]
            size = width // 2, height // 2
        return _plain(cv2.resize(luma, size, interpolation=cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR))

    @cached_property
    def padded(self) -> Pixels:
        """``small`` with one pixel more on every side, mirrored, so that each of its own has eight neighbours."""
        return padded(self.small)

    @cached_property
    def histogram(self) -> NDArray[np.float64]:
        """Share of the pixels of ``small`` with each of the 256 values of luma."""
        return value_counts(self.small) / self.small.size


Look = Callable[[Picture], bytes]
"""Looks at a picture while its pixels are at hand; the bytes are kept beside the image. Threads may share one."""


def _plain(image: Any) -> Pixels:
    return np.asarray(image, np.uint8)
