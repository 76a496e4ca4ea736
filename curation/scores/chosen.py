"""What a recipe asks of scorers: which of them run, and which scores have limits."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Self

from curation.scores.in_download import DownloadScores
from curation.scores.installed import OWN, PIXELS, Installed, installed
from curation.scores.limits_stage import LimitsStage
from curation.scores.score_stage import AwaitedScoreStage, ScoreStage, ScoreStep
from schemas.arrow import Record
from schemas.records import ImageRow
from schemas.scores import ImageScores, ScoreVerdict


@dataclass(frozen=True)
class ChosenScores:
    """The parts of a product that follow from its recipe's scores.

    ``step`` stands behind the download, ``limits`` before the first stage that asks a model. ``passed`` are the
    records whose rejected samples no model is asked about, and ``in_download`` is for the download stage.
    """

    step: ScoreStep
    limits: LimitsStage
    in_download: DownloadScores | None
    passed: tuple[type[Record], ...]

    @classmethod
    def of(cls, recipe: ImageScores) -> Self:
        """Never raises: what the recipe names and nobody knows is refused when the step is made ready."""
        there, limits = installed(), recipe.limits
        limited = tuple(s for s in there.scorers if any(c.name in limits for c in s.columns))
        names = {s.name for s in OWN if s.reads == "pixels"} if PIXELS in recipe.compute else set()
        names |= {*recipe.compute} | {s.name for s in limited}
        stages = tuple(
            (AwaitedScoreStage if scorer in limited else ScoreStage)(scorer, on=scorer.name in names)
            for scorer in there.scorers
        )
        active = tuple(s for s in stages if s.on)
        bounds = tuple((name, limit.min, limit.max) for name, limit in limits.items())
        return cls(
            ScoreStep("scores", stages, ImageRow, _problem(recipe, there)),
            LimitsStage(bounds, limited, tuple(c for s in there.scorers for c in s.columns)),
            DownloadScores(active) if active else None,
            (ScoreVerdict,) if bounds else (),
        )


def _problem(recipe: ImageScores, there: Installed) -> str:
    """What the recipe names and is not there, in one line; empty where all is."""
    scorers = [PIXELS, *(s.name for s in there.scorers)]
    scores = [c.name for s in there.scorers for c in s.columns]
    for name in recipe.compute:
        if name not in scorers:
            return f"scores.compute names {name!r}, which is no scorer; {_instead(name, scorers, there)}"
    for name in recipe.limits:
        if name not in scores:
            return f"scores.{name} limits a score that no scorer has; {_instead(name, scores, there)}"
    return ""


def _instead(name: str, known: list[str], there: Installed) -> str:
    if name in there.broken:
        return there.broken[name]
    near = difflib.get_close_matches(name, known, n=1)
    expected = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
    broken = "".join(f" ({why})" for why in there.broken.values())
    return f"{expected} Scorers of other packages must be installed where the run is{broken}"
