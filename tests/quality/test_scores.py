"""What scores of pixels find among photographs: copies that were blurred, enlarged, compressed or put together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from curation.images.picture import Picture
from curation.images.shrink import shrunk, target
from curation.scores.installed import OWN
from curation.scores.scorer import Measure
from schemas.recipe import Download
from tests.support.figures import Figures
from tests.support.photographs import in_wheel, photographs

Pixels = NDArray[np.uint8]
FALSE_ALARMS = 0.05  # share of photographs on the wrong side of the threshold at which what is found is counted
FEW = 0.8  # what is found at least among the few photographs of the short form
OF_THE_ORIGINAL = ("jpeg_history", "provenance")  # scorers that read the bytes as fetched
LEAST_ENLARGED = {"linear": 0.7, "cubic": 0.9}  # of copies that were enlarged by two
BLURS = (1.0, 1.5, 2.0, 3.0, 5.0)
WAYS = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


@pytest.fixture(scope="module")
def pictures(full: bool) -> list[Pixels]:
    """Photographs as they are exported by default, before the encoder."""
    found = []
    for photograph in photographs() if full else in_wheel()[::2]:
        pixels = np.ascontiguousarray(photograph.pixels()[..., ::-1])
        found.append(np.ascontiguousarray(shrunk(pixels, *target(pixels.shape[1], pixels.shape[0], Download()))))
    return found


@pytest.fixture(scope="module")
def measures() -> Iterator[dict[str, Measure]]:
    with contextlib.ExitStack() as stack:
        yield {scorer.name: stack.enter_context(scorer.open()) for scorer in OWN}


def column(measures: dict[str, Measure], scorer: str, name: str, pictures: Sequence[Picture]) -> NDArray[np.float64]:
    """One score of each picture; NaN where it is unknown."""
    at = next([c.name for c in s.columns].index(name) for s in OWN if s.name == scorer)
    return np.array([measures[scorer](picture)[at] for picture in pictures], float)


def found(copies: NDArray[np.float64], originals: NDArray[np.float64], *, high: bool) -> tuple[float, float]:
    """The share of copies beyond the threshold that so many originals are beyond, and that threshold."""
    threshold = float(np.quantile(originals, 1 - FALSE_ALARMS if high else FALSE_ALARMS))
    return float((copies > threshold if high else copies < threshold).mean()), threshold


def encoded(pixels: Pixels, quality: int) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def decoded(data: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def test_blur_lowers_sharpness(figures: Figures, pictures: list[Pixels], measures: dict[str, Measure]) -> None:
    originals = column(measures, "sharpness", "sharpness", [Picture(p) for p in pictures])
    before = originals
    for sigma in BLURS:
        blurred = [Picture(np.asarray(cv2.GaussianBlur(p, (0, 0), sigma), np.uint8)) for p in pictures]
        values = column(measures, "sharpness", "sharpness", blurred)
        share, threshold = found(values, originals, high=False)
        assert (values < before).all(), "more blur, less sharpness, for every photograph"
        figures.add(
            "scores: blurred copies found by low sharpness, 5 % of photographs beyond the threshold",
            **{"blur, pixels": sigma, "photographs": len(pictures), "found": share, "threshold": threshold},
            **{"sharpness, share of the original's": float(np.median(values / originals))},
        )
        before = values


def test_enlarged_copies_are_found(
    figures: Figures, full: bool, pictures: list[Pixels], measures: dict[str, Measure]
) -> None:
    for quality in (95, 75):
        kept = [Picture(decoded(encoded(p, quality))) for p in pictures]
        originals = column(measures, "upscaling", "upscaling", kept)
        for factor in (1.5, 2.0, 3.0):
            for way, interpolation in WAYS.items():
                copies = [Picture(decoded(encoded(_enlarged(p, factor, interpolation), quality))) for p in pictures]
                share, threshold = found(column(measures, "upscaling", "upscaling", copies), originals, high=True)
                figures.add(
                    "scores: enlarged copies found by upscaling, 5 % of photographs beyond the threshold",
                    **{"factor": factor, "interpolation": way, "JPEG quality after it": quality, "found": share},
                    threshold=threshold,
                )
                if factor == 2 and quality == 95:
                    assert share >= (LEAST_ENLARGED[way] if full else FEW - 0.3), (way, quality)


def _enlarged(pixels: Pixels, factor: float, interpolation: int) -> Pixels:
    height, width = pixels.shape[:2]
    small = shrunk(pixels, round(width / factor), round(height / factor))
    return np.asarray(cv2.resize(small, (width, height), interpolation=interpolation), np.uint8)


def test_quality_and_a_second_compression_are_told(
    figures: Figures, full: bool, pictures: list[Pixels], measures: dict[str, Measure]
) -> None:
    for last in (75, 90, 95):
        once = [_history(encoded(p, last)) for p in pictures]
        assert (column(measures, "jpeg_history", "jpeg_quality", once) == last).all()
        originals = column(measures, "jpeg_history", "double_compression", once)
        for first in (30, 50, 70, 85):
            twice = [_history(encoded(decoded(encoded(p, first)), last)) for p in pictures]
            share, threshold = found(
                column(measures, "jpeg_history", "double_compression", twice), originals, high=True
            )
            figures.add(
                "scores: copies compressed twice found by double_compression, 5 % of photographs beyond the threshold",
                **{"first quality": first, "second quality": last, "found": share, "threshold": threshold},
            )
            if first < last - 4 and last >= 90:
                assert share >= (0.9 if full else FEW), (first, last)


def _history(data: bytes) -> Picture:
    return Picture(decoded(data), data, decoded(data))


def test_collages_are_found(figures: Figures, pictures: list[Pixels], measures: dict[str, Measure]) -> None:
    squares = [np.asarray(cv2.resize(p, (400, 400), interpolation=cv2.INTER_AREA), np.uint8) for p in pictures]
    originals = column(measures, "layout", "collage", [Picture(p) for p in pictures])
    for title, put in (("two side by side", np.hstack), ("two, a white gap", _apart), ("four in a square", _four)):
        made = [
            Picture(put([squares[i - k] for k in range(4)][: 4 if put is _four else 2])) for i in range(len(squares))
        ]
        share, threshold = found(column(measures, "layout", "collage", made), originals, high=True)
        figures.add(
            "scores: collages found by collage, 5 % of photographs beyond the threshold",
            collage=title,
            collages=len(made),
            found=share,
            threshold=threshold,
        )


def _apart(pair: Sequence[Pixels]) -> Pixels:
    return np.hstack([pair[0], np.full((pair[0].shape[0], 12, 3), 255, np.uint8), pair[1]])


def _four(some: Sequence[Pixels]) -> Pixels:
    return np.vstack([np.hstack(some[:2]), np.hstack(some[2:])])


def test_scores_of_stored_pictures_are_near_those_of_the_pass(
    figures: Figures, full: bool, pictures: list[Pixels], measures: dict[str, Measure]
) -> None:
    """The encoder stands between the two: what a later scorer sees are the pixels as stored, quality 95."""
    for scorer in OWN:
        for c in (c for c in scorer.columns if scorer.name not in OF_THE_ORIGINAL):
            before = column(measures, scorer.name, c.name, [Picture(p) for p in pictures])
            after = column(measures, scorer.name, c.name, [Picture(decoded(encoded(p, 95))) for p in pictures])
            ranks: Callable[[NDArray[np.float64]], NDArray[np.intp]] = lambda v: v.argsort().argsort()  # noqa: E731
            same = float(np.corrcoef(ranks(before), ranks(after))[0, 1])
            quarter, middle, most = (float(np.quantile(np.abs(after - before), q)) for q in (0.5, 0.95, 1))
            figures.add(
                "scores: difference between a stored picture's scores and those of the pass that fetched it",
                **{"score": c.name, "median": quarter, "95 %": middle, "most": most, "rank correlation": same},
            )
            low, high = (float(np.quantile(before, q)) for q in (0.05, 0.95))
            assert quarter <= (0.05 if full else 0.15) * max(high - low, 1e-3), c.name
