"""Captions without credits, labels, markup and doublings; and everything else left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.news.cleaning import clean_caption
from curation.news.score import Labelled
from schemas.anchor import Clean
from tests.support.labelled import held_out, labelled
from tests.support.steps import all_linear, steps

CLEANED = [
    ("Fans gather in Leeds. Photograph: John Smith/Getty Images", "Fans gather in Leeds.", "credit"),
    ("Mr. Osgood in Ohio. Credit Doug Mills/The New York Times", "Mr. Osgood in Ohio.", "credit"),
    ("Ms. Lee in her studio. Credit Doug Mills for The New York Times", "Ms. Lee in her studio.", "credit"),
    ("Ann Lee waves. (AP Photo/Sue O'Neill, File)", "Ann Lee waves.", "credit"),
    ("The mayor, left, speaks. (Photo: Kyle Terada, USA TODAY Sports)", "The mayor, left, speaks.", "credit"),
    ("Boats at sea (Jahi Chikwendiu/The Washington Post)", "Boats at sea", "credit"),
    ("Boats at sea. © Ann Lee", "Boats at sea.", "credit"),
    ("A view of the harbour, via Getty Images", "A view of the harbour", "credit"),
    ("A red ball in Poz, Monday. (Kran Wire)", "A red ball in Poz, Monday.", "credit"),
    ("Image copyright Getty Images Image caption The bridge was closed", "The bridge was closed", "label"),
    ("Image caption The bridge was closed", "The bridge was closed", "label"),
    ("FILE PHOTO: The bridge was closed", "The bridge was closed", "label"),
    ("File photo: The bridge was closed", "The bridge was closed", "label"),
    ("FILE - The bridge was closed", "The bridge was closed", "label"),
    ("<p>A dog &amp; a cat</p>", "A dog & a cat", "markup"),
    ("The [old bridge](https://a.example/b) at dawn", "The old bridge at dawn", "markup"),
    ("A dog in a park. A dog in a park.", "A dog in a park.", "doubled"),
    ("A dog in a park – a dog in a park", None, None),
]
DATA = Path(__file__).parents[2] / "data"


def lines(name: str) -> list[str]:
    text = (DATA / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


LEFT = lines("no_credits.txt")
CREDITS = lines("credits.txt")
CREDITED = (
    "Fans gather in Leeds.",
    "The mayor, left, speaks to Sen. Lee at Kran Inc. in St. Paul, Minn., on Monday.",
    "A man holds a sign that says “Stop!”",
)
# An abbreviation ends no sentence, so what follows it is no credit unless an agency stands there.
ABBREVIATIONS = (
    *("St.", "Mt.", "Ft.", "Sen.", "Rep.", "Gov.", "Dr.", "Lt.", "Sgt.", "Capt.", "Gen.", "Col.", "Prof.", "Rev."),
    *("Mr.", "Mrs.", "Ms.", "Hon.", "Jr.", "Sr.", "D.C.", "U.S.", "U.K.", "N.Y.", "Calif.", "Mass.", "Pa.", "Inc."),
    *(
        "Ltd.",
        "Co.",
        "Corp.",
        "Bros.",
        "No.",
        "a.m.",
        "p.m.",
        "Ave.",
        "Blvd.",
        "Feb.",
        "Sept.",
        "v.",
        "vs.",
        "J.",
        "J.R.",
    ),
)
FOLLOWING = (
    *("Louis, Missouri", "Ann Lee, Leeds", "Lee", "Zuma", "Rex", "Bloomberg", "Lee – Ray", "Lee/Ray", "Lee via Leeds"),
    *("Ann Lee for Bob Ray", "Ann Lee - Poz, Ohio", "Handout", "NASA", "Kran Post", "Kran Times, Leeds"),
    *("Ann Lee of Reuters", "Ann Lee, of the BBC", "Lee, The Observer"),
)


@pytest.mark.parametrize(("text", "cleaned", "rule"), [c for c in CLEANED if c[1] is not None])
def test_what_is_not_about_the_picture_goes_and_its_rule_is_named(text: str, cleaned: str, rule: str) -> None:
    found = clean_caption(text, Clean())
    assert found.text == cleaned
    assert rule in found.rules


@pytest.mark.parametrize("text", LEFT)
def test_a_caption_that_only_looks_like_one_is_left_alone(text: str) -> None:
    found = clean_caption(text, Clean())
    assert (found.text, found.rules, found.removed) == (text, (), ())


@pytest.mark.parametrize("abbreviation", ABBREVIATIONS)
def test_an_abbreviation_ends_no_sentence(abbreviation: str) -> None:
    captions = [f"Fans wait in {abbreviation} {rest}{stop}" for rest in FOLLOWING for stop in (".", "")]
    assert [c for c in captions if clean_caption(c, Clean()).text != c] == []


@pytest.mark.parametrize("abbreviation", ["D.C.", "U.S.", "Inc.", "Jr.", "a.m.", "Calif.", "Ave."])
@pytest.mark.parametrize("credit", ["AP", "Reuters", "Ann Lee/AP", "Ann Lee/Getty Images", "Photograph: Ann Lee/AFP"])
def test_an_agency_behind_an_abbreviation_that_may_end_a_sentence_is_a_credit(abbreviation: str, credit: str) -> None:
    caption = f"Fans wait at 9 near {abbreviation}"
    assert clean_caption(f"{caption} {credit}", Clean()).text == caption


@pytest.mark.parametrize("credit", CREDITS)
def test_every_published_form_of_a_credit_goes(credit: str) -> None:
    for caption in CREDITED:
        caption = caption.rstrip(".") if credit.startswith(",") else caption
        found = clean_caption(f"{caption}{'' if credit.startswith(',') else ' '}{credit}", Clean())
        assert (found.text, found.rules) == (caption, ("credit",))


@pytest.mark.parametrize("captions", [labelled(), held_out()])
def test_the_hand_labelled_captions_lose_nothing(captions: tuple[Labelled, ...]) -> None:
    changed = [i.caption for i in captions if clean_caption(i.caption, Clean()).text != " ".join(i.caption.split())]
    assert changed == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120) | st.lists(st.sampled_from([c[0] for c in CLEANED] + LEFT), max_size=3).map(" ".join))
def test_cleaning_what_is_clean_changes_nothing(text: str) -> None:
    once = clean_caption(text, Clean())
    again = clean_caption(once.text, Clean())
    assert again.text == once.text and again.rules == ()


def test_a_rule_that_is_switched_off_does_not_fire() -> None:
    text = "<b>A dog</b>. Photograph: Ann Lee/AP"
    assert clean_caption(text, Clean(credits=False)).text.endswith("Ann Lee/AP")
    assert clean_caption(text, Clean(markup=False)).text.startswith("<b>")


LONGEST = 5_000
STEPS = 120  # a character


def test_cleaning_takes_a_bounded_number_of_steps_a_character() -> None:
    all_linear(lambda text: clean_caption(text, Clean()), LONGEST, STEPS, most=40)


@pytest.mark.parametrize(
    "text",
    [
        "The cast on stage (" + "/ ".join(["Ann Lee"] * 40) + ") waves.",
        "The cast (" + "Ann Lee/ " * 550,
        "She waves. " + "A-" * 2_400 + "!",
        "A dog &" + "amp;" * 1_200,
        "[" * 380 + "a dog" + "](http://b)" * 380,
        "A dog. &#" + "9" * 4_900 + ";",
        "She waves. " + "Ann/" * 1_200 + "x",
        "She waves. " + "Ann for " * 600 + "!",
        "She waves. Photo by " + "Ann and " * 600 + "!",
    ],
)
def test_what_is_nested_or_without_an_end_takes_no_more(text: str) -> None:
    assert steps(lambda: clean_caption(text, Clean()), STEPS * LONGEST) > 0
    assert clean_caption(text, Clean()).text
