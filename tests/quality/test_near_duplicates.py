"""Near duplicates planted by transformation: recall a transformation, precision overall."""

from __future__ import annotations

from curation.dedupe.decide import rule_for
from curation.demo.render import encode, render
from curation.demo.world import scene
from schemas.recipe import Dedupe
from tests.support.figures import Figures
from tests.support.near_measure import MEANT, PRECISION, RECALL, TURNED, measure

SEED = 11


def test_planted_near_duplicates_are_found_and_nothing_else(figures: Figures, full: bool) -> None:
    scenes = (scene(SEED, number) for number in range(150 if full else 25))
    found = measure(((pixels := render(s), encode(pixels, s.photo.quality)) for s in scenes), rule_for(Dedupe()))
    for name, recall in found.recall.items():
        meant = "yes" if name in MEANT else "when asked for turned copies" if name in TURNED else "where it is little"
        figures.add(
            "near duplicates: recall", transformation=name, found_by_default=meant, cases=found.pictures, recall=recall
        )
    figures.add(
        "near duplicates: precision", pairs=found.pairs, wrong_pairs_of_pictures=found.wrong, precision=found.precision
    )
    assert min(found.recall[name] for name in MEANT) >= RECALL
    assert found.precision >= PRECISION
