from __future__ import annotations

import subprocess
import sys
import unicodedata
from itertools import pairwise

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.caption.check.clip_tokens import ROOM, count, encode, measure, vocabulary
from curation.caption.check.sentences import sentence_ends

IDS, MERGES = vocabulary()
RANKS = {pair: rank for rank, pair in enumerate(MERGES)}
PIECES = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE)


def _byte_names() -> dict[int, str]:
    plain = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    odd = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + n) for n, b in enumerate(odd)}


NAMES = _byte_names()


def reference(text: str) -> list[int]:
    """CLIP's tokenizer as its paper's code has it, the slow way: merge the best pair until none is left."""
    ids: list[int] = []
    text = " ".join(unicodedata.normalize("NFC", " ".join(text.split()).lower()).split())
    for piece in PIECES.findall(text):
        parts = [NAMES[b] for b in piece.encode()]
        parts[-1] += "</w>"
        while len(parts) > 1:
            ranked = [(RANKS.get((a, b), len(RANKS)), n) for n, (a, b) in enumerate(pairwise(parts))]
            best = min(ranked)[0]
            if best == len(RANKS):
                break
            first, second = MERGES[best]
            merged = []
            n = 0
            while n < len(parts):
                if n + 1 < len(parts) and (parts[n], parts[n + 1]) == (first, second):
                    merged.append(first + second)
                    n += 2
                else:
                    merged.append(parts[n])
                    n += 1
            parts = merged
        ids.extend(IDS[p] for p in parts)
    return ids


HARD = [
    "",
    "   ",
    "a photo of a cat",
    "A Red CUBE, and a 3.14159 m tall ball (50%)!!!",
    "it's, they're, we've, I'm, you'll, he'd, can't — rock 'n' roll",
    "IT'S LOUD. 'S 'LL",
    "non\u00a0breaking\u2003spaces\u2028and\x1cseparators\x85here",
    "café cafe\u0301 naïve Ångström ﬁ",
    "ΟΔΥΣΣΕΥΣ Σ ς",
    "İstanbul ı ſ 'ſ",
    "日本語のテキスト、中文。한국어 текст عربى हिन्दी",
    "👩‍👩‍👧‍👦 🏳️‍🌈 emoji 🎨🎨🎨",
    "<|startoftext|> and <|endoftext|> are text",
    "http://example.org/a_b-c.jpg?x=1&amp;y=2",
    "²³½Ⅷ ①",
    "\x00\x01\x7f",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
]


@pytest.mark.parametrize("text", HARD)
def test_tokens_equal_the_plain_reference(text: str) -> None:
    assert encode(text) == reference(text)
    assert count(text) == len(reference(text))


# Which code points are letters differs between the libraries' Unicode versions where Python's knows none yet.
ASSIGNED = st.characters(exclude_categories=["Cs", "Cn"])


@settings(max_examples=400, deadline=None)
@given(st.text(ASSIGNED, max_size=60))
@example("'ſ\u0345")
def test_any_text_has_the_reference_s_tokens(text: str) -> None:
    assert encode(text) == reference(text)


def test_known_ids_are_those_of_the_published_model() -> None:
    # "a photo of a cat" as OpenAI's ViT-B/32 reads it.
    assert encode("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert (IDS["<|startoftext|>"], IDS["<|endoftext|>"], len(IDS)) == (49406, 49407, 49408)


SENTENCES = st.lists(
    st.text(alphabet="abc ABC'.!?\"\n U.S.éΣ1,", min_size=1, max_size=40).map(lambda t: t + "."), min_size=0, max_size=9
)


@settings(max_examples=300, deadline=None)
@given(SENTENCES, st.integers(0, 60))
def test_the_end_is_the_last_that_fits(parts: list[str], limit: int) -> None:
    text = " ".join(parts)
    fitting = [end for end in sentence_ends(text) if len(reference(text[:end])) <= limit]
    assert measure(text, limit)[1] == (max(fitting) if fitting else None)
    assert measure(text, limit)[0] == len(reference(text))


def test_the_prefix_fits_into_clip_and_the_next_sentence_does_not() -> None:
    sentence = "A small red cube stands left of a large blue ball on a wooden table."
    each = count(sentence)
    text = " ".join([sentence] * 9)
    end = measure(text)[1]
    assert end is not None
    assert text[:end].count(".") == ROOM // each
    assert count(text[:end]) <= ROOM < count(text[:end]) + each


def test_no_full_sentence_that_fits_is_none() -> None:
    assert measure("a red cube without an end")[1] is None
    assert measure("word " * 80 + "end. Short one.")[1] is None
    assert measure("")[1] is None


def test_lone_surrogates_are_counted_not_raised() -> None:
    assert count("a \ud800 b") == len(encode("a \ud800 b")) > 2


def test_a_hundred_kilobytes_without_a_space_are_counted() -> None:
    assert count("ab" * 50_000) > 1000


def test_the_vocabulary_is_read_without_importing_open_clip() -> None:
    code = (
        "import sys; from curation.caption.check.clip_tokens import count; "
        "count('a'); print('open_clip' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
