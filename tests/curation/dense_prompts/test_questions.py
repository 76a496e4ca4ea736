"""Questions are sound or named with what is wrong; a child of a failed parent counts as failed."""

from __future__ import annotations

from typing import Any

import pytest

from curation.demo.prompt_writer import answer, scene_of, write
from curation.dense_prompts.questions import as_yes_no, find_span, from_json, held, read_questions, stem, to_json
from schemas.prompt_records import AtomReply, DensePromptReply
from schemas.questions import Question

PROMPT = 'Two grey geese walk past a wooden sign that reads "OPEN". A tall woman carries a red basket beside them.'
GOOD: list[dict[str, Any]] = [
    {"category": "entity", "detail": "whole", "elements": ["geese"], "question": "Are there geese?"},
    {"parents": [1], "category": "count", "elements": ["geese"], "question": "How many geese are there?",
     "answer": "two"},
    {"parents": [1], "category": "attribute", "detail": "color", "elements": ["geese", "grey"],
     "question": "Are the geese gray?"},
    {"category": "entity", "detail": "whole", "elements": ["sign"], "question": "Is there a sign?"},
    {"parents": [4], "category": "text", "elements": ["sign"], "question": "What is written on the sign?",
     "answer": "OPEN"},
    {"category": "entity", "detail": "whole", "elements": ["woman"], "question": "Is there a woman?"},
    {"category": "entity", "detail": "whole", "elements": ["basket"], "question": "Is there a basket?"},
    {"parents": [6, 7], "category": "relation", "detail": "action", "elements": ["woman", "basket", "carry"],
     "question": "Is the woman carrying the basket?"},
]  # fmt: skip


def atoms(*changes: tuple[int, dict[str, Any]]) -> list[AtomReply]:
    """The good questions, some of them changed (by their number)."""
    usual = {"parents": [], "detail": "", "answer": "yes"}
    changed = dict(changes)
    return [AtomReply(**{"id": n, **usual, **atom, **changed.get(n, {})}) for n, atom in enumerate(GOOD, 1)]


def test_sound_questions_are_read_with_their_places_and_survive_being_stored() -> None:
    found = read_questions(PROMPT, atoms(), 4)
    assert not isinstance(found, str)
    said = [PROMPT[q.start : q.end] for q in found]
    assert said[1] == "Two grey geese" and said[2] == "grey geese" and said[7] == "woman carries a red basket"
    assert said[4] == 'sign that reads "OPEN'
    assert from_json(to_json(found)) == found


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        (3, {"elements": ["geese", "green"], "question": "Are the geese green?"}, "'green'"),
        (3, {"question": "Are the geese by a river?"}, "'river'"),
        (3, {"parents": []}, "has no parent"),
        (3, {"parents": [7]}, "the parent 7"),
        (3, {"parents": [3]}, "the parent 3"),
        (3, {"id": 2}, "the id of another"),
        (3, {"question": "Are there geese?"}, "asks what an earlier one asks"),
        (3, {"question": "Grey geese?"}, "yes or no"),
        (3, {"question": "Are the geese grey"}, "question mark"),
        (3, {"answer": "grey"}, "expected 'yes'"),
        (3, {"elements": ["geese (two)"]}, "bracket"),
        (3, {"question": "Are the geese\ngrey?"}, "line break"),
        (2, {"answer": "yes"}, "expected a number"),
        (2, {"answer": "three"}, "'three', which is not in the prompt"),
        (2, {"question": "Are there two geese?"}, "How many"),
        (5, {"answer": "CLOSED"}, "'CLOSED'"),
        (5, {"answer": "open"}, "'open'"),
    ],
)
def test_an_unsound_question_is_named_with_what_is_wrong(number: int, change: dict[str, Any], said: str) -> None:
    found = read_questions(PROMPT, atoms((number, change)), 4)
    assert isinstance(found, str) and said in found


def test_too_few_questions_and_none_about_a_thing_are_told() -> None:
    assert "at least 9" in str(read_questions(PROMPT, atoms(), 9))
    style = AtomReply(id=1, parents=[], category="global", detail="style", elements=["grey"],
                      question="Is it grey?", answer="yes")  # fmt: skip
    assert "entity" in str(read_questions(PROMPT, [style], 1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("foxes", "fox"), ("carrying", "carries"), ("hopped", "hopping"), ("leaves", "leaf"), ("knives", "knife"),
        ("stones", "stone"), ("women", "woman"), ("gray", "grey"), ("Boxes", "box"), ("child's", "children"),
        ("glasses", "glass"), ("waves", "wave"), ("sitting", "sits"),
    ],
)  # fmt: skip
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("cat", "car"), ("house", "horse"), ("red", "reed"), ("sign", "sing")])
def test_other_words_have_other_stems(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_a_place_is_the_shortest_one_within_a_sentence() -> None:
    text = "A dog sleeps. A brown cat watches the brown dog."
    assert text[slice(*find_span(text, ["dog", "brown"]))] == "brown dog"
    assert find_span(text, ["sleeps", "cat"]) == (-1, -1)


def test_a_child_of_a_failed_parent_fails_and_so_do_its_children() -> None:
    chain = [Question(n, (n - 1,) if n > 1 else (), "entity", "", ("x",), "?") for n in range(1, 5)]
    assert held(chain, {1: True, 2: False, 3: True, 4: True}) == {1: True, 2: False, 3: False, 4: False}
    assert all(held(chain, dict.fromkeys(range(1, 5), True)).values())


@pytest.mark.parametrize("category", ["things", "counts", "relations", "text"])
def test_the_demo_writer_asks_sound_questions_whose_answer_is_yes(category: str) -> None:
    refused = 0
    for number in range(40):
        found = scene_of(category, number)
        reply = DensePromptReply.model_validate(write(found))
        questions = read_questions(reply.prompt, reply.questions, 3)
        if isinstance(questions, str):
            refused += 1
            continue
        assert all(answer(found, as_yes_no(q)) for q in questions), reply.prompt
        assert {q.category for q in questions} >= {"entity", "attribute", "global"}
    assert refused <= 2
