"""Tones: what the histogram of luma says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curation.scores.scorer import Measure, Reads
from schemas.scores import ScoreColumn

if TYPE_CHECKING:
    from curation.images.picture import Picture

_DARK = 16  # luma below which shadows have no detail on a screen: black of video range (ITU-R BT.601)
_BLOWN = 250


@dataclass(frozen=True)
class Tones:
    """Entropy, brightness and contrast of luma, and how much of a picture is dark or blown out.

    All of luma with the shorter side scaled to 256 pixels. Entropy is Shannon's, of the 256 values of luma (C. E.
    Shannon, 1948). Contrast is the standard deviation of luma, "RMS contrast" (E. Peli, "Contrast in complex images",
    1990).
    """

    name: ClassVar[str] = "tones"
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.1 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (
        ScoreColumn("entropy", "entropy of luma", "bits", 0, 8),
        ScoreColumn("brightness", "mean luma", "share of white", 0, 1),
        ScoreColumn("contrast", "standard deviation of luma", "share of white", 0, 0.5),
        ScoreColumn("dark_share", f"pixels with a luma below {_DARK} of 255", "share", 0, 1),
        ScoreColumn("blown_share", f"pixels with a luma of {_BLOWN} of 255 or more", "share", 0, 1),
    )

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield _tones


def _tones(picture: Picture) -> Sequence[float]:
    import numpy as np

    from curation.scores.kernels import tones

    found = np.empty(5)
    tones(picture.histogram, _DARK, _BLOWN, found)
    entropy, mean, spread, dark, blown = found.tolist()
    return [entropy, mean / 255, spread / 255, dark, blown]
