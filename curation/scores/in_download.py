"""Scores in the pass that fetches images, while their pixels are at hand; the stages of the scorers take them over."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.scores.score_stage import ScoreStage
from curation.scores.scorer import Measure, rounded

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
            keyed = [(s.key, s, measures[s]) for s in self.stages]
            failed: set[str] = set()

            def look(picture: Picture) -> bytes:
                found = {key: _scores(stage, measure, picture, failed) for key, stage, measure in keyed}
                return json.dumps({key: values for key, values in found.items() if values is not None}).encode()

            yield look


def _scores(stage: ScoreStage, measure: Measure, picture: Picture, failed: set[str]) -> Sequence[float | None] | None:
    """None where the scorer fails: a fetched picture is not lost to it, and its own stage meets the fault again."""
    try:
        return rounded(stage.scorer, measure(picture))
    except Exception:
        if stage.scorer.name not in failed:
            failed.add(stage.scorer.name)
            log.warning("scorer %r failed during the download", stage.scorer.name, exc_info=True)
        return None
