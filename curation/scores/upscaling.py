"""Upscaling: whether a picture has the fine detail that its size promises."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from curation.scores.scorer import Measure, Reads
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from curation.images.picture import Picture

_LENGTH = 256  # pixels of a line, at most
_LINES = 32  # of each direction
_COARSE, _FINE = (0.15, 0.3), (0.6, 0.98)  # shares of the Nyquist frequency
_FLOOR = 1e-3  # of power, in squared grey levels: less than rounding to 8 bits adds


@dataclass(frozen=True)
class Upscaling:
    """How much weaker fine detail is than coarse detail, in powers of ten: high after enlarging or blurring.

    The mean power spectrum of 32 rows and 32 columns of luma (their middle 256 pixels, Hann window) between 0.15 and
    0.3 of the Nyquist frequency, over that between 0.6 and 0.98, as a logarithm. The spectrum of photographs falls
    with about the square of the frequency (D. J. Field, "Relations between the statistics of natural images and the
    response properties of cortical cells", 1987), which makes one or so. Enlarging by two leaves nothing above half of
    the Nyquist frequency but what rounding and compression put there. Unknown for pictures that are smaller than 64
    pixels, and where there is no coarse detail either.
    """

    name: ClassVar[str] = "upscaling"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.1 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("upscaling", "power of coarse over power of fine detail", "powers of ten"),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _upscaling


def _upscaling(picture: Picture) -> Sequence[float | None]:
    import cv2
    import numpy as np

    from curation.scores.spectra import lines_of, power

    height, width = picture.luma.shape
    shorter = min(height, width)
    if shorter < 64:
        return [None]
    length = min(_LENGTH, shorter)
    middle = (height - length) // 2, (width - length) // 2
    lines = np.empty((2 * _LINES, length), np.float32)
    first_row, first_column = height // (2 * _LINES), width // (2 * _LINES)
    top, left = (first_row, middle[0]), (middle[1], first_column)
    lines_of(picture.luma, top, left, height // _LINES, width // _LINES, _window(length), lines)
    spectra = np.asarray(cv2.dft(lines, flags=cv2.DFT_ROWS), np.float32)
    found = np.empty(2)
    power(spectra, _bands(length), found)
    coarse, fine = found.tolist()
    return [math.log10((coarse + _FLOOR) / (fine + _FLOOR)) if coarse > 1 else None]


@cache
def _bands(length: int) -> NDArray[np.int64]:
    """First and end of the coarse and of the fine frequencies of a line, in waves a line."""
    import numpy as np

    return np.array([[round(share * length / 2) for share in band] for band in (_COARSE, _FINE)], np.int64)


@cache
def _window(length: int) -> NDArray[np.float32]:
    import numpy as np

    window = np.hanning(length)
    found: NDArray[np.float32] = (window / np.sqrt((window**2).mean())).astype(np.float32)
    return found
