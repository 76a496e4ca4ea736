"""A model's subjects are aligned with the caption, averaged and normalised; what it made up is dropped."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curation.news.spans import Span
from curation.news.subjects import align, salience, weigh
from schemas.replies import SubjectReply, SubjectWeights

CAPTION = "The “Iron Lady” Ann O’Neill's dog in the U.S. sees Ann Lee"


def reply(**weights: float) -> SubjectWeights:
    return SubjectWeights(subjects=[SubjectReply(text=t.replace("_", " "), weight=w) for t, w in weights.items()])


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Ann O’Neill", "Ann O’Neill"),
        ("ann o'neill", "Ann O’Neill"),
        ("Ann O'Neill's", "Ann O’Neill's"),
        ("the dog", "dog"),
        ('"Iron Lady"', "“Iron Lady”"),
        ("U.S.", "U.S."),
        ("Ann  Lee", "Ann Lee"),
        ("Lee.", "Lee"),
        ("Barack Obama", None),
        ("nn", None),
        ("…", None),
        ("", None),
    ],
)
def test_what_is_told_is_found_whatever_its_case_quotes_article_or_possessive(said: str, found: str | None) -> None:
    place = align(CAPTION, said)
    assert (None if place is None else CAPTION[slice(*place)]) == found


def test_weights_are_divided_by_the_greatest_and_made_up_subjects_are_dropped() -> None:
    weighed = weigh(CAPTION, [reply(Ann_Lee=0.5, dog=0.25, Obama=1.0)], [Span(51, 58, "PERSON")], most=8)
    assert [(CAPTION[s.start : s.end], s.weight, s.kind) for s in weighed.subjects] == [
        ("dog", 0.5, "generic"),
        ("Ann Lee", 1.0, "named"),
    ]
    assert weighed.dropped == ("Obama",)
    assert all(s.spread is None for s in weighed.subjects)


def test_several_replies_are_averaged_and_their_spread_told() -> None:
    weighed = weigh(CAPTION, [reply(Ann_Lee=1.0, dog=0.4), reply(Ann_Lee=0.6)], [], most=8)
    dog, lee = weighed.subjects
    assert (lee.weight, lee.spread, dog.weight, dog.spread) == (1.0, 0.2, 0.25, 0.2)


def test_the_weightiest_are_kept_and_a_weight_of_nothing_is_none() -> None:
    weighed = weigh(CAPTION, [reply(Ann_Lee=0.9, dog=0.0, Lady=0.3, Iron=0.2)], [], most=2)
    assert [CAPTION[s.start : s.end] for s in weighed.subjects] == ["Lady", "Ann Lee"]


@pytest.mark.parametrize("said", [CAPTION, CAPTION.lower(), f"“{CAPTION}.”", CAPTION.removeprefix("The ")])
def test_the_whole_caption_is_no_subject(said: str) -> None:
    weighed = weigh(CAPTION, [SubjectWeights(subjects=[SubjectReply(text=said, weight=1.0)])], [], most=8)
    whole = said != CAPTION.removeprefix("The ")
    assert (len(weighed.subjects), len(weighed.dropped)) == ((0, 1) if whole else (1, 0))


def test_salience_takes_no_whole_caption_either() -> None:
    assert all(
        (s.start, s.end) != (0, len(caption))
        for caption in ("the old brown dog", "a very big house", "three small red cats")
        for s in salience(caption, [], most=8).subjects
    )


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_weight_beyond_its_range_is_no_reply(weight: float) -> None:
    with pytest.raises(ValidationError):
        reply(dog=weight)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.lists(st.tuples(st.text(min_size=1, max_size=10), st.floats(0, 1)), max_size=6))
def test_any_reply_gives_spans_of_the_caption(caption: str, found: list[tuple[str, float]]) -> None:
    replies = [SubjectWeights(subjects=[SubjectReply(text=t, weight=w) for t, w in found])]
    weighed = weigh(caption, replies, [], most=3)
    assert len(weighed.subjects) <= 3
    assert all(0 <= s.start < s.end <= len(caption) and 0 <= s.weight <= 1 for s in weighed.subjects)
    assert not weighed.subjects or max(s.weight for s in weighed.subjects) == 1
    assert len(weighed.subjects) + len(weighed.dropped) <= max(len(found), 1)


def test_salience_puts_people_first_and_what_comes_later_lower() -> None:
    caption = "A red ball given by Kran Museum to Ann Lee on Monday"
    spans = [Span(20, 31, "ORG"), Span(35, 42, "PERSON"), Span(46, 52, "DATE")]
    found = {caption[s.start : s.end]: s.weight for s in salience(caption, spans, most=8).subjects}
    assert list(found) == ["A red ball", "Kran Museum", "Ann Lee"]
    assert found["Ann Lee"] == 1.0 or found["A red ball"] == 1.0
    assert found["Kran Museum"] < found["A red ball"]
    assert salience("", [], most=8).subjects == ()
