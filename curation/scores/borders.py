"""Borders of one colour around a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curation.scores.scorer import Measure, Reads
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.picture import Picture

_TOLERANCE = 16  # grey levels from the border's colour: JPEG of quality 75 rings by less, save beside an edge
_SAMPLE = 48  # pixels of the outermost line that are looked at first
_STRAY = 0.01  # share of a line's pixels that may differ by more


@dataclass(frozen=True)
class Borders:
    """Width of the border of one colour on each side of a picture, such as bars above and below a film frame.

    A line of pixels belongs to the border while at least 99 % of them are within 16 of 255 levels, in each channel, of
    the median colour of the outermost line. A picture of one colour is all border. A plain background that reaches the
    edge counts as a border: a product on white has wide ones.
    """

    name: ClassVar[str] = "borders"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.1 ms of one core an image, 0.2 ms where there is a wide border"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("border_left", "width of the border on the left", "pixels", 0),
        ScoreColumn("border_right", "width of the border on the right", "pixels", 0),
        ScoreColumn("border_top", "height of the border at the top", "pixels", 0),
        ScoreColumn("border_bottom", "height of the border at the bottom", "pixels", 0),
        ScoreColumn("border_share", "share of the picture that its borders cover", "share", 0, 1),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _borders


def _borders(picture: Picture) -> Sequence[float]:
    import numpy as np

    from curation.scores.kernels import borders, ready

    height, width = picture.pixels.shape[:2]
    found = np.empty(4, np.int64)
    borders(ready(picture.pixels), _TOLERANCE, _SAMPLE, _STRAY, found)
    left, right, top, bottom = found.tolist()
    inside = max(0, width - left - right) * max(0, height - top - bottom)
    return [left, right, top, bottom, 1 - inside / (width * height)]
