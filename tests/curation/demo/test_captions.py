"""Captions state the scene and nothing else, and the judge tells a faithful one from a wrong one."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.demo.claims import Claim, claims
from curation.demo.judge import facts, judge
from curation.demo.phrases import dense_caption, relation_sentence, short_caption
from curation.demo.truth import INVERSE, Relation, Scene, generator
from curation.demo.vocabulary import COLOURS, KINDS, WORDS
from curation.demo.world import scene

INDICES = st.integers(0, 50_000)
SPLITS = st.sampled_from(["train", "heldout"])


@given(INDICES, SPLITS, st.integers(0, 99))
@settings(max_examples=400, deadline=None)
def test_a_dense_caption_states_every_fact_and_no_falsehood(index: int, split: str, turn: int) -> None:
    s = scene(2, index, split)  # type: ignore[arg-type]
    caption = dense_caption(s, generator(index, turn))
    verdict = judge(s, caption)
    assert 50 <= len(caption.split()) <= 110
    assert not verdict.false, caption
    assert verdict.recall == 1.0, (caption, verdict.facts - verdict.stated)


@given(INDICES, SPLITS)
@settings(max_examples=200, deadline=None)
def test_a_short_caption_names_every_object_and_nothing_false(index: int, split: str) -> None:
    s = scene(2, index, split)  # type: ignore[arg-type]
    caption = short_caption(s, generator(index))
    verdict = judge(s, caption)
    assert len(caption.split()) <= 40
    assert not verdict.false, caption
    for aspect in ("object", "colour", "background"):
        assert verdict.recall_of(aspect) == 1.0, caption  # type: ignore[arg-type]


def test_captions_come_in_many_phrasings_and_are_reproducible() -> None:
    s = scene(2, 9)
    assert len({dense_caption(s, generator(0, i)) for i in range(50)}) > 45
    assert dense_caption(s, generator(0, 1)) == dense_caption(s, generator(0, 1))


def test_held_out_phrasings_never_occur_in_training() -> None:
    def told(split: str) -> str:
        return " ".join(dense_caption(scene(0, i, split), generator(i)) for i in range(400))  # type: ignore[arg-type]

    train, held = told("train"), told("heldout")
    for phrasing in ("one finds", "forms the backdrop", "underneath", "further left than", "No lettering", "spells"):
        assert phrasing not in train
        assert phrasing in held
    for phrasing in ("there is", "The background is", "to the left of", "is written on"):
        assert phrasing in train
        assert phrasing not in held


def _scenes(count: int) -> list[Scene]:
    return [scene(8, i) for i in range(count)]


def test_a_swapped_colour_is_false_exactly_there() -> None:
    for s in _scenes(60):
        o = s.objects[-1]
        wrong = next(c for c in COLOURS if c != o.colour)
        told = dataclasses.replace(s, objects=(*s.objects[:-1], dataclasses.replace(o, colour=wrong)))
        verdict = judge(s, dense_caption(told, generator(1)))
        assert verdict.false == {Claim("colour", o.kind, wrong)}
        assert verdict.facts - verdict.stated == {Claim("colour", o.kind, o.colour)}


def test_a_wrong_count_is_false_exactly_there() -> None:
    for s in _scenes(60):
        o = s.objects[0]
        wrong = o.count + 1
        told = dataclasses.replace(s, objects=(dataclasses.replace(o, count=wrong), *s.objects[1:]))
        false = judge(s, dense_caption(told, generator(1))).false
        assert Claim("count", o.kind, str(wrong)) in false
        assert {c.aspect for c in false} == {"count"}
        assert {c.subject for c in false} == {o.kind}


def test_an_invented_object_is_false_exactly_there() -> None:
    for s in _scenes(40):
        absent = next(k for k in KINDS if s.object_of(k) is None)
        text = dense_caption(s, generator(1))
        assert judge(s, f"{text} A small red {absent} stands in the upper left.").false == {Claim("object", absent, "")}
        assert judge(s, f"{text} A man with a dog is there too.").false == {
            Claim("object", "man", ""),
            Claim("object", "dog", ""),
        }


def test_a_wrong_relation_is_false_exactly_there() -> None:
    tried = 0
    for s in _scenes(80):
        for r in s.relations[:1]:
            wrong = Relation(r.subject, INVERSE[r.name], r.object)
            text = relation_sentence(generator(4), s, wrong)
            false = judge(s, text).false
            assert len(false) == 1, text
            assert next(iter(false)).aspect == "relation"
            assert not judge(s, relation_sentence(generator(4), s, r)).false
            tried += 1
    assert tried > 40


def test_a_wrong_size_place_background_or_word_is_false_exactly_there() -> None:
    for s in _scenes(40):
        o = s.objects[0]
        size = "large" if o.size == "small" else "small"
        place = "upper left" if o.place != "upper left" else "lower right"
        ground = "beach" if s.setting.kind not in ("beach", "sea") else "forest"
        word = next(w for w in WORDS if s.board is None or w != s.board.word)
        assert judge(s, f"The {o.kind} is {size}.").false == {Claim("size", o.kind, size)}
        assert judge(s, f"The {o.kind} is in the {place}.").false == {Claim("place", o.kind, place)}
        assert judge(s, f"The scene is a {ground}.").false == {Claim("background", "", ground)}
        assert judge(s, f'A sign reads "{word}".').false == {Claim("text", "", word)}


def test_what_is_denied_is_judged_too() -> None:
    s = scene(8, 0)
    present, absent = s.objects[0].kind, next(k for k in KINDS if s.object_of(k) is None)
    assert not judge(s, f"There is no {absent} and no people are visible.").false
    assert judge(s, f"There is no {present}.").false == {Claim("absent", present, "")}


def _said(text: str) -> set[tuple[str, ...]]:
    return {tuple(filter(None, (c.aspect, c.subject, c.value, c.other))) for c in claims(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "The image shows a big crimson car parked to the left of two tiny blue birds, with a tree behind it.",
            {("colour", "car", "red"), ("size", "car", "large"), ("relation", "car", "left of", "bird"),
             ("count", "bird", "2"), ("colour", "bird", "blue"), ("relation", "tree", "behind", "car")},
        ),
        (
            "In the upper left corner, there is a golden star, and in the bottom right a pair of green apples.",
            {("place", "star", "upper left"), ("colour", "star", "yellow"), ("place", "apple", "lower right"),
             ("count", "apple", "2")},
        ),
        (
            "There are 3 red balloons in the center. They are to the right of the house, which is painted blue.",
            {("count", "balloon", "3"), ("place", "balloon", "middle centre"), ("colour", "house", "blue"),
             ("relation", "house", "left of", "balloon")},
        ),
        (
            "A lamp with a chair to its left stands in a room.",
            {("relation", "chair", "left of", "lamp"), ("background", "room")},
        ),
        (
            "Behind the brown house stands a rocket. It is black.",
            {("relation", "rocket", "behind", "house"), ("colour", "rocket", "black")},
        ),
        (
            "On the left of the image is a clock and on the right is a bell.",
            {("place", "clock", "any left"), ("place", "bell", "any right")},
        ),
        (
            "The tree and the house are to the left of the candle.",
            {("relation", "tree", "left of", "candle"), ("relation", "house", "left of", "candle")},
        ),
        (
            "A red car is left of the tree and above the boat.",
            {("relation", "car", "left of", "tree"), ("relation", "car", "above", "boat")},
        ),
        ("A butterfly hovers above a flower whose petals are white.", {("relation", "butterfly", "above", "flower")}),
        ("A sign reading OPEN hangs at the top; another says “SALE”.", {("text", "OPEN"), ("text", "SALE")}),
        ("a black and white hat", {("colour", "hat", "black"), ("colour", "hat", "white")}),
        (
            "The bicycle, which is yellow, is partly hidden behind the house.",
            {("colour", "bicycle", "yellow"), ("relation", "bicycle", "behind", "house")},
        ),
        (
            "The small mug sits under the lamp.",
            {("object", "cup"), ("size", "cup", "small"), ("relation", "lamp", "above", "cup")},
        ),
    ],
)  # fmt: skip
def test_captions_of_other_hands_are_understood(text: str, expected: set[tuple[str, ...]]) -> None:
    assert expected <= _said(text)


@pytest.mark.parametrize(
    "text",
    [
        "IMG_2041.jpg",
        "",
        "Eine rote Katze",
        "The car is not red.",
        "two of the apples",
        "a beautiful day, which leaves a good feeling",
        "The wall is red and the water is blue.",
    ],
)
def test_nothing_is_read_into_a_text(text: str) -> None:
    assert not {c for c in claims(text) if c.aspect in ("colour", "count", "relation", "place", "text")}


def test_a_part_of_speech_is_no_object() -> None:
    assert not claims("which leaves a good deal of space")
    assert ("object", "car") not in _said("the car key")


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_text_is_accepted(text: str) -> None:
    verdict = judge(scene(0, 0), text)
    assert 0 <= verdict.recall <= 1
    assert 0 <= verdict.hallucination <= 1


def test_a_text_of_100_kilobytes_is_read_in_reasonable_time() -> None:
    assert claims("a red car left of a tree " * 4000)


def test_facts_are_those_that_a_dense_caption_states() -> None:
    s = scene(2, 9)
    assert len(facts(s)) == 5 * len(s.objects) + len(s.relations) + 1 + len(s.setting.tones) + bool(s.board)


def test_what_is_said_of_an_unnamed_thing_is_said_of_nothing_else() -> None:
    told = claims("Below the brown rocket is the red object. On the right there is a small blue thing.")
    assert told == {Claim("object", "rocket", ""), Claim("colour", "rocket", "brown")}
    beside = claims("The red object is to the left of the two blue cups.")
    assert {c.aspect for c in beside} == {"object", "colour", "count"}
    assert {c.subject for c in beside} == {"cup"}
    assert not any(c.aspect == "absent" for c in claims("A cat stands in the centre. There are no other objects."))
