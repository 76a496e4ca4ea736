"""Near duplicates planted by transformation, in drawn scenes and in photographs: recall of each, precision overall."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from curation.dedupe.decide import rule_for
from curation.demo.render import encode, render
from curation.demo.world import scene
from schemas.recipe import Dedupe
from tests.support import near_photographs as copies
from tests.support.figures import Figures
from tests.support.near_measure import (
    MEANT,
    PRECISION,
    RECALL,
    TURNED,
    Measured,
    measure,
    measure_copies,
    pairs_near,
    share_near,
)
from tests.support.photographs import in_wheel, photographs
from tests.support.recoloured import COLOURS, SHADES, Colour, card, flat, invoice, logo, mug, png, shirt

SEED = 11
Pixels = NDArray[np.uint8]


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


@pytest.mark.parametrize("kind", [shirt, mug, logo, flat], ids=lambda kind: kind.__name__)
def test_pictures_that_differ_in_colour_alone_are_told_apart(
    kind: Callable[[Colour], Image.Image], figures: Figures
) -> None:
    colours = {**COLOURS, **SHADES}
    coloured = sum(len(set(colour)) > 1 for colour in colours.values())
    grey, others = _told_apart(figures, f"{kind.__name__} in {len(colours)} colours", map(kind, colours.values()))
    assert others <= len(colours) and grey - others <= coloured  # a few shades, and one grey copy of each colour


@pytest.mark.parametrize("kind", [invoice, card], ids=lambda kind: kind.__name__)
def test_pages_that_differ_in_a_few_words_are_told_apart(kind: Callable[[int], Image.Image], figures: Figures) -> None:
    _, others = _told_apart(figures, f"30 of {kind.__name__}", map(kind, range(30)))
    assert others <= 30


def _told_apart(figures: Figures, name: str, pictures: Iterable[Image.Image]) -> tuple[int, int]:
    """How many pairs count as the same, with grey copies and without."""
    files = [png(picture) for picture in pictures]
    by_hash = pairs_near(files, rule_for(Dedupe()), looks=False)
    found = pairs_near(files, rule_for(Dedupe())), pairs_near(files, rule_for(Dedupe(grey_copies=False)))
    figures.add("recoloured pictures", pictures=name, by_hash=by_hash, same=found[0], without_grey_copies=found[1])
    return found


def _photographs(full: bool) -> list[Pixels]:
    """All of them; limits were chosen on those at even places. The few of a wheel where there is no time for more."""
    return [copies.shown(p) for p in (photographs() if full else in_wheel()[1::2])]


def _report(figures: Figures, title: str, found: Measured, goals: dict[str, float]) -> None:
    for name, recall in found.recall.items():
        figures.add(
            title,
            copy=name,
            goal=goals.get(name, "none"),
            cases=found.pictures,
            recall=recall,
            held_out=found.held_out[name],
        )
    pairs = {"pairs": found.pairs, "wrong_pairs_of_pictures": found.wrong, "precision": found.precision}
    figures.add(f"{title}: precision", photographs=found.pictures, **pairs)


@pytest.mark.timeout(3600)  # the long form
def test_copies_of_photographs_are_found_by_default(figures: Figures, full: bool) -> None:
    pictures = _photographs(full)
    goals = dict.fromkeys(copies.MEANT, RECALL) | dict.fromkeys(copies.CENTRED, 0.95)
    others = [*copies.lookalikes(20 if full else 4)]
    for place, pixels in enumerate(pictures[:20]):
        others += [(f"view {place} {n}", view) for n, view in enumerate(copies.views(pixels))]
    found = measure_copies(pictures, {**copies.MEANT, **copies.CENTRED, **copies.BESIDES}, rule_for(Dedupe()), others)
    _report(figures, "photographs, default recipe", found, goals)
    few = 1 / len(pictures) if not full else 0.0  # one of a few photographs is more than a share
    assert not {n: found.recall[n] for n, goal in goals.items() if found.recall[n] < goal - few}
    assert found.precision >= PRECISION


def test_how_far_a_camera_may_turn_between_frames_that_count_as_the_same(figures: Figures, full: bool) -> None:
    pictures = _photographs(full)
    found = {}
    for share in (0.01, 0.02, 0.05, 0.1, 0.2):
        found[share] = share_near([copies.moved(pixels, share) for pixels in pictures], rule_for(Dedupe()))
        figures.add("photographs, moved sideways", moved=share, cases=len(pictures), same=found[share])
    # 0.994, 0.977, 0.094 and none of all 171 photographs: consecutive frames are one picture, another view is not.
    few = 1 / len(pictures) if not full else 0.0  # one of a few photographs is more than a share
    assert found[0.01] >= 0.98 - few and found[0.02] >= 0.95 - few
    assert found[0.1] <= 0.01 + few and found[0.2] <= 0.01


@pytest.mark.timeout(3600)  # the long form
def test_crops_and_mirrored_copies_of_photographs_are_found_on_demand(figures: Figures, full: bool) -> None:
    pictures = _photographs(full)[: None if full else 3]
    made = {**copies.CENTRED, **copies.CORNERS, **copies.TURNED}
    others = [*copies.lookalikes(8 if full else 2)]
    for place, pixels in enumerate(pictures[:30]):
        others += [(f"half {place} {n}", half) for n, half in enumerate(copies.halves(pixels))]
    found = measure_copies(pictures, made, rule_for(Dedupe(crops=True, symmetries=True)), others)
    goals = {name: 0.95 for name in made if "15 %" not in name}  # a large part of the detail is gone there
    _report(figures, "photographs, with crops and symmetries", found, goals)
    few = 1 / len(pictures) if not full else 0.0
    assert not {n: found.recall[n] for n, goal in goals.items() if found.recall[n] < goal - few}
    assert found.precision >= 0.995
