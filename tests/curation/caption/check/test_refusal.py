"""Sentences about the request, and sentences about pictures that only sound a little like them."""

from __future__ import annotations

from collections import Counter
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.caption.check.faults.refusal import find_refusal, find_request_talk
from curation.caption.check.wordlists import talk
from tests.support.clean_captions import generated

SUPPORT = Path(__file__).parents[3] / "support"
FRESH = (SUPPORT / "refusals_fresh.txt").read_text(encoding="utf-8").splitlines()
NEARLY = (SUPPORT / "nearly_refusals.txt").read_text(encoding="utf-8").splitlines()


def test_wordings_that_no_pattern_lists_are_found() -> None:
    missed = [text for text in FRESH if find_refusal(text) is None]
    assert len(missed) <= 0.08 * len(FRESH), missed


def test_they_are_found_at_either_end_of_a_caption_too() -> None:
    missed = []
    for n, text in enumerate(FRESH):
        caption, _ = generated(n)
        missed += [t for t in (f"{caption} {text}", f"{text} {caption}") if find_refusal(t) is None]
    assert len(missed) <= 0.15 * 2 * len(FRESH), missed[:3]


@pytest.mark.parametrize("caption", NEARLY)
def test_captions_of_forms_screens_and_rules_are_no_refusals(caption: str) -> None:
    assert find_refusal(caption) is None


def test_the_passage_is_the_sentence_that_talks() -> None:
    text = "A red barn stands on a hill. Captioning request denied. A dog sleeps beside it."
    found = find_request_talk(text)
    assert found is not None
    assert text[slice(*found)] == "Captioning request denied."


def test_writing_in_the_picture_may_say_anything() -> None:
    assert find_refusal('A screen with the words "Your request was denied by our policy" above a grey bar.') is None


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    found = find_request_talk(text)
    assert found is None or 0 <= found[0] < found[1] <= len(text)


def test_each_word_has_one_category() -> None:
    lines = (
        resources.files("curation.caption.check.wordlists")
        .joinpath("talk.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    listed = [w.strip() for line in lines if not line.startswith("#") for w in line.partition(":")[2].split(",")]
    assert not [word for word, times in Counter(listed).items() if times > 1]
    assert set(talk().values()) == {
        "person", "request", "regret", "rules", "inability", "fault", "image", "function",
    }  # fmt: skip
