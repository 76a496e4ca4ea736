"""Statements in pairs about plain squares, which the trial of a verifier shows it."""

from __future__ import annotations

from curation.demo import phrases
from curation.demo.changes import other
from curation.demo.training.pair import Pair
from curation.demo.truth import SETTINGS, Rng, Setting, pick
from curation.demo.vocabulary import COLOURS, KINDS, NEVER_SHOWN

_SQUARE = (
    "There is a {middle} square on a {ground} background.",
    "A {middle} square is in the centre.",
    "The square is {middle}.",
    "The background is {ground}.",
    "The picture shows a {middle} square before a {ground} background.",
)


def square_pairs(middle: str, ground: str, rng: Rng, count: int) -> list[Pair]:
    """``count`` pairs about a picture of a square before a plain background, each of the colour that is named."""
    found: list[Pair] = []
    while len(found) < count:
        said = {"middle": middle, "ground": ground}
        form = pick(rng, _SQUARE)
        true = form.format(**said)
        if rng.random() < 0.6:
            name = pick(rng, [n for n in said if "{" + n + "}" in form])
            false = form.format(**{**said, name: other(rng, tuple(COLOURS), said[name])})
        else:
            kind = pick(rng, (*KINDS, *NEVER_SHOWN[:12]))
            scenery = phrases.setting_adverb(Setting(pick(rng, SETTINGS[2:]), (), 0))
            false = f"There is a {pick(rng, tuple(COLOURS))} {kind} {scenery}."
        found.append(Pair(true, false, "square"))
    return found
