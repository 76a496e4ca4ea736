"""Sharpness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curation.scores.scorer import Measure, Reads
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.picture import Picture


@dataclass(frozen=True)
class Sharpness:
    """Variance of the Laplacian of luma, with the shorter side scaled to 256 pixels: low where a picture is blurred.

    The kernel is (0 1 0, 1 -4 1, 0 1 0). After Pech-Pacheco, Cristobal, Chamorro-Martinez and Fernandez-Valdivia,
    "Diatom autofocusing in brightfield microscopy: a comparative study" (ICPR 2000), LAP4. Smooth subjects, such as a
    clear sky, have little of it, too.
    """

    name: ClassVar[str] = "sharpness"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.1 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("sharpness", "variance of the Laplacian of luma at 256 pixels", "grey levels squared", 0),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _sharpness


def _sharpness(picture: Picture) -> Sequence[float]:
    from curation.scores.kernels import laplacian

    total, squares = laplacian(picture.padded)
    many = picture.small.size
    return [squares / many - (total / many) ** 2]
