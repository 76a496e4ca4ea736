"""A caption of tags comes out as comma-separated lower-case tags, each once; prose is rejected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.caption.check.caption import check_caption
from curation.caption.check.counts import word_count
from curation.caption.check.draft import Verdict
from curation.caption.prompts import load
from curation.caption.verify.statements import split
from schemas.reasons import Reason
from schemas.refine import Check
from tests.support.clean_captions import WRITTEN

BODY = load("tags").body
TAGS = "dog, red ball, grass"


def judge(
    text: str, finish: str = "stop", kind: str = "tags", alt_text: str = "", check: Check | None = None
) -> Verdict:
    return check_caption(text, kind, finish, alt_text, BODY, check or Check(), tags=True)


@pytest.mark.parametrize(
    "text",
    [
        TAGS,
        "two dogs, golden retriever, tennis ball, sunny lawn, close-up",
        "st. ives, harbour, u.s. flag, 3.5 mm lens",
        'sign reading "no entry", red pole, street',
        "dog (golden retriever), tennis ball (yellow), lawn",
        '5" screen, phone, desk',
        "rock 'n' roll poster, men's shoes, shop window",
        "one person, 2 cats, 35mm film, black-and-white photograph",
    ],
)
def test_sound_tags_pass_untouched(text: str) -> None:
    verdict = judge(text)
    assert (verdict.passed, verdict.caption, verdict.repaired, verdict.reasons) == (True, text, False, ())
    assert verdict.words == word_count(text) and verdict.sentence_end_77 is None


MENDED = [
    ("Dog, Red Ball, Grass", ()),
    ("DOG, RED BALL, GRASS.", ()),
    ("dog,red ball ,  grass,", ()),
    ("dog; red ball; grass", ()),
    ("dog | red ball | grass", ()),
    ("dog\nred ball\ngrass", ()),
    ("Dog.\nRed ball.\nGrass.", ()),
    ("dog, red ball, and grass", ()),
    ('"dog", "red ball", "grass"', ()),
    ('"dog, red ball, grass"', ()),
    ("[dog, red ball, grass]", ()),
    ("1. Dog\n2. Red ball\n3. Grass", (Reason.MARKUP,)),
    ("1) dog, 2) red ball, 3) grass", (Reason.MARKUP,)),
    ("1. dog 2. red ball 3. grass", (Reason.MARKUP,)),
    ("- dog\n- red ball\n- grass", (Reason.MARKUP,)),
    ("• dog • red ball • grass", (Reason.MARKUP,)),
    ("#dog #red_ball #grass", (Reason.MARKUP,)),
    ("dog, red_ball, grass", (Reason.MARKUP,)),
    ("**dog**, `red ball`, *grass*", (Reason.MARKUP,)),
    ('["dog", "red ball", "grass"]', (Reason.MARKUP,)),
    ('```json\n{"tags": ["Dog", "red ball", "grass"]}\n```', (Reason.MARKUP,)),
    ('{"tags": "dog, red ball, grass"}', (Reason.MARKUP,)),
    ("```\ndog, red ball, grass\n```", (Reason.MARKUP,)),
    ("<think>A dog.</think>dog, red ball, grass", (Reason.MARKUP,)),
    ("dog, red ball, Dog, grass, red ball", (Reason.REPETITION,)),
    ("Tags: dog, red ball, grass", (Reason.BOILERPLATE_OPENING,)),
    ("**Keywords:** dog, red ball, grass", (Reason.BOILERPLATE_OPENING,)),
    ("Sure! Here are the tags:\n\ndog, red ball, grass", (Reason.BOILERPLATE_OPENING,)),
    ("The image shows dog, red ball, grass", (Reason.BOILERPLATE_OPENING,)),
]


@pytest.mark.parametrize(("text", "reasons"), MENDED)
def test_what_can_be_mended_is(text: str, reasons: tuple[Reason, ...]) -> None:
    verdict = judge(text)
    assert (verdict.passed, verdict.caption, verdict.repaired, verdict.reasons) == (True, TAGS, True, reasons)


@pytest.mark.parametrize("text", [text for text, _ in MENDED])
def test_without_repairs_the_same_is_rejected(text: str) -> None:
    assert not judge(text, check=Check(repair=False)).passed


def test_without_repairs_sound_tags_pass() -> None:
    assert judge(TAGS, check=Check(repair=False)).passed


@pytest.mark.parametrize(
    "text",
    [
        "A dog runs across the green grass with a red ball.",
        "A dog runs, a cat sits, and the sky is blue.",
        "A dog. A cat. A red ball.",
        "A dog runs.",
        "The sky is blue, the grass is green, there's a dog",
        "dog, red ball, grass\n\nNote: the image is blurry.",
        "dog, red ball, a small house with a red roof behind it",
        "Ball. Dog. Grass. House. Tree. Car.",
    ],
)
def test_prose_is_rejected(text: str) -> None:
    verdict = judge(text)
    assert not verdict.passed and Reason.NOT_TAGS in verdict.reasons and verdict.detail is not None


@pytest.mark.parametrize("text", [text for text, kind in WRITTEN][:200])
def test_sound_captions_in_prose_are_no_tags(text: str) -> None:
    assert not judge(text, kind="x").passed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I'm sorry, I can't help with that.", Reason.REFUSAL),
        ("", Reason.TOO_SHORT),
        ("dog", Reason.TOO_SHORT),
        (", ".join(["dog"] * 300), Reason.TOO_SHORT),
        (", ".join(f"dog {n}" for n in range(60)), Reason.TOO_LONG),
        ("roter ball, grünes gras, zwei hunde, holzzaun", Reason.WRONG_LANGUAGE),
        ("собака, красный мяч, трава", Reason.WRONG_SCRIPT),
        ("dog, https://example.com/a.jpg, grass", Reason.MARKUP),
        ('dog, sign "open, grass', Reason.MARKUP),
    ],
)
def test_other_faults_are_those_of_any_caption(text: str, reason: Reason) -> None:
    verdict = judge(text)
    assert not verdict.passed and reason in verdict.reasons


def test_a_list_that_was_cut_loses_its_last_tag() -> None:
    verdict = judge("dog, red ball, grass, gol", finish="length")
    assert (verdict.passed, verdict.caption, verdict.reasons) == (True, TAGS, (Reason.CUT_OFF,))


def test_invented_people_are_found_though_tags_are_lower_case() -> None:
    reject = Check(names="reject")
    assert Reason.UNKNOWN_NAME in judge("Mr. Marcus Feldman, red dress, stage", check=reject).reasons
    assert judge("Mr. Marcus Feldman, red dress, stage", alt_text="Marcus Feldman", check=reject).passed
    assert judge("Red Dress, Wooden Stage, Spotlight", check=reject).passed, "capitals everywhere tell no name"


@pytest.mark.parametrize(
    ("language", "text", "mended"),
    [
        ("de", "Roter Ball, grünes Gras, zwei Hunde", "roter ball, grünes gras, zwei hunde"),
        ("zh", "红色的球、绿色草地、两只狗", "红色的球, 绿色草地, 两只狗"),
        ("ru", "Красный мяч, зелёная трава, две собаки.", "красный мяч, зелёная трава, две собаки"),
    ],
)
def test_tags_in_other_languages(language: str, text: str, mended: str) -> None:
    verdict = judge(text, check=Check(language=language))
    assert (verdict.passed, verdict.caption) == (True, mended), verdict.detail


@given(st.text(alphabet='abAB ,.;:\n-#*_"(){}[]1.2)éİΣ、红', max_size=120))
def test_what_passes_has_the_form_of_tags(text: str) -> None:
    verdict = judge(text, kind="x", check=Check(language="", scripts=[], names="ignore"))
    if verdict.passed and verdict.caption is not None:
        tags = verdict.caption.split(", ")
        assert len({t.lower() for t in tags}) == len(tags) and verdict.caption == verdict.caption.lower()
        assert all(tag.strip() == tag and tag and "," not in tag and len(tag.split()) <= 8 for tag in tags)
        assert [s.text for s in split(verdict.caption, tags=True)] == tags


SPELLED = [
    "dog",
    "Red Ball",
    "GRASS",
    "U.S. flag",
    'sign "Stop"',
    "3.5 mm lens",
    "stone_wall",
    "close-up",
    "cat (white)",
]


@given(
    st.lists(st.sampled_from(SPELLED), min_size=3, max_size=12).filter(lambda tags: len(set(tags)) > 1),
    st.sampled_from([", ", ",", "; ", "\n", "\n\n", " | ", ".\n"]),
    st.sampled_from(["", "- ", "* ", "#"]),
    st.sampled_from(["", ".", ",", "\n"]),
)
def test_a_second_check_changes_nothing(spelled: list[str], between: str, mark: str, end: str) -> None:
    first = judge(between.join(mark + tag for tag in spelled) + end, kind="x")
    assert first.passed and first.caption is not None, first.detail
    assert len(first.caption.split(", ")) == len(set(spelled))
    again = judge(first.caption, kind="x")
    assert (again.passed, again.caption, again.repaired) == (True, first.caption, False)
