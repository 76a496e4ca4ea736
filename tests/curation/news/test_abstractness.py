"""Abstractness is the share of a caption that cannot be seen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.news.abstractness_stage import measure
from curation.news.rules import RuleRecogniser
from curation.news.spans import Span

CAPTION = "Ann Lee waves a flag in Leeds on Monday"
NAMES = [Span(0, 7, "PERSON"), Span(24, 29, "GPE"), Span(33, 39, "DATE")]


def test_names_and_what_the_description_leaves_out_count() -> None:
    found = measure(CAPTION, NAMES, "A woman is waving flags.")
    assert (found.abstractness, found.entity_share, found.covered, found.entities) == (0.6, 0.6, 1.0, 2)
    assert measure(CAPTION, NAMES, "A dog sits.").abstractness == 1.0
    assert measure(CAPTION, NAMES, "A woman waves.").abstractness == 0.8


def test_without_a_description_it_is_the_share_of_names() -> None:
    found = measure(CAPTION, NAMES, None)
    assert (found.abstractness, found.covered) == (0.6, None)
    assert measure("A dog sits on the grass", [], None).abstractness == 0.0
    assert measure("", [], None).abstractness == 0.0


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.none() | st.text(max_size=60))
def test_it_is_a_share(caption: str, literal: str | None) -> None:
    found = measure(caption, RULES.entities(caption), literal)
    assert 0 <= found.abstractness <= 1 and 0 <= found.entity_share <= found.abstractness


RULES = RuleRecogniser()


@pytest.mark.parametrize(
    ("one", "other"), [("waves", "waving"), ("cities", "city"), ("stopped", "stops"), ("dances", "dance")]
)
def test_inflected_words_are_the_same_word(one: str, other: str) -> None:
    assert measure(f"They {one}", [], f"It {other}").covered == 1.0
