"""JPEG history: how strongly a picture was compressed when it was fetched, and whether more than once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, ClassVar

from curation.scores.scorer import Measure, Reads
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from curation.images.picture import Picture

# The luminance table of ITU-T T.81, annex K.1, in zigzag order.
_LUMINANCE = (
    *(16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51),
    *(61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77),
    *(113, 121, 112, 100, 120, 92, 101, 103, 99),
)
_MODES = ((0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0))  # (down, across), zigzag 1 to 9
_ROWS, _COLUMNS = 64, 512  # pixels of the part that is looked at
_MOST = 24  # quantised values that are counted, from 1 on
_ENOUGH = 3  # values of a size on average, without which its count says nothing
_LEAST = 100  # values of a coefficient, without which its histogram says nothing


@dataclass(frozen=True)
class JpegHistory:
    """Quality of the JPEG that was fetched, and traces of an earlier JPEG compression in its coefficients.

    ``jpeg_quality`` is that of the Independent JPEG Group's scale whose luminance table has the sum nearest to that
    of the file's own: exact for their encoders, near for others. It is known while the original bytes are at hand: in
    the pass that fetches a JPEG, and later where it was stored as it came. Scaling removes the traces, so that nothing
    is guessed from stored pixels.

    ``double_compression`` is how strongly the histograms of quantised DCT coefficients go up and down in a regular
    rhythm, 0 for not at all (J. Lukáš and J. Fridrich, "Estimation of primary quantization matrix in double compressed
    JPEG images", 2003; A. C. Popescu and H. Farid, "Statistical tools for digital forensics", 2004). Of the first nine
    coefficients of up to 512 blocks in the middle of the picture, the largest amplitude of any rhythm of 2 to 5
    values counts, as a share of all values. A second compression that is stronger than the first, or has tables that
    it divides, leaves few traces. Unknown where the original is no JPEG, or was decoded at a part of its size.
    """

    name: ClassVar[str] = "jpeg_history"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.1 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("jpeg_quality", "quality of the JPEG as fetched", "", 1, 100),
        ScoreColumn("double_compression", "rhythm of the DCT coefficients of the JPEG as fetched", "share", 0, 1),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _history


def _history(picture: Picture) -> Sequence[float | None]:
    table = None if picture.original is None else luminance_table(picture.original)
    if table is None:
        return [None, None]
    return [_quality(float(table.sum())), None if picture.decoded is None else _rhythm(picture.decoded, table)]


def luminance_table(data: bytes) -> NDArray[np.float32] | None:
    """The quantisation table of a JPEG's first component, in zigzag order; None where there is none to be read."""
    import numpy as np

    from curation.images.facts import PixelsRejected
    from curation.images.jpeg import SCAN, segments

    if not data.startswith(b"\xff\xd8"):
        return None
    try:
        for marker, start, end in segments(data):
            if marker == SCAN:
                break
            body = data[start + 4 : end]
            while marker == 0xDB and body:
                wide, number = body[0] >> 4, body[0] & 15
                size = 128 if wide else 64
                if number == 0 and len(body) > size:
                    return np.frombuffer(body, ">u2" if wide else np.uint8, 64, 1).astype(np.float32)
                body = body[1 + size :]
    except PixelsRejected:
        return None
    return None


@lru_cache(maxsize=4096)  # the web's encoders have few tables
def _quality(total: float) -> float:
    """The quality whose table has the sum nearest to this one."""
    import numpy as np

    return 1.0 + int(np.abs(_sums() - np.float32(total)).argmin())


@cache
def _sums() -> NDArray[np.float32]:
    """The sums of the luminance tables of the qualities 1 to 100, as ``jpeg_set_quality`` of libjpeg makes them."""
    import numpy as np

    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = np.clip((np.array(_LUMINANCE) * scale[:, None] + 50) // 100, 1, 255)
    found: NDArray[np.float32] = tables.sum(axis=1).astype(np.float32)
    return found


def _rhythm(pixels: NDArray[np.uint8], table: NDArray[np.float32]) -> float | None:
    import cv2
    import numpy as np

    from curation.scores.spectra import coefficients, rhythm

    height, width = pixels.shape[:2]
    steps = table[1 : 1 + len(_MODES)]
    if (steps < 1).any() or min(height, width) < 8:
        return None
    rows, columns = min(_ROWS, height // 8 * 8), min(_COLUMNS, width // 8 * 8)
    top, left = (height - rows) // 16 * 8, (width - columns) // 16 * 8  # on the grid of the JPEG
    luma = np.asarray(cv2.cvtColor(pixels[top : top + rows, left : left + columns], cv2.COLOR_BGR2GRAY), np.uint8)
    counts = np.zeros((len(_MODES), _MOST + 5), np.int64)
    coefficients(luma, _waves(), _modes(), steps, counts)
    return min(1.0, float(rhythm(counts, _ENOUGH, _LEAST, *_rhythms())))


@cache
def _modes() -> NDArray[np.int64]:
    import numpy as np

    return np.array(_MODES, np.int64)


@cache
def _waves() -> NDArray[np.float32]:
    """The first four waves of a DCT over eight pixels, (4, 8)."""
    import numpy as np

    at = np.arange(8)
    waves = np.cos((2 * at[None] + 1) * at[:4, None] * np.pi / 16) * np.where(at[:4, None], 0.5, np.sqrt(1 / 8))
    return waves.astype(np.float32)


@cache
def _rhythms() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines and sines of waves of 2 to 5 values over the values from 2 on, (22, 31) each."""
    import numpy as np

    frequencies = np.linspace(0.2, 0.5, 31)
    angles = 2 * np.pi * np.arange(2, _MOST)[:, None] * frequencies
    return np.cos(angles), np.sin(angles)
