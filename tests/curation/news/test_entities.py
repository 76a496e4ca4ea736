"""The embedded recogniser against captions labelled by hand before it was written."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.news.dates import find_dates
from curation.news.rules import RuleRecogniser
from curation.news.score import accuracy
from tests.support.labelled import labelled
from tests.support.repetitions import none_is_slow

LEAST_F1 = 0.80  # by exact span, as the project promises
LEAST_RATE = 1_000  # captions a second and core


@pytest.fixture(scope="module")
def rules() -> RuleRecogniser:
    return RuleRecogniser()


@pytest.mark.parametrize("held_back", [True, False])
def test_spans_are_exact_also_on_the_half_that_was_held_back(rules: RuleRecogniser, held_back: bool) -> None:
    captions = [item for item in labelled() if item.held_back is held_back]
    assert len(captions) >= 100
    found = [rules.entities(item.caption) for item in captions]
    assert accuracy(found, captions).spans.f1 >= LEAST_F1


def test_it_keeps_up(rules: RuleRecogniser) -> None:
    captions = [item.caption for item in labelled()] * 5
    started = time.process_time()
    assert len(list(rules.recognise(captions))) == len(captions)
    assert len(captions) / (time.process_time() - started) > LEAST_RATE


@pytest.mark.parametrize(
    ("caption", "names"),
    [
        ("Mayor Reginald T. Pruitt's dog in Annapolis", ["Reginald T. Pruitt", "Annapolis"]),
        ("Sen. Carla Whitcombe (D-Ohio) speaks", ["Carla Whitcombe", "D", "Ohio"]),
        ("PRIME MINISTER JOAN HARGREAVE IN LONDON", ["JOAN HARGREAVE", "LONDON"]),
        ("Two boys play chess beneath a tree.", []),
        ("Tessa Marlowe-Finch and J.K. O'Brien", ["Tessa Marlowe-Finch", "J.K. O'Brien"]),
        ("The Bank of Albion in the U.S. on Friday", ["Bank of Albion", "U.S.", "Friday"]),
        ("", []),
    ],
)
def test_titles_possessives_initials_and_capitals(rules: RuleRecogniser, caption: str, names: list[str]) -> None:
    assert [caption[s.start : s.end] for s in rules.entities(caption)] == names


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["Ann", "Ölaf", "of", "the", "U.S.", "İstanbul", "🙂", "é", "-", "’s", "“", "”", ",", "May", "ẞ"]
        ),
        max_size=12,
    ).map(" ".join)
    | st.text(max_size=60)
)
def test_spans_are_characters_of_the_caption_sorted_and_apart(rules: RuleRecogniser, caption: str) -> None:
    spans = rules.entities(caption)
    assert all(0 <= s.start < s.end <= len(caption) for s in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert rules.entities(caption) == spans


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("on Friday, June 24, 2016, and", ["Friday, June 24, 2016"]),
        ("in May, she said", ["May"]),
        ("Theresa May waves", []),
        ("on 5 November 2014", ["5 November 2014"]),
        ("the 1990s and 2012", ["1990s", "2012"]),
        ("won 2015 votes for $2016", ["2015"]),
        ("March for Rivers", []),
        ("on Feb. 2 at", ["Feb. 2"]),
    ],
)
def test_dates_are_told_from_names_and_numbers(text: str, dates: list[str]) -> None:
    assert [text[s.start : s.end] for s in find_dates(text)] == dates


def test_no_caption_is_slow() -> None:
    recogniser = RuleRecogniser()
    none_is_slow(recogniser.entities, 15_000, most=10)  # three times what cleaning leaves


def test_a_word_without_an_end_hides_no_name() -> None:
    caption = "Ann Lee waves " + "(" * 300 + " in Leeds."
    found = [caption[s.start : s.end] for s in RuleRecogniser().entities(caption)]
    assert found == ["Ann Lee", "Leeds"]
