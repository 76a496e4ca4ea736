"""What is asked of painters beside the comparison: news captions with subject weights, and the second judge's view."""

from __future__ import annotations

from itertools import islice

import pytest

from curation.demo.painting.corner import corner_scene
from curation.demo.painting.reading import TOKENS
from curation.demo.painting.second import right_in
from curation.demo.painting.subjects import news
from curation.demo.phrases import short_caption
from curation.demo.truth import generator


def test_the_heaviest_subject_of_a_news_caption_has_the_greatest_factor() -> None:
    for found in islice(news(), 20):
        (thing,) = found.about.objects
        heaviest = max(found.subjects, key=lambda s: s.weight)
        assert thing.colour in found.text[heaviest.start : heaviest.end].lower()
        assert set(found.factors(0.0)) == {1.0}
        factors = found.factors(0.5)
        assert len(factors) == TOKENS
        assert max(factors) == pytest.approx(1 + 0.5 * heaviest.weight)
        assert factors[0] == 1.0  # the begin token


def test_true_captions_are_wholly_right_and_captions_of_other_scenes_are_not() -> None:
    shown = [corner_scene(0, index) for index in range(40)]
    texts = [short_caption(s, generator(0, s.index)) for s in shown]
    assert set(vars(right_in(texts, shown)).values()) == {1.0}
    others = right_in([*texts[1:], texts[0]], shown)
    assert others.coloured <= others.things < 0.7
    assert others.whole < 0.1
