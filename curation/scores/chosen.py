"""What a recipe asks of scorers: which of them run, and which scores have limits."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from curation.core.stage import Resources
from curation.scores.in_download import DownloadScores
from curation.scores.installed import OWN, PIXELS, Installed, installed
from curation.scores.limits_stage import LimitsStage
from curation.scores.models.of_recipe import of_recipe
from curation.scores.score_stage import AwaitedScoreStage, ScoreStage, ScoreStep
from curation.scores.scorer import Scorer
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
        scorers = of_recipe(there.scorers, recipe)
        limited = tuple(s for s in scorers if any(c.name in limits and c.kind == "number" for c in s.columns))
        names = {s.name for s in OWN if s.reads == "pixels"} if PIXELS in recipe.compute else set()
        names |= {*recipe.compute} | {s.name for s in limited}
        stages = tuple(
            (AwaitedScoreStage if scorer in limited else ScoreStage)(
                scorer,
                share=recipe.sampled.get(scorer.name, 1.0),
                on=scorer.name in names,
                resources=Resources(gpus=float(getattr(scorer, "gpus", 0.0))),
            )
            for scorer in scorers
        )
        fetched = tuple(s for s in stages if s.on and s.scorer.reads == "pixels" and s.share >= 1)
        bounds = tuple((name, limit.min, limit.max) for name, limit in limits.items())
        return cls(
            ScoreStep("scores", stages, ImageRow, _problem(recipe, scorers, there)),
            LimitsStage(bounds, limited, tuple(c for s in scorers for c in s.columns if c.kind == "number")),
            DownloadScores(fetched) if fetched else None,
            (ScoreVerdict,) if bounds else (),
        )


def _problem(recipe: ImageScores, scorers: Sequence[Scorer], there: Installed) -> str:
    """What the recipe names and is not there, in one line; empty where all is."""
    names = [s.name for s in scorers]
    columns = [c for s in scorers for c in s.columns]
    for twice in sorted({n for n in names if names.count(n) > 1}):
        return f"scores.classifiers names a scorer {twice!r}, and there is one of that name already; call it otherwise"
    scores = [c.name for c in columns]
    for twice in sorted({n for n in scores if scores.count(n) > 1}):
        return f"scores.classifiers makes a score {twice!r}, and there is one of that name already; call it otherwise"
    for name in recipe.compute:
        if name not in (PIXELS, *names):
            return f"scores.compute names {name!r}, which is no scorer; {_instead(name, [PIXELS, *names], there)}"
    for name in recipe.sampled:
        if name not in names:
            return f"scores.sampled names {name!r}, which is no scorer; {_instead(name, names, there)}"
    numbers = [c.name for c in columns if c.kind == "number"]
    for name in recipe.limits:
        if name in scores and name not in numbers:
            return f"scores.{name} limits a text; expected a score that is a number, one of {', '.join(numbers)}"
        if name not in numbers:
            return f"scores.{name} limits a score that no scorer has; {_instead(name, numbers, there)}"
    return ""


def _instead(name: str, known: list[str], there: Installed) -> str:
    if name in there.broken:
        return there.broken[name]
    near = difflib.get_close_matches(name, known, n=1)
    expected = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
    broken = "".join(f" ({why})" for why in there.broken.values())
    return f"{expected} Scorers of other packages must be installed where the run is{broken}"
