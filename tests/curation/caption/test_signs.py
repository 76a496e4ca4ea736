"""What is told by the signs of a pattern alone hides no match."""

from __future__ import annotations

import re
import string
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.caption.check import written
from curation.caption.check.faults import boilerplate, echo, labels, refusal
from curation.caption.model import untrusted
from curation.caption.signs import Signed, flat, signed
from tests.support.ways import every_match_has_one

SIGNED = {
    f"{module.__name__.rpartition('.')[2]}.{name}": found
    for module in (boilerplate, echo, labels, refusal, written)
    for name, found in vars(module).items()
    if isinstance(found, Signed)
}


def test_the_patterns_with_signs_are_found() -> None:
    assert {"boilerplate._FILLER", "echo._META", "labels._LABEL_SIGN", "refusal._REFUSAL"} <= SIGNED.keys()


@pytest.mark.parametrize("name", SIGNED)
def test_every_match_holds_a_sign(name: str) -> None:
    found = SIGNED[name]
    assert every_match_has_one(found.pattern, [*found.signs])


@pytest.mark.parametrize("name", SIGNED)
def test_no_sign_is_told_in_vain(name: str) -> None:
    """Also that the proof sees where a sign is missing."""
    found = SIGNED[name]
    for left_out in [*found.signs][::6]:
        assert not every_match_has_one(found.pattern, [sign for sign in found.signs if sign != left_out]), left_out


def test_every_instruction_holds_a_sign_and_none_is_told_in_vain() -> None:
    """In a text that holds nothing beyond ASCII, if letters beyond it are in the pattern."""
    nothing = "a sign of nothing"
    for look in untrusted.instructions():
        signs = [*look.signs]
        assert every_match_has_one(look.pattern, signs or [nothing], ascii_only=look.beyond_ascii), look.pattern
        for left_out in signs:
            fewer = [sign for sign in signs if sign != left_out] or [nothing]
            assert not every_match_has_one(look.pattern, fewer, ascii_only=look.beyond_ascii), (look.pattern, left_out)


def test_letters_are_told_apart_as_patterns_tell_them() -> None:
    """Whatever matches an ASCII letter without regard to case is that letter in the flat text."""
    ascii_letter = re.compile("[a-z]", re.IGNORECASE)
    for char in filter(ascii_letter.match, map(chr, range(sys.maxunicode + 1))):
        letters = [a for a in string.ascii_lowercase if re.match(a, char, re.IGNORECASE)]
        assert flat(char) == f" {letters[0]} "
        assert len(letters) == 1


def test_white_space_is_what_patterns_take_for_it() -> None:
    chars = list(map(chr, range(sys.maxunicode + 1)))
    assert [c for c in chars if c.isspace()] == list(filter(re.compile(r"\s").match, chars))


@pytest.mark.parametrize(
    ("pattern", "signs", "proved"),
    [
        ("a(?:b|c)d", "abd|acd", True),
        ("a(?:b|c)d", "abd", False),
        (r"a\s+b", "a b", True),
        (r"a\s*b", "a b", False),
        (r"a\s*b", "a b|ab", True),
        (r"a\W+b", "a b", False),
        ("(?:very )*big", "big", True),
        ("(?:very )*big", "very big", False),
        ("(?:very )+big", "very big", True),
        ("(?:very )?big", "very ", False),
        (r"\Ano", " no", True),
        (r"\bno", " no", False),
        (r"no\Z", "no ", True),
        ("[a-z]no", "ano", False),
        ("[ab]no", "ano|bno", True),
        ("[^a]no", " no", False),
        ("n(?!a)o", "no", True),
        ("[A-Z] (?=(?:big|red) )", "big |red ", True),
        ("[A-Z] (?=(?:big|red) )", "big ", False),
        ("[A-Z](?!big)", "big", False),
        ("(?<=big)[A-Z]", "big", False),
    ],
)
def test_what_holds_a_sign_is_proved_by_every_way_through_a_pattern(pattern: str, signs: str, proved: bool) -> None:
    assert every_match_has_one(re.compile(pattern, re.IGNORECASE), signs.split("|")) == proved


@given(st.lists(st.sampled_from([*"abAB ſsSıiIİkK\n\u00a0-’", "a b", "xy"]), max_size=12).map("".join))
def test_a_text_without_a_sign_has_no_match(text: str) -> None:
    look = signed(r"a\s+b|s(?:i|k)|i\s*k|x[yz]|a’b", "a b|si|sk|i k|ik|xy|xz|a’b")
    assert every_match_has_one(look.pattern, [*look.signs])
    assert (look.search(text) is None) == (look.pattern.search(text) is None)
    assert look.sub(lambda _: "!", text) == look.pattern.sub("!", text)
    assert look.signs.in_text(text) == any(sign in flat(text) for sign in look.signs)
