"""News captions that follow no template: their truth is right, and they give nothing of the held-out ones away."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from curation.demo import news
from curation.demo.training.composed import composed, template
from curation.demo.truth import generator
from curation.demo.world import scene

numbers = st.integers(0, 10**6)


@settings(max_examples=100, deadline=None)
@given(numbers, numbers)
def test_every_name_and_subject_stands_where_its_span_says(picture: int, words: int) -> None:
    found = composed(scene(5, picture % 50, "train"), generator(words))
    assert found.subjects or "{" not in found.text
    for part in (*found.entities, *found.subjects):
        assert found.text[part.start : part.end] == part.text
    assert "{" not in found.text


@settings(max_examples=200, deadline=None)
@given(numbers)
def test_no_word_that_only_held_out_captions_use_is_taught(seed: int) -> None:
    slots = re.compile(r"\{[^}]*\}")
    own = {word for t in news._TRAIN for word in re.findall(r"\w+", slots.sub(" ", t))}
    heldout = {word for t in news._HELDOUT for word in re.findall(r"\w+", slots.sub(" ", t))} - own
    taught = set(re.findall(r"\w+", slots.sub(" ", template(generator(seed), 3))))
    assert not taught & (heldout - {"to", "from", "after"})
