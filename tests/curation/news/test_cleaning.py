"""Captions without credits, labels, markup and doublings; and everything else left alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.news.cleaning import clean_caption
from schemas.anchor import Clean
from tests.support.labelled import labelled
from tests.support.repetitions import limited, none_is_slow

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
LEFT = [
    "Obama with his wife, Michelle (right)",
    "A man in Washington, D.C.",
    "The photo by Ann Lee won a prize at the show.",
    "She took a photo: it shows a man.",
    "Police say the picture by Monet was stolen.",
    "The U.S. team (left) celebrates in the park",
    "He paid by credit card at 3 < 4 o'clock",
    "Workers of the BBC in a studio",
    "Again and again she tried, again and again.",
]


@pytest.mark.parametrize(("text", "cleaned", "rule"), [c for c in CLEANED if c[1] is not None])
def test_what_is_not_about_the_picture_goes_and_its_rule_is_named(text: str, cleaned: str, rule: str) -> None:
    found = clean_caption(text, Clean())
    assert found.text == cleaned
    assert rule in found.rules


@pytest.mark.parametrize("text", LEFT)
def test_a_caption_that_only_looks_like_one_is_left_alone(text: str) -> None:
    found = clean_caption(text, Clean())
    assert (found.text, found.rules, found.removed) == (text, (), ())


def test_the_hand_labelled_captions_lose_nothing() -> None:
    changed = [i.caption for i in labelled() if clean_caption(i.caption, Clean()).text != " ".join(i.caption.split())]
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


def test_no_text_is_slow() -> None:
    none_is_slow(lambda text: clean_caption(text, Clean()), LONGEST, most=40)


@pytest.mark.parametrize(
    "text",
    [
        "The cast on stage (" + "/ ".join(["Ann Lee"] * 40) + ") waves.",
        "The cast (" + "Ann Lee/ " * 550,
        "She waves. " + "A-" * 2_400 + "!",
        "A dog &" + "amp;" * 1_200,
        "[" * 380 + "a dog" + "](http://b)" * 380,
        "A dog. &#" + "9" * 4_900 + ";",
    ],
)
def test_what_is_nested_or_without_an_end_is_not_slow(text: str) -> None:
    with limited(text):
        assert clean_caption(text, Clean()).text
