"""Borders of one colour around a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curation.scores.scorer import Measure, Reads
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    cost: ClassVar[str] = "0.1 ms of one core an image, 1 ms where there is a border"
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
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    across = pixels.transpose(1, 0, 2)
    left, right, top, bottom = (_border(lines) for lines in (across, across[::-1], pixels, pixels[::-1]))
    inside = max(0, width - left - right) * max(0, height - top - bottom)
    return [left, right, top, bottom, 1 - inside / (width * height)]


def _border(lines: NDArray[np.uint8]) -> int:
    """How many of the lines (N, length, 3), from the first on, are of the first one's colour."""
    import numpy as np

    some = lines[0, :: -(-lines.shape[1] // _SAMPLE)]
    if not _is_plain(some, 0.25):
        return 0  # which spares most pictures all that follows
    colour = np.median(lines[0], axis=0).astype(np.int16)
    found, step = 0, 1
    # A line first, then twice as many each time: few pictures have a border, and few of those a wide one.
    while found < len(lines):
        block = lines[found : found + step]
        stray = (np.abs(block.astype(np.int16) - colour) > _TOLERANCE).any(axis=2).mean(axis=1)
        beyond = np.flatnonzero(stray > _STRAY)
        if len(beyond):
            return found + int(beyond[0])
        found, step = found + len(block), 2 * step
    return len(lines)


def _is_plain(pixels: NDArray[np.uint8], stray: float) -> bool:
    """Whether no more than this share of some pixels (N, 3) lies beyond the tolerance around any one colour."""
    import numpy as np

    ordered = np.sort(pixels, axis=0).astype(np.int16)
    beyond = int(stray * len(ordered))
    # Of sorted values, some run without the strays spans no more than the tolerance on both sides.
    spans = ordered[len(ordered) - 1 - beyond :] - ordered[: beyond + 1]
    return bool((spans.min(axis=0) <= 2 * _TOLERANCE).all())
