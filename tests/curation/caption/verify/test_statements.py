"""A caption falls into statements, and comes together again without some of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.caption.check.sentences import sentences
from curation.caption.languages import profile
from curation.caption.verify.classes import classes_of
from curation.caption.verify.statements import refers_back, split, with_leaning, without
from tests.support.clean_captions import WRITTEN

CLAUSES = [
    (
        "A red ball lies on the grass, and a blue cube stands behind it.",
        ["A red ball lies on the grass", "a blue cube stands behind it"],
    ),
    ("The cube is small; its edges are sharp.", ["The cube is small", "its edges are sharp"]),
    ("A man reads a book while a child plays nearby.", ["A man reads a book", "a child plays nearby"]),
    ("Two dogs, one brown and one white, run.", ["Two dogs, one brown and one white, run"]),
    ("A ball and a cube are on the floor.", ["A ball and a cube are on the floor"]),
    ('The sign says "STOP, and the rest is silence".', ['The sign says "STOP, and the rest is silence"']),
    ("Mr. Hill wears a hat at 3.30 p.m. in St. Ives.", ["Mr. Hill wears a hat at 3.30 p.m. in St. Ives"]),
    ("A plain wall", ["A plain wall"]),
    ("...", ["..."]),
    ("红色的球在草地上。蓝色的方块在后面。", ["红色的球在草地上", "蓝色的方块在后面"]),
]


@pytest.mark.parametrize(("caption", "statements"), CLAUSES)
def test_a_clause_with_subject_and_verb_is_a_statement(caption: str, statements: list[str]) -> None:
    assert [s.text for s in split(caption)] == statements


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("It is red", True),
        ("The second one is blue", True),
        ("Behind it stands a chair", True),
        ("Its surface is rough", True),
        ("Both are wooden", True),
        ("Another is empty", True),
        ("A blue cube stands behind it", True),
        ("A dog runs with its tail up", False),
        ("Two men, both in hats, stand in a field", False),
        ("A woman lifts a cup and drinks from it", False),
        ("The ball is red", False),
        ("Italy is written on the wall", False),
    ],
)
def test_what_refers_to_another_statement_is_known(text: str, back: bool) -> None:
    assert refers_back(text) is back


def test_what_leans_on_a_false_statement_goes_with_it() -> None:
    caption = "A red ball lies on the grass. It is large. Its shadow falls to the left. A tree stands behind a fence."
    spoken = split(caption)
    assert [s.leans_on for s in spoken] == [None, 0, 1, None]
    assert with_leaning(spoken, {0}) == {0, 1, 2}
    assert without(caption, spoken, {0, 1, 2}) == "A tree stands behind a fence."
    assert without(caption, spoken, with_leaning(spoken, {1})) == (
        "A red ball lies on the grass. A tree stands behind a fence."
    )


def test_a_leaning_statement_is_asked_with_what_it_leans_on() -> None:
    spoken = split("A red ball lies on the grass, and a cube stands behind it. The sky is grey.")
    assert [s.asked for s in spoken] == [
        "A red ball lies on the grass.",
        "A red ball lies on the grass. A cube stands behind it.",
        "The sky is grey.",
    ]


@pytest.mark.parametrize(
    ("dropped", "left"),
    [
        ({0}, "The cat is asleep, but the dog is awake."),
        ({1}, "A ball is red, but the dog is awake."),
        ({2}, "A ball is red; the cat is asleep."),
        ({0, 1}, "The dog is awake."),
        ({0, 1, 2}, ""),
        (set(), "A ball is red; the cat is asleep, but the dog is awake."),
    ],
)
def test_a_sentence_without_some_clauses_is_still_a_sentence(dropped: set[int], left: str) -> None:
    caption = "A ball is red; the cat is asleep, but the dog is awake."
    assert without(caption, split(caption), dropped) == left


@pytest.mark.parametrize("caption", [text for text, _ in CLAUSES] + [text for text, _ in WRITTEN])
def test_statements_lie_in_their_caption_in_order(caption: str) -> None:
    spoken = split(caption)
    assert [caption[s.start : s.end] for s in spoken] == [s.text for s in spoken]
    assert all(a.end <= b.start for a, b in pairwise(spoken))
    assert without(caption, spoken, set()) == caption
    assert without(caption, spoken, set(range(len(spoken)))) == ""


@given(st.text(alphabet='abA ,.;:!?"“”()…。\n01thewhil', max_size=300), st.sets(st.integers(0, 30)))
def test_any_text_can_be_split_and_joined(text: str, dropped: set[int]) -> None:
    spoken = split(text)
    assert bool(spoken) == bool(text.strip())
    left = without(text, spoken, dropped & {s.index for s in spoken})
    assert len(sentences(left)) <= len(sentences(text)) + len(spoken)
    assert all(s.text == text[s.start : s.end] for s in spoken)


def test_a_caption_of_two_thousand_sentences_is_split_in_bounded_pieces() -> None:
    # Each leans on the one before it: what is asked must not grow with the caption.
    spoken = split("It is red. " * 2000)
    assert len(spoken) == 2000
    assert max(len(s.asked) for s in spoken) < 1000


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("Three dogs run", ("count",)),
        ("A red ball", ("colour",)),
        ('A sign reads "OPEN"', ("text",)),
        ("A chair stands to the left of a table", ("relation",)),
        ("A tiny bird sings", ("size",)),
        ("A dog sleeps", ("other",)),
        ("Two small blue cups stand behind a jug", ("count", "colour", "relation", "size")),
        ("The photograph dates from 1970", ("other",)),
    ],
)
def test_classes_are_told_by_the_words(text: str, classes: tuple[str, ...]) -> None:
    assert classes_of(text) == classes


@pytest.mark.parametrize(
    ("language", "caption", "left"),
    [
        ("de", "Ein roter Ball liegt im Gras. Ein Hund schläft.", "Ein Hund schläft."),
        ("zh", "红色的球在草地上。蓝色的方块在后面。", "蓝色的方块在后面。"),
        ("ja", "赤いボールがある。犬が寝ている。空は青い。", "犬が寝ている。空は青い。"),
        ("hi", "एक लाल गेंद है। एक कुत्ता सो रहा है।", "एक कुत्ता सो रहा है।"),
    ],
)
def test_in_other_languages_statements_are_sentences(language: str, caption: str, left: str) -> None:
    spoken = split(caption, profile(language))
    assert len(spoken) >= 2 and {s.classes for s in spoken} == {("other",)}
    assert without(caption, spoken, {0}, profile(language)) == left


TAGS = 'two red balls, dog on the left, sign reading "open", it, lawn'


def test_each_tag_is_a_statement_of_its_own() -> None:
    spoken = split(TAGS, tags=True)
    assert [s.text for s in spoken] == TAGS.split(", ")
    assert all(TAGS[s.start : s.end] == s.text and s.leans_on is None for s in spoken)
    assert [s.asked for s in spoken] == [f"The image shows: {tag}." for tag in TAGS.split(", ")]
    assert [s.classes for s in spoken] == [("count", "colour"), ("relation",), ("text",), ("other",), ("other",)]
    assert split(" , ,", tags=True) == split("", tags=True) == []


@given(st.lists(st.text(alphabet="ab .é\"'", min_size=1).filter(str.strip), max_size=8), st.sets(st.integers(0, 7)))
def test_a_dropped_tag_goes_with_its_comma(texts: list[str], dropped: set[int]) -> None:
    tags = [text.strip() for text in texts]
    caption = ", ".join(tags)
    spoken = split(caption, tags=True)
    gone = with_leaning(spoken, dropped & set(range(len(tags))))
    assert without(caption, spoken, gone, tags=True) == ", ".join(t for n, t in enumerate(tags) if n not in gone)
