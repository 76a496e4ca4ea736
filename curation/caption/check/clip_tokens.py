"""CLIP's byte-pair tokens, counted without a hub and without importing open_clip.

The vocabulary is the file of 16e6 merges that OpenAI published with CLIP (Radford et al. 2021); it lies
in the wheel of open_clip_torch. Of CLIP's text cleaning, white space and case are followed, and Unicode
is composed (NFC); mojibake and HTML entities are left as they stand, so that every index refers to the
text that is stored.
"""

from __future__ import annotations

import gzip
import importlib.util
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as InTurn

from curation.caption.check.sentences import sentence_ends
from curation.caption.languages import profile
from curation.caption.languages.language import Language
from curation.core.errors import UsageError

_ENGLISH = profile("en")
CONTEXT = 77  # tokens that CLIP's text tower takes, start and end included
ROOM = CONTEXT - 2

_FILE = "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 49152 - 256 - 2  # of the file's merges, those that CLIP's vocabulary of 49,408 has room for
_PIECES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def encode(text: str) -> list[int]:
    """The ids of a text's CLIP tokens, without start and end."""
    return _tokenizer().encode(_clean(text)).ids


def count(text: str) -> int:
    """Number of a text's CLIP tokens, without start and end."""
    # No piece of CLIP's pattern reaches across white space, and captions repeat their words.
    return sum(map(_tokens_of, text.split()))


@lru_cache(maxsize=1 << 16)
def _tokens_of(word: str) -> int:
    return len(encode(word))


def measure(text: str, limit: int = ROOM, language: Language = _ENGLISH) -> tuple[int, int | None]:
    """``count(text)``, and the characters up to the end of the last full sentence that fits into ``limit`` tokens.

    The second is None when there is no full sentence, or when already the first does not fit.
    """
    ends = sentence_ends(text, language)
    starts = [0, *ends]
    # Sentences part at white space, as tokens do.
    counts = [count(text[a:b]) for a, b in zip(starts, [*ends, len(text)], strict=True)]
    fits: int | None = None
    total = 0
    for end, tokens in zip(ends, counts, strict=False):
        total += tokens
        if total > limit:
            break
        fits = end
    return sum(counts), fits


def places(text: str) -> list[tuple[int, int]]:
    """Where each of CLIP's 77 tokens stands in the text, in characters; start, end and padding at (0, 0).

    The text is tokenized word by word, since composing and lowering it would move later characters.
    """
    found: list[tuple[int, int]] = []
    at = 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        cleaned = _clean(word)
        exact = len(cleaned) == len(word)
        for first, last in _tokenizer().encode(cleaned).offsets:
            found.append((start + first, start + last) if exact else (start, at))
        if len(found) >= ROOM:
            break
    found = found[:ROOM]
    return [(0, 0), *found, *[(0, 0)] * (CONTEXT - 1 - len(found))]


def is_word(word: str) -> bool:
    """Whether a lower-case word is a token by itself, as words are that stand under very many pictures."""
    return f"{word}</w>" in _words()


@cache
def _words() -> frozenset[str]:
    return frozenset(vocabulary()[0])


def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """CLIP's tokens with their ids, start and end included, and its merges in order.

    Raises ``UsageError`` when open_clip_torch is not installed.
    """
    spec = importlib.util.find_spec("open_clip")
    folders = (spec.submodule_search_locations if spec is not None else None) or []
    file = next((f for f in (Path(folder) / _FILE for folder in folders) if f.is_file()), None)
    if file is None:
        raise UsageError(f"CLIP's vocabulary {_FILE} was not found: install open_clip_torch, whose wheel holds it")
    lines = gzip.decompress(file.read_bytes()).decode("utf-8").split("\n")[1 : _MERGES + 1]
    merges = [(first, second) for first, second in (line.split() for line in lines)]
    letters = _byte_letters()
    tokens = [*letters, *(x + "</w>" for x in letters), *(a + b for a, b in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}, merges


@cache
def _tokenizer() -> Tokenizer:
    ids, merges = vocabulary()
    # The names of start and end are text like any other here: they must not be read as tokens.
    tokenizer = Tokenizer(BPE(vocab=ids, merges=merges, end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = InTurn(
        [
            Split(Regex(_PIECES), behavior="removed", invert=True),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def _clean(text: str) -> str:
    text = unicodedata.normalize("NFC", " ".join(text.split()).lower())
    # Without regard to case this combining mark is an iota to CLIP's pattern, and matches none of its parts.
    text = text.replace("\u0345", " ")
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8
        text = text.encode("utf-8", "replace").decode()
    return text


def _byte_letters() -> list[str]:
    """How CLIP's vocabulary file writes the 256 bytes: printable ones as themselves, the rest from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = len(set(range(256)) - set(printable))
    return [chr(b) for b in printable] + [chr(0x100 + n) for n in range(others)]
