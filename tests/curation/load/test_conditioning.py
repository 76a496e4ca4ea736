"""Weights survive every dialect and stand on their tokens."""

from __future__ import annotations

import unicodedata

import pytest
from compel.prompt_parser import PromptParser
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.caption.check import clip_tokens
from curation.load.conditioning import (
    Piece,
    Weighted,
    factor_of,
    from_compel,
    from_weighted,
    pieces,
    to_compel,
    to_prefixed,
    to_weighted,
    token_weights,
    weights_of,
)
from tests.support.web_ui import read_prompt
from tests.support.words import word_tokenizer

WORDS = [
    "U.S.",
    "Inc.",
    "(left)",
    '"The',
    'Hammer"',
    "O'Brien’s",
    "🙂",
    "C++",
    "a-b",
    "z+y",
    "--x",
    "x.swap(y)",
    "=",
    "[x]",
    "\\",
    ":",
    "1.2)",
    "é",
    ".",
    "AND",
    "BREAK",
    "SAND",
    ".and()",
    '("a",',
    '"b").blend(1,1)',
    "withLora(foo,0.5)",
    "x.attend(1.5)",
    "fantasy++",
    "family-",
    "<lora:x:1>",
    "{a|b}",
    "[a:b:0.5]",
    "embedding:x",
    "embedding:(x",
    "__cat__",
    "#1",
    "\uff03",
    "http://a.b/*c",
    "16:9",
    "C:\\temp\\",
]
SENTENCES = st.lists(st.sampled_from([*WORDS, "Ann", "Lee", "of", "5"]), max_size=10).map(" ".join)
CAPTIONS = SENTENCES | st.text(max_size=30)


@st.composite
def weighted(draw: st.DrawFn, captions: st.SearchStrategy[str] = CAPTIONS) -> tuple[str, list[Weighted]]:
    """A caption with subjects anywhere in it: overlapping, repeated, empty or beyond its end."""
    caption = draw(captions)
    places = st.tuples(st.integers(0, len(caption) + 2), st.integers(0, len(caption) + 2), st.floats(0, 1))
    found = draw(st.lists(places, max_size=4))
    return caption, [Weighted(min(a, b), max(a, b), w) for a, b, w in found]


def by_character(found: list[Piece]) -> list[tuple[str, float]]:
    """Each character that is no blank with its factor."""
    return [(c, p.factor) for p in found for c in p.text if not c.isspace()]


@settings(max_examples=400, deadline=None)
@given(weighted())
def test_the_pieces_are_the_caption_and_the_greatest_weight_counts(actual: tuple[str, list[Weighted]]) -> None:
    caption, subjects = actual
    found = pieces(caption, subjects)
    assert "".join(p.text for p in found) == caption
    top = max((factor_of(s.weight) for s in subjects), default=1.0)
    assert all(1.0 <= p.factor <= top for p in found)


@settings(max_examples=600, deadline=None)
@given(weighted())
def test_the_bracket_dialect_reads_back_to_the_same_pieces(actual: tuple[str, list[Weighted]]) -> None:
    caption, subjects = actual
    found = from_weighted(to_weighted(caption, subjects))
    assert "".join(p.text for p in found) == caption
    assert by_character(found) == by_character(pieces(caption, subjects))


@settings(max_examples=600, deadline=None)
@given(weighted(CAPTIONS | st.text(alphabet="AND BREK:1.5()[]{}|\\\\<>#_/*", max_size=20)))
def test_a_web_ui_reads_the_caption_and_its_weights(actual: tuple[str, list[Weighted]]) -> None:
    caption, subjects = actual
    read = read_prompt(to_weighted(caption, subjects))
    assert (read.networks, read.breaks, len(read.prompts)) == ([], 0, 1)
    ((found, weight),) = read.prompts
    assert weight == 1.0
    wide = [(c, f) for text, factor in found for c in text.replace("\uff03", "#") if not c.isspace() for f in [factor]]
    own = by_character(pieces(caption.replace("\uff03", "#"), subjects))
    assert [(c, round(f, 3)) for c, f in wide] == own


# What is in a caption, and stays there: reserved words of every dialect.
RESERVED = [
    "Fire AND ice BREAK dance",
    "AND",
    "the band BREAK",
    "a photo, AND:0.5 of it",
    "the shape of 16:9",
    "seen at 10: 30 ",
    "No. 1 # of #hashtags",
    "a sign <lora:style:0.8> and <b>",
    "a {red|blue} car",
    "the embedding:easynegative of it",
    "see http://example.org/*.jpg",
    "a __colour__ car",
    "[cat:dog:0.5] and [a|b]",
    "(word:1.3) and ((two))",
    "C:\\new\\(x)\\",
    '("polar bear","james bond").blend(1,1) painting',
    '("a","b").and()',
    "withLora(foo, 0.5) useLora(x)",
    "cat.swap(dog) and dog.attend(1.5)",
    "La+ darkness, C++ and fantasy++ style",
    "word- and -- and -5 and +5",
    "a=b, s_start=0.1",
]


@pytest.mark.parametrize("caption", RESERVED)
@pytest.mark.parametrize("places", [[], [(0, 3)], [(0, 99)], [(4, 8), (9, 14)]])
def test_reserved_words_stay_words_in_every_dialect(caption: str, places: list[tuple[int, int]]) -> None:
    subjects = [Weighted(start, end, 0.8) for start, end in places]
    solid = "".join(caption.split())
    ((found, weight),) = read_prompt(to_weighted(caption, subjects)).prompts
    assert "".join("".join(t.split()) for t, _ in found).replace("\uff03", "#") == solid and weight == 1.0
    assert "".join(p.text for p in from_weighted(to_weighted(caption, subjects))) == caption
    compel = PromptParser().parse_conjunction(to_compel(caption, subjects))
    assert "".join("".join(f.text.split()) for p in compel.prompts for f in p.children) == solid
    assert not compel.lora_weights and len(compel.prompts) == 1
    plain = to_prefixed(caption, subjects)
    front = PromptParser().parse_conjunction(to_prefixed(caption, subjects, "compel"))
    assert "".join("".join(f.text.split()) for p in front.prompts for f in p.children) == "".join(plain.split())
    ((found, weight),) = read_prompt(to_prefixed(caption, subjects, "weighted")).prompts
    assert weight == 1.0 and "".join(t for t, _ in found).replace("\uff03", "#").split() == plain.split()


def test_without_reserved_words_nothing_changes() -> None:
    for caption in ("A sandy brown AND-gate", "ANDREW at 10:30 in (Rome)", "R&B, breaks and bands"):
        assert to_weighted(caption, []).replace("\\", "") == caption
    assert to_weighted("Andrew breaks and binds, at 10:30 or 3/4 and a_b", []) == (
        "Andrew breaks and binds, at 10:30 or 3/4 and a_b"
    )


@settings(max_examples=300, deadline=None)
@given(weighted(st.text(alphabet="Je\u0301नि \u2764\ufe0f.", max_size=12)))
def test_an_accent_or_vowel_sign_has_the_weight_of_its_letter(found: tuple[str, list[Weighted]]) -> None:
    caption, subjects = found
    factors = [p.factor for p in pieces(caption, subjects) for _ in p.text]
    lettered = False  # whether the marks that come now stand on a letter
    for at, character in enumerate(caption):
        if unicodedata.category(character).startswith("M"):
            assert not lettered or factors[at] == factors[at - 1]
        else:
            lettered = character.isalnum()


def test_words_end_behind_their_last_mark() -> None:
    caption = unicodedata.normalize("NFD", "José spoke to Zoë. नानी laughed.")
    zoe = caption.index("Zo")
    subjects = [Weighted(0, 4, 1.0), Weighted(zoe, zoe + 5, 0.5), Weighted(zoe + 6, zoe + 9, 1.0)]
    found = to_weighted(caption, subjects)
    assert unicodedata.normalize("NFC", found) == "(José:1.5) spoke to (Zoë.:1.25) (नानी:1.5) laughed."


def unsigned(found: list[Piece]) -> list[tuple[str, float]]:
    """The same, whatever the factors of signs, which Compel cannot weigh."""
    return [(c, 1.0 if c in "+-=" else factor) for c, factor in by_character(found)]


@settings(max_examples=150, deadline=None)
@given(weighted(CAPTIONS | st.text(alphabet="ab .-+=()\"\\,' 5:[]", max_size=16)))
def test_compel_itself_reads_the_caption_and_its_weights(actual: tuple[str, list[Weighted]]) -> None:
    caption, subjects = actual
    read = PromptParser().parse_conjunction(to_compel(caption, subjects))
    found = [Piece(f.text, round(f.weight, 3)) for prompt in read.prompts for f in prompt.children]
    assert unsigned(found) == unsigned(pieces(caption, subjects))


@settings(max_examples=600, deadline=None)
@given(weighted())
def test_compel_reads_back_to_the_same_weights_save_for_blanks(found: tuple[str, list[Weighted]]) -> None:
    caption, subjects = found
    assert unsigned(from_compel(to_compel(caption, subjects))) == unsigned(pieces(caption, subjects))


@settings(max_examples=100, deadline=None)
@given(weighted(SENTENCES))
def test_the_blanks_of_compel_change_none_of_clips_tokens(found: tuple[str, list[Weighted]]) -> None:
    caption, subjects = found
    read = "".join(p.text for p in from_compel(to_compel(caption, subjects)))
    assert clip_tokens.encode(read) == clip_tokens.encode(caption)


@settings(max_examples=300, deadline=None)
@given(weighted())
def test_the_prefix_names_each_subject_once_and_keeps_the_caption(found: tuple[str, list[Weighted]]) -> None:
    caption, subjects = found
    prefixed = to_prefixed(caption, subjects)
    assert prefixed.endswith(caption)
    head = prefixed[: len(prefixed) - len(caption)]
    texts = {caption[s.start : s.end].strip() for s in subjects} - {""}
    assert bool(head) == bool(texts) and all(text in head for text in texts)


def test_what_the_dialects_look_like() -> None:
    caption = 'Ann O\'Neill of the U.S. (left) and "Bo" wave.'
    subjects = [Weighted(0, 11, 1.0), Weighted(19, 23, 0.5)]
    assert to_compel(caption, subjects) == '(Ann O\'Neill)1.5 of the (U.S.)1.25 \\(left\\) and \\"Bo\\" wave.'
    assert to_weighted(caption, subjects) == '(Ann O\'Neill:1.5) of the (U.S.:1.25) \\(left\\) and "Bo" wave.'
    assert to_prefixed(caption, subjects) == f"A photo of Ann O'Neill, U.S. {caption}"
    assert to_prefixed("Rain.", []) == to_compel("Rain.", []) == to_weighted("Rain.", []) == "Rain."


def test_weights_beyond_their_range_count_as_its_ends() -> None:
    found = [factor_of(w) for w in (-3.0, 0.0, 0.5, 7.0, float("nan"), float("inf"))]
    assert found == [1.0, 1.0, 1.25, 1.5, 1.0, 1.5]


def test_a_token_that_touches_a_subject_has_its_weight() -> None:
    caption = "ann lee waves in the rain ."
    found = token_weights(caption, [Weighted(0, 7, 1.0), Weighted(21, 25, 0.4)], word_tokenizer(), length=9)
    assert found.weights == (1.5, 1.5, 1.0, 1.0, 1.0, 1.2, 1.0, 1.0, 1.0)
    assert found.beyond == ()


def test_subjects_beyond_the_cut_are_told() -> None:
    caption = "ann lee waves in the rain"
    subjects = [Weighted(0, 7, 1.0), Weighted(21, 25, 0.4), Weighted(4, 13, 0.3)]
    found = token_weights(caption, subjects, word_tokenizer(), length=2)
    assert found.weights == (1.5, 1.5) and found.beyond == (subjects[1], subjects[2])


def test_a_slow_tokenizer_is_an_error() -> None:
    with pytest.raises(ValueError, match="a fast tokenizer is needed"):
        token_weights("ann", [], object())


@settings(max_examples=150, deadline=None)
@given(weighted())
def test_clip_has_77_places_and_weights_stand_on_the_subjects(actual: tuple[str, list[Weighted]]) -> None:
    caption, subjects = actual
    places = clip_tokens.places(caption)
    assert len(places) == 77 and all(0 <= a <= b <= len(caption) for a, b in places)
    found = weights_of(caption, places, subjects)
    assert len(found.weights) == 77
    plain = {f for p in pieces(caption, subjects) for f in [p.factor]} | {1.0}
    assert set(found.weights) <= plain


def test_the_last_of_many_words_lies_beyond_clips_cut() -> None:
    caption = "one " * 100 + "Ann"
    found = weights_of(caption, clip_tokens.places(caption), [Weighted(400, 403, 1.0)])
    assert set(found.weights) == {1.0} and len(found.beyond) == 1
