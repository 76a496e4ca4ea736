"""A caption that does not come to an end: it stops in the middle, or repeats itself."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from curation.caption.check.counts import lower_words
from curation.caption.check.sentences import sentence_ends, sentences
from curation.caption.check.wordlists import words
from curation.caption.languages import profile
from curation.caption.languages.language import Language

_ENGLISH = profile("en")

_PHRASE = 10  # a kind whose captions may have fewer words than this may be a phrase without a full stop
_LAST_WORD = re.compile(r"(?<![^\W\d_])([^\W\d_]++)\W*+\Z")
_OPEN = re.compile(r"(?:[,;:&+/\-–—(\[“‘«]|\b[^\W\d_]\.?)\s*\Z")
_OPEN_ANYWHERE = re.compile(r"[,;:&+/\-–—(\[“‘«、，：；،؛「『（]\s*\Z")


def is_cut(text: str, finish: str | None, fewest_words: int, language: Language = _ENGLISH) -> bool:
    """Whether the text was cut off: by the token limit, or in the middle of a sentence.

    Where the kind allows few words ("a red cube on a table") a phrase is whole as long as it does not
    dangle ("a red cube on a") and the model did not run into its limit.
    """
    if not text.strip():
        return finish == "length"
    if finish == "length":
        return True
    ends = sentence_ends(text, language)
    if ends and not text[ends[-1] :].strip():
        return False
    if ends or fewest_words >= _PHRASE:
        return True
    if language is not _ENGLISH:
        return _dangles(text, language)
    last = _LAST_WORD.search(text)
    return bool(_OPEN.search(text)) or (last is not None and last[1].lower() in words("dangling"))


def _dangles(text: str, language: Language) -> bool:
    if _OPEN_ANYWHERE.search(text):
        return True
    spoken = text.strip().lower()
    if language.unit == "characters":
        return any(spoken.endswith(word) for word in language.dangling)
    parts = spoken.split()
    return bool(parts) and parts[-1].strip("\"'“”«»’") in language.dangling


_WORDS = re.compile(r"\w+(?:['’\-]\w+)*")
# Where words are not separated, each character counts as one; elsewhere vowel signs belong to their words.
_CHARACTERS = re.compile(r"[A-Za-z0-9]+|[^\W_]")
_MARKED = re.compile(r"[^\s.,;:!?()\[\]{}<>\"“”«»„…।॥،؛؟—–]+")
_RUN = re.compile(r"([^\W\d_])\1{5,}|([^\w\s])(?:\2{7}|(?: \2){4})")
_RUN_OF_PARTS = re.compile(r"(\S{2,10}?)\1{5,}")
_LONG_TOKEN = 12  # characters of the shortest token that such a run can be
_LONGEST = 40  # words of a period that is looked for
_LONG = 6  # words of a period that are a loop when they come but once again
_ACROSS = 20  # words that must come again where the repeat runs over the end of a sentence
_NGRAM = 4
_FEWEST_WORDS = 40  # below that the share of repeated n-grams means little
_MOST_REPEATED = 0.5  # share of 4-grams that occurred before; clean lists of similar objects stay below 0.4


@dataclass(frozen=True, slots=True)
class Loop:
    """``start``: index in the text from which nothing new is said; None when the repeats are scattered."""

    start: int | None
    passage: str


def find_loop(text: str, language: Language = _ENGLISH) -> Loop | None:
    """The earliest loop. "A red cube and a red ball", "row after row", "very, very tall" are none."""
    measure = _measure(text, language)
    run = _letter_run(text)
    spoken = lower_words(measure.word, text)
    # Whatever comes again too often has three words in a row that come again; most captions have none.
    again = _again(spoken)
    if not again:
        return run
    same = _same_sentence(text, language, measure) if _may_be_sentences(again, spoken, measure) else None
    found = [loop for loop in (run, _period(text, language, measure, spoken, again), same) if loop]
    return min(found, key=lambda loop: loop.start or 0) if found else _scattered(spoken, measure)


def _again(spoken: Sequence[str]) -> list[int]:
    """Where three words in a row stand that stood before."""
    seen: dict[tuple[str, str, str], int] = {}
    threes = zip(spoken, spoken[1:], spoken[2:], strict=False)
    return [at for at, three in enumerate(threes) if seen.setdefault(three, at) != at]


def _may_be_sentences(again: Sequence[int], spoken: Sequence[str], measure: _Measure) -> bool:
    """Whether a whole sentence can be among the words that come again: five words once, or three of them twice."""
    if measure.word is _MARKED:  # which goes on across the full stop of some scripts
        return True
    five = any(later - at == 2 for at, later in zip(again, again[2:], strict=False))
    return five or len({tuple(spoken[at : at + 3]) for at in again}) < len(again)


@dataclass(frozen=True, slots=True)
class _Measure:
    """What counts as a word, and how many of them say as much as one English word."""

    word: re.Pattern[str]
    scale: int = 1

    def longer(self, words: int) -> int:
        return words * self.scale


def _measure(text: str, language: Language) -> _Measure:
    if language.unit == "characters":
        return _Measure(_CHARACTERS, 2)
    if text.isascii():
        return _Measure(_WORDS)
    return _Measure(_MARKED if any(unicodedata.category(c) in ("Mn", "Mc") for c in set(text)) else _WORDS)


def _letter_run(text: str) -> Loop | None:
    long = any(_RUN_OF_PARTS.search(token) for token in text.split() if len(token) >= _LONG_TOKEN)
    close = text.replace(" ", "")
    again = any(char * 5 in close for char in set(close))  # as in each run, also of signs with spaces between
    run = (_RUN.search(text) if again else None) or (_RUN_OF_PARTS.search(text) if long else None)
    return None if run is None else Loop(run.start(), text[run.start() : run.end()][:60])


def _period(
    text: str, language: Language, measure: _Measure, spoken: Sequence[str], again: Sequence[int]
) -> Loop | None:
    """Words that follow each other again and again: often for a short period, twice for a long one.

    ``spoken`` are the words in lower case, and ``again`` is where three of them come again: fewer are never enough.
    """
    tokens: list[re.Match[str]] = []
    longest = measure.longer(_LONGEST)
    for at in again:
        for before in range(at - 1, max(at - longest, 0) - 1, -1):
            if spoken[before] != spoken[at]:
                continue
            period = at - before
            length = _agreement(spoken, before, at)
            if length < _needed(period, measure):
                continue
            tokens = tokens or list(measure.word.finditer(text))
            passage = text[tokens[before].start() : tokens[at + length - 1].end()]
            # "The tree is behind the house. The dog is behind the house." is no loop, though six words come again.
            short = period < measure.longer(_LONG)
            if length >= measure.longer(_ACROSS) or short or not sentence_ends(passage, language):
                return Loop(tokens[at].start(), passage)
    return None


def _agreement(spoken: Sequence[str], a: int, b: int) -> int:
    """How many words from ``b`` on equal those from ``a`` on."""
    length = 0
    while b + length < len(spoken) and spoken[a + length] == spoken[b + length]:
        length += 1
    return length


def _needed(period: int, measure: _Measure) -> int:
    """Words that must come again, right behind their first time: 3 times one word, twice 2 to 5, once 6 and more."""
    if period <= measure.scale:
        return period * (3 if measure.scale == 1 else 4)
    return period * 2 if period < measure.longer(_LONG) else period


def _same_sentence(text: str, language: Language, measure: _Measure) -> Loop | None:
    seen: dict[tuple[str, ...], int] = {}
    for start, end in sentences(text, language):
        spoken = tuple(w.lower() for w in measure.word.findall(text, start, end))
        if len(spoken) < measure.longer(3):
            continue
        seen[spoken] = seen.get(spoken, 0) + 1
        if seen[spoken] >= (2 if len(spoken) >= measure.longer(5) else 3):
            return Loop(start, text[start:end])
    return None


def _scattered(spoken: list[str], measure: _Measure) -> Loop | None:
    if len(spoken) < measure.longer(_FEWEST_WORDS):
        return None
    size = measure.longer(_NGRAM)
    # Every different word but the last few begins an n-gram of its own.
    if len(set(spoken)) - (size - 1) >= (1 - _MOST_REPEATED) * (len(spoken) - size + 1):
        return None
    grams = Counter(tuple(spoken[n : n + size]) for n in range(len(spoken) - size + 1))
    repeated = sum(c - 1 for c in grams.values()) / sum(grams.values())
    if repeated <= _MOST_REPEATED:
        return None
    gram, times = grams.most_common(1)[0]
    return Loop(None, f"{' '.join(gram)} ×{times}, {repeated:.0%} of {size}-grams repeat")
