"""Upscaling: whether a picture has the fine detail that its size promises."""

from __future__ import annotations

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
    cost: ClassVar[str] = "0.4 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("upscaling", "power of coarse over power of fine detail", "powers of ten"),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _upscaling


def _upscaling(picture: Picture) -> Sequence[float | None]:
    import cv2
    import numpy as np

    luma = picture.luma
    shorter = min(luma.shape)
    if shorter < 64:
        return [None]
    length = min(_LENGTH, shorter)
    lines = np.concatenate([_lines(luma, length), _lines(luma.T, length)]).astype(np.float32)
    lines -= lines.mean(axis=1, keepdims=True)
    lines *= _window(length)
    power = _power(cv2.dft(lines, flags=cv2.DFT_ROWS)) / length
    nyquist = length / 2
    coarse, fine = (float(power[round(low * nyquist) : round(high * nyquist)].mean()) for low, high in (_COARSE, _FINE))
    return [float(np.log10((coarse + _FLOOR) / (fine + _FLOOR))) if coarse > 1 else None]


def _lines(luma: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """The middle of some rows, as many pixels of each."""
    height, width = luma.shape
    left = (width - length) // 2
    return luma[height // (2 * _LINES) :: height // _LINES, left : left + length][:_LINES]


def _power(packed: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean power by frequency from OpenCV's packed spectra: real part of 0, then real and imaginary of each."""
    import numpy as np

    squares = np.einsum("ij,ij->j", packed, packed) / len(packed)
    last = (len(squares) - 1) // 2
    power: NDArray[np.float32] = squares[: 2 * last + 1]
    return np.concatenate([power[:1], power[1::2] + power[2::2]])


@cache
def _window(length: int) -> NDArray[np.float32]:
    import numpy as np

    window = np.hanning(length)
    found: NDArray[np.float32] = (window / np.sqrt((window**2).mean())).astype(np.float32)
    return found
