from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.caption.check.counts import word_count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (" \n\t", 0),
        ("a red cube", 3),
        ("well-lit, 3.5 m tall — not 4", 6),
        ("— … & / _", 0),
        ("été 日本 ½", 3),
    ],
)
def test_words_stand_between_white_space_and_hold_a_letter_or_a_digit(text: str, count: int) -> None:
    assert word_count(text) == count


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_words_of_two_texts_add_up(first: str, second: str) -> None:
    assert word_count(f"{first} {second}") == word_count(first) + word_count(second)
