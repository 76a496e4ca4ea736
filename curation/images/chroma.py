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
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.images.jit import jit

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


def warm_up() -> None:
    """Compiles the kernel, which takes about a second, so that no image has to wait for it."""
    block_colours(np.zeros((_FINE, _FINE, 3), np.uint8))


def _means(pixels: NDArray[np.uint8], blocks: int) -> NDArray[np.float64]:
    """The mean of each of ``blocks`` x ``blocks`` equal parts of a picture, whose sides need be no multiple of that."""
    height, width = pixels.shape[:2]
    found = np.empty((blocks, blocks, 3))
    lines = np.ascontiguousarray(pixels).reshape(height, width * 3)
    _add_up(lines, np.linspace(0, height, blocks + 1), np.linspace(0, width, blocks + 1), found)
    return found


@jit
def _add_up(lines: Any, down: Any, across: Any, means: Any) -> None:
    """``_means`` of rows of pixels, given the edges of the parts; an edge inside a pixel takes its share of it."""
    height, width = lines.shape[0], lines.shape[1] // 3
    blocks = means.shape[0]
    area = (height / blocks) * (width / blocks)
    whole = np.zeros(3 * width, np.int32)  # of the rows above
    above = np.zeros(3 * width)
    below = np.empty(3 * width)
    left = np.empty(3)
    y = 0
    for i in range(1, blocks + 1):
        last = min(int(down[i]), height - 1)
        while y < last:
            line = lines[y]
            for x in range(3 * width):
                whole[x] += line[x]
            y += 1
        share, line = down[i] - last, lines[last]
        for x in range(3 * width):
            below[x] = whole[x] + line[x] * share
            above[x] = below[x] - above[x]
        total, x = np.zeros(3), 0
        left[:] = 0.0
        for j in range(1, blocks + 1):
            edge = min(int(across[j]), width - 1)
            while x < edge:
                for c in range(3):
                    total[c] += above[3 * x + c]
                x += 1
            for c in range(3):
                right = total[c] + above[3 * edge + c] * (across[j] - edge)
                means[i - 1, j - 1, c] = (right - left[c]) / area
                left[c] = right
        above, below = below, above


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
