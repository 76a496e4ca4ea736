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

    share = picture.histogram
    there = share[share > 0]
    entropy = max(0.0, -float(there @ np.log2(there)))
    values = np.arange(256) / 255
    mean = float(share @ values)
    spread = max(0.0, float(share @ (values - mean) ** 2)) ** 0.5
    return [entropy, mean, spread, float(share[:_DARK].sum()), float(share[_BLOWN:].sum())]
