"""The steps of products with captions of pictures that stand before and behind the captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from curation.core.run import Barrier, Step, segment
from curation.core.stage import Stage
from curation.embed.steps import embed_steps, passed_of
from curation.products.product import gathering_steps
from curation.release.balance_reduce import BalanceReduce
from curation.scores.chosen import ChosenScores
from curation.sources.plan_stage import Planning
from schemas.arrow import Record
from schemas.balance import BalancedText
from schemas.records import SourceRow
from schemas.refine import RefineLaion


@dataclass(frozen=True)
class ChosenPictures:
    """From the source to the pictures that are captioned.

    ``limits`` are stages that the segment of captions begins with, ``passed`` the records whose rejected samples no
    model is asked about.
    """

    steps: tuple[Step, ...]
    limits: tuple[Stage, ...]
    passed: tuple[type[Record], ...]

    @classmethod
    def of(cls, recipe: RefineLaion, specs: Sequence[str]) -> Self:
        """What a recipe asks for."""
        scores = ChosenScores.of(recipe.scores)
        planning = Planning(recipe.source, tuple(specs), blocklists=recipe.blocklists)
        steps = (
            *gathering_steps(recipe, planning, scores.in_download),
            scores.step,
            *embed_steps(recipe.embed),
        )
        passed = (*scores.passed, *passed_of(recipe.embed))
        if not _balances_alt_texts(recipe):
            return cls(steps, (scores.limits,), passed)
        # The limits come first: what they reject is not counted.
        steps = (*steps, segment("limits", [scores.limits], over=SourceRow))
        balance = BalanceReduce.of(recipe.balance, steps)
        return cls((*steps, Barrier(balance)), (), (*passed, BalancedText) if balance.rejects else passed)


def balance_of_captions(recipe: RefineLaion, before: Sequence[Step]) -> list[Step]:
    """Concept balance behind the captions, where the recipe looks at these; off where it asks for none."""
    if _balances_alt_texts(recipe):
        return []
    return [Barrier(BalanceReduce.of(recipe.balance, before, verified=recipe.verify.enabled))]


def _balances_alt_texts(recipe: RefineLaion) -> bool:
    balance = BalanceReduce.of(recipe.balance, ())
    return balance.on and balance.early
