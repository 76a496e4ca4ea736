"""Colourfulness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curation.scores.scorer import Measure, Reads
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.picture import Picture

_OPPONENTS = ((0, -1, 1), (-1, 0.5, 0.5))  # red - green and (red + green) / 2 - blue, of blue, green, red
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
    cost: ClassVar[str] = "0.2 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("saturation", "mean saturation of HSV", "share", 0, 1),
        ScoreColumn("colourfulness", "colourfulness after Hasler and Süsstrunk", "", 0),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _colours


def _colours(picture: Picture) -> Sequence[float]:
    import cv2
    import numpy as np

    some = np.ascontiguousarray(picture.pixels[::_EVERY, ::_EVERY])
    saturation = cv2.mean(cv2.cvtColor(some, cv2.COLOR_BGR2HSV))[1] / 255
    mean, deviation = cv2.meanStdDev(cv2.transform(some.astype(np.float32), np.array(_OPPONENTS, np.float32)))
    return [saturation, float(np.hypot(*deviation[:, 0]) + 0.3 * np.hypot(*mean[:, 0]))]
