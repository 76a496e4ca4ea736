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
    cost: ClassVar[str] = "0.1 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("collage", "share of the straightest seam across the picture", "share", 0, 1),
        ScoreColumn("flat_share", "pixels without any detail around them", "share", 0, 1),
        ScoreColumn("screenshot", "flat areas with exactly upright and level edges", "share", 0, 1),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _layout


def _layout(picture: Picture) -> Sequence[float | None]:
    import numpy as np

    from curation.scores.kernels import steps

    height, width = picture.small.shape
    if min(height, width) < 3:
        return [None, None, None]
    columns, rows = np.zeros(width - 1, np.int64), np.zeros(height - 1, np.int64)
    flat, edges, aligned = steps(picture.padded, np.uint8(_STEP), np.uint8(_STRONG), np.uint8(_LEVEL), columns, rows)
    share = flat / (height * width)
    collage = max(_seam(columns) / height, _seam(rows) / width)
    return [collage, share, (share * aligned / max(edges, 1)) ** 0.5]


def _seam(steps: NDArray[np.int64]) -> int:
    """The most steps on a line, save near the ends."""
    margin = round(_MARGIN * len(steps))
    return int(steps[margin : len(steps) - margin].max())
