"""Mean luma and colour of the blocks of a picture, in 104 bytes, which pHash does not capture.

    bytes  0 to 63   mean luma of 8 x 8 blocks, row by row
    bytes 64 to 79   mean Cb of 4 x 4 blocks, 128 for none
    bytes 80 to 95   mean Cr of the same blocks
    byte  96         share of the picture that has the commonest luma, in 255ths, 1 at least
    byte  97         share of the picture that has any colour, in 255ths, rounded up: 0 for a grey picture
    the rest         zeros

Luma and chroma are those of JPEG (ITU-R 601, full range).
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

COLOUR_BYTES = 104
_FINE, _COARSE = 8, 4
_SAMPLED = 128  # rows and columns of pixels that the two shares are counted on
_COMMON = 4  # levels around the commonest luma that count as the same
_COLOURED = 16  # levels between the highest and the lowest channel from which a pixel has colour


def block_colours(pixels: NDArray[np.uint8], order: Literal["rgb", "bgr"] = "rgb") -> bytes:
    """The colours of the blocks of (H, W, 3) pixels of 8 bits, in the order of channels given."""
    fine = _means(pixels, _FINE)
    coarse = fine.reshape(_COARSE, 2, _COARSE, 2, 3).mean(axis=(1, 3))
    luma = _luma(coarse, order)
    red, blue = (coarse[..., 0], coarse[..., 2]) if order == "rgb" else (coarse[..., 2], coarse[..., 0])
    blocks = np.concatenate([_luma(fine, order), (blue - luma) * 0.564 + 128, (red - luma) * 0.713 + 128], axis=None)
    found = np.zeros(COLOUR_BYTES, np.uint8)
    found[:96] = np.clip(np.round(blocks), 0, 255)
    sampled = cv2.resize(pixels, (_SAMPLED, _SAMPLED), interpolation=cv2.INTER_NEAREST)
    found[96] = max(1, round(_commonest(sampled, order) * 255))
    found[97] = math.ceil(_coloured(sampled) * 255)
    return found.tobytes()


def _means(pixels: NDArray[np.uint8], blocks: int) -> NDArray[np.float64]:
    """The mean of each of ``blocks`` x ``blocks`` equal parts of a picture, whose sides need be no multiple of that."""
    height, width = pixels.shape[:2]
    down = np.linspace(0, height, blocks + 1)
    rows = np.minimum(down.astype(int), height - 1)
    lines = np.zeros((blocks + 1, width, 3))  # the sum of all that is above each boundary
    for i in range(blocks):
        band = pixels[rows[i] : rows[i + 1]]
        lines[i + 1] = lines[i]
        if len(band):
            lines[i + 1] += cv2.reduce(band, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[0]
    lines += pixels[rows] * (down - rows)[:, None, None]
    bands = np.diff(lines, axis=0)
    across = np.linspace(0, width, blocks + 1)
    columns = np.minimum(across.astype(int), width - 1)
    sums = np.zeros((blocks, width + 1, 3))
    np.cumsum(bands, axis=1, out=sums[:, 1:])
    parts = sums[:, columns] + bands[:, columns] * (across - columns)[None, :, None]
    means: NDArray[np.float64] = np.diff(parts, axis=1) / ((height / blocks) * (width / blocks))
    return means


def _luma(pixels: NDArray[np.float64], order: str) -> NDArray[np.float64]:
    weights = (0.299, 0.587, 0.114) if order == "rgb" else (0.114, 0.587, 0.299)
    found: NDArray[np.float64] = pixels @ np.array(weights)
    return found


def _commonest(sampled: NDArray[np.uint8], order: str) -> float:
    """The share of pixels that have the commonest luma, or nearly."""
    luma = cv2.cvtColor(sampled, cv2.COLOR_RGB2GRAY if order == "rgb" else cv2.COLOR_BGR2GRAY)
    counts = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel()
    return float(np.convolve(counts, np.ones(2 * _COMMON + 1), "same").max() / luma.size)


def _coloured(sampled: NDArray[np.uint8]) -> float:
    """The share of pixels whose channels differ."""
    first, green, last = cv2.split(sampled)
    spread = cv2.subtract(cv2.max(cv2.max(first, green), last), cv2.min(cv2.min(first, green), last))
    return float(cv2.countNonZero(cv2.compare(spread, _COLOURED, cv2.CMP_GE)) / spread.size)
