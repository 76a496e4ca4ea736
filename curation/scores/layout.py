"""Layout: pictures made of several, or of flat areas as screens draw them."""

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

_STEP = 10  # grey levels between neighbours that make a seam
_STRONG = 32  # grey levels between neighbours that make an edge of a drawing
_LEVEL = 3  # grey levels: less is level
_MARGIN = 0.06  # of a side: a step this near to the edge is a border's


@dataclass(frozen=True)
class Layout:
    """Seams from edge to edge as collages have them, areas without any detail, and edges as screens draw them.

    All on luma with a shorter side of 256 pixels. ``collage`` is the share of a straight line across the whole picture,
    upright or level, at which neighbours differ by more than 10 of 255 levels; the line with most counts, save the
    outer 6 %. ``flat_share`` is the share of pixels whose 3 x 3 neighbours differ by 2 levels at most. ``screenshot``
    is the geometric mean of two shares: flat pixels, and edges (more than 32 levels) that are exactly upright or level
    (less than 3 levels along the edge). These are heuristics of our own: a horizon may look like a seam, a drawing
    like a screen. Unknown for strips of one or two pixels.
    """

    name: ClassVar[str] = "layout"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.2 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("collage", "share of the straightest seam across the picture", "share", 0, 1),
        ScoreColumn("flat_share", "pixels without any detail around them", "share", 0, 1),
        ScoreColumn("screenshot", "flat areas with exactly upright and level edges", "share", 0, 1),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _layout


def _layout(picture: Picture) -> Sequence[float | None]:
    import cv2

    small = picture.small
    if min(small.shape) < 3:
        return [None, None, None]
    across = cv2.absdiff(small[:, 1:], small[:, :-1])
    down = cv2.absdiff(small[1:], small[:-1])
    collage = max(_seam(across, 0), _seam(down, 1))
    span = cv2.subtract(cv2.dilate(small, _square()), cv2.erode(small, _square()))
    flat = cv2.countNonZero(cv2.compare(span, _LEVEL, cv2.CMP_LT)) / span.size
    return [collage, flat, (flat * _aligned(across[:-1], down[:, :-1])) ** 0.5]


def _seam(steps: NDArray[np.uint8], axis: int) -> float:
    """The largest share of a line along ``axis`` that is a step, save near the ends."""
    import cv2

    strong = cv2.compare(steps, _STEP, cv2.CMP_GT)
    shares = cv2.reduce(strong, axis, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel() / 255
    margin = round(_MARGIN * len(shares))
    return float(shares[margin : len(shares) - margin].max())


def _aligned(across: NDArray[np.uint8], down: NDArray[np.uint8]) -> float:
    """Of the pixels where one of the two differences is strong, the share where the other one is level."""
    import cv2

    strong = cv2.compare(cv2.max(across, down), _STRONG, cv2.CMP_GT)
    edges = cv2.countNonZero(strong)
    if not edges:
        return 0.0
    level = cv2.compare(cv2.min(across, down), _LEVEL, cv2.CMP_LT)
    return cv2.countNonZero(cv2.bitwise_and(strong, level)) / edges


def _square() -> NDArray[np.uint8]:
    import numpy as np

    return np.ones((3, 3), np.uint8)
