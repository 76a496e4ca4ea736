"""Colourfulness."""

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

_EVERY = 6  # of rows and of columns, one in so many is looked at: colours vary slowly


@dataclass(frozen=True)
class Colourfulness:
    """Saturation and colourfulness, of one pixel in 36; both are 0 for a grey picture.

    Saturation is that of HSV, (max - min) / max of red, green and blue, averaged. Colourfulness is the metric M3 of
    Hasler and Süsstrunk, "Measuring colourfulness in natural images" (2003): 15 is slightly, 45 averagely, 109
    extremely colourful to those whom they asked.
    """

    name: ClassVar[str] = "colourfulness"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.1 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("saturation", "mean saturation of HSV", "share", 0, 1),
        ScoreColumn("colourfulness", "colourfulness after Hasler and Süsstrunk", "", 0),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _colours


def _colours(picture: Picture) -> Sequence[float]:
    from curation.scores.kernels import colour_sums, ready

    many, saturation, *opponents = colour_sums(ready(picture.pixels), _EVERY, _shares())
    first, first_squares, second, second_squares = (sums / many for sums in opponents)
    second, second_squares = second / 2, second_squares / 4
    deviation = max(0.0, first_squares - first**2 + second_squares - second**2) ** 0.5
    return [saturation / many / 255, deviation + 0.3 * math.hypot(first, second)]


@cache
def _shares() -> NDArray[np.int64]:
    """255 over each value, with 12 bits behind the point; 0 for 0."""
    import numpy as np

    found: NDArray[np.int64] = np.rint(np.append(0, (255 << 12) / np.arange(1, 256))).astype(np.int64)
    return found
