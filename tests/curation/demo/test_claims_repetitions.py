"""No caption takes the reader of claims longer than its length explains."""

from __future__ import annotations

import pytest

from curation.demo.claims import claims
from tests.support.repetitions import limited, none_is_slow


def test_no_caption_is_slow() -> None:
    none_is_slow(claims, 20_000, most=20)


@pytest.mark.parametrize("unit", ["red ", "two red ", "is ", "red car ", "car is red ", "on the left ", "and ", "car "])
def test_words_of_the_world_over_and_over_are_not_slow(unit: str) -> None:
    for end in ("", "!", "car"):
        text = unit * (20_000 // len(unit)) + end
        with limited(text):
            claims(text)
