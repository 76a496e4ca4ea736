"""Scores in the pass that fetches images, while their pixels are at hand; the stages of the scorers take them over."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.scores.installed import OWN
from curation.scores.score_stage import ScoreStage
from curation.scores.scorer import Measure, Score, rounded

if TYPE_CHECKING:
    from curation.images.picture import Look, Picture

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DownloadScores:
    """What the download stage computes of each picture for these stages."""

    stages: tuple[ScoreStage, ...]

    @contextmanager
    def open(self) -> Iterator[Look]:
        """Yields what makes a picture's scores, as JSON: the key of each stage -> its values."""
        with ExitStack() as stack:
            measures = {s: stack.enter_context(s.scorer.open()) for s in self.stages}
            _warm_up([measure for s, measure in measures.items() if s.scorer in OWN])
            keyed = [(s.key, s, measures[s]) for s in self.stages]
            failed: set[str] = set()

            def look(picture: Picture) -> bytes:
                found = {key: _scores(stage, measure, picture, failed) for key, stage, measure in keyed}
                return json.dumps({key: values for key, values in found.items() if values is not None}).encode()

            yield look


def _warm_up(measures: Sequence[Measure]) -> None:
    """Compiles the loops of our own scorers, which takes some seconds, so that no image has to wait for it."""
    import cv2
    import numpy as np

    from curation.images.picture import Picture

    pixels = np.zeros((64, 64, 3), np.uint8)
    original = cv2.imencode(".jpg", pixels)[1].tobytes()
    for measure in measures:
        with suppress(Exception):  # a scorer that fails is told of at the first picture
            measure(Picture(pixels, original, pixels))


def _scores(stage: ScoreStage, measure: Measure, picture: Picture, failed: set[str]) -> Sequence[Score] | None:
    """None where the scorer fails: a fetched picture is not lost to it, and its own stage meets the fault again."""
    try:
        return rounded(stage.scorer, measure(picture))
    except Exception:
        if stage.scorer.name not in failed:
            failed.add(stage.scorer.name)
            log.warning("scorer %r failed during the download", stage.scorer.name, exc_info=True)
        return None
