"""Size and direction: down to the recipe's size, never up, and upright."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pyvips
from numpy.typing import NDArray

from schemas.recipe import Download

Pixels = NDArray[np.uint8]

# Pixels for one of the result from which on libvips averages whole pixels first; it has no kernels for factors of
# hundreds. Eight more than suffice: the finish by Lanczos then keeps 0.99 of the sharpness.
_GAP = 8.0
_MOST_ROOM = 64

# Images are prepared side by side already; libvips' own threads would only get in each other's way, and its cache of
# results would keep pictures in memory.
pyvips.concurrency_set(1)
pyvips.cache_set_max(0)


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
    """The same picture at this size, which must not be larger, by a Lanczos filter of three lobes (libvips).

    The result is Pillow's ``resize(size, LANCZOS)`` to within rounding: on sRGB values, not on linear light.
    ``extent`` is the part of the pixels, across and down, that the picture covers; the default is all of them.
    A JPEG decoded at an eighth of 1001 pixels yields 126 pixels, of which the picture covers 125.125.
    """
    across, down = extent or (pixels.shape[1], pixels.shape[0])
    if (across, down) == (width, height):
        return pixels
    # libvips filters columns three times as fast as rows: rows are filtered as the columns of the transposed picture.
    lower = cv2.transpose(_lower(pixels, height, down))
    narrower: Pixels = cv2.transpose(_lower(lower, width, across))
    return narrower


def _lower(pixels: Pixels, height: int, extent: float) -> Pixels:
    """The same picture at this height; ``extent`` of its rows are those that it covers."""
    high, wide, channels = pixels.shape
    factor = extent / height
    image = pyvips.Image.new_from_memory(np.ascontiguousarray(pixels).data, wide, high, channels, "uchar")
    if extent != high:
        image = image.embed(0, 0, wide, high + _room(high, factor), extend="copy")
    image = image.reducev(factor, kernel="lanczos3", gap=_GAP)
    # A region is computed by the thread that asks for it; a whole image by threads of libvips', which wait for each
    # other some forty times a picture.
    reduced: Pixels = np.frombuffer(pyvips.Region.new(image).fetch(0, 0, wide, height), np.uint8)
    return reduced.reshape(height, wide, channels)


def _room(length: int, factor: float) -> int:
    """How many pixels to repeat at the end, so that the filter begins at the first one.

    libvips yields a whole number of pixels, and leaves out as much of the input at either end as that rounding
    demands: up to half a pixel of the result. The room is chosen so that this is as good as nothing.
    """

    def left_out(room: int) -> float:
        return abs(length + room - round((length + room) / factor) * factor)

    return min(range(_MOST_ROOM), key=left_out)


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
