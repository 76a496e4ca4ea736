"""The embedded recogniser: spaCy's tokens, maintained gazetteers, and how names are written.

A name is a run of capitalised words. Gazetteers and the words around it say where it starts and ends (a
title, a nationality, a possessive) and what it is. Dates are found by their form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from curation.news import gazetteers as known
from curation.news.dates import find_dates
from curation.news.labels import label_of, split_run
from curation.news.spans import Span
from curation.news.tokens import Word, words_of

VERSION = 2  # raise it when the same captions get other entities

_ENDLESS = re.compile(r"\S{150,}")
_TITLE = re.compile(r"[“\"‘]([^“”\"‘’]{2,60}?(?:['’][^“”\"]{1,30}?)?)[,.]?[”\"’](?!\w)")


class RuleRecogniser:
    """Finds the entities of captions; opened once a worker. A score it has none."""

    def __init__(self) -> None:
        import spacy

        self._nlp: Any = spacy.blank("en")
        for gazetteer in (known.countries, known.cities, known.given_names):
            gazetteer()

    @staticmethod
    def revision() -> str:
        """Changes when the answers may."""
        return f"{VERSION}+{known.version()}"

    def recognise(self, captions: Sequence[str]) -> Iterator[list[Span]]:
        """The entities of each caption, in the order of the text."""
        for caption in captions:
            yield self.entities(caption)

    def entities(self, caption: str) -> list[Span]:
        """The entities of one caption; spans do not overlap."""
        text = _spoken(caption)
        # spaCy's tokenizer takes the square of a word's length; what is that long names nobody.
        text = _ENDLESS.sub(lambda found: " " * len(found[0]), text)
        words = words_of(self._nlp.make_doc(text), text)
        taken = [*find_dates(text), *_titles(text)]
        free = [w for w in words if not any(s.start <= w.start < s.end for s in taken)]
        names = [span for run in _runs(free, text) for span in _named(run, free, text)]
        return sorted([*taken, *names], key=lambda s: s.start)


def _spoken(caption: str) -> str:
    """A caption in capitals as one would write it: with capitals for what is no ordinary word."""
    letters = [c for c in caption if c.isalpha()]
    if len(letters) < 8 or sum(c.isupper() for c in letters) < 0.9 * len(letters):
        return caption
    plain = known.ordinary() - known.roles()

    def spoken(match: re.Match[str]) -> str:
        word = match.group()
        low = word.lower()
        return low if low in plain or low in ("wins", "leaves") else word[0] + low[1:]

    told = re.sub(r"[^\W\d_]+(?:['’][^\W\d_]+)?", spoken, caption)
    return told if len(told) == len(caption) else caption


def _titles(text: str) -> Iterator[Span]:
    """What stands in quotes and is written like a title; nicknames between two names are not."""
    for match in _TITLE.finditer(text):
        inner = match.group(1)
        big = [w for w in re.findall(r"[^\W\d_]+", inner) if w.lower() not in known.ordinary() or w[0].isupper()]
        between = text[: match.start()].rstrip()[-1:].isalpha() and re.match(r"\s[A-Z]", text[match.end() :])
        nickname = between and re.search(r"[A-Z][\w.'’-]*\s$", text[: match.start()])
        if inner[0].isupper() and not nickname and big and sum(w[0].isupper() for w in big) >= 0.6 * len(big):
            yield Span(match.start(1), match.end(1), "WORK_OF_ART")


def _runs(words: Sequence[Word], text: str) -> Iterator[list[Word]]:
    """Neighbouring words that may form a name together."""
    at = 0
    while at < len(words):
        if not words[at].capital:
            at += 1
            continue
        run = [words[at]]
        at += 1
        while more := _joined(run, words, at, text):
            run += words[at : at + more]
            at += more
        yield run


def _joined(run: list[Word], words: Sequence[Word], at: int, text: str) -> int:
    """How many of the next words go on with the run."""
    if at >= len(words):
        return 0
    last, word = run[-1], words[at]
    gap = text[last.end : word.start]
    after = words[at + 1] if at + 1 < len(words) else None
    if gap not in (" ", ""):
        return 0
    if word.capital and gap == " ":
        return 0 if word.opens else 1
    if word.text.isdigit() and gap == " " and len(word.text) < 4 and last.low not in known.roles():
        return 1
    if after is None or not after.capital or after.opens:
        return _nickname(words, at) if word.text in "\"“'‘" else 0
    beside = text[word.end : after.start] == " "
    if word.low in known.words("particles") and beside and gap == " ":
        return 2
    if word.text == "&" and beside:
        return 2
    if word.low in ("of", "for") and beside and _governs(last, run[0]):
        return 2
    if word.text in ("'s", "’s", "'", "’") and gap == "" and beside and _owns(words, at + 1, text):
        return 2
    return _nickname(words, at) if word.text in "\"“'‘" else 0


def _governs(last: Word, first: Word) -> bool:
    """Whether a name goes on behind "of": Bank of, University of, but not Mayor of."""
    kinds = ("heads_of", "organisations", "places", "landscapes", "events")
    return any(last.low in known.words(kind) for kind in kinds) or first.low in ("bank", "house", "institute")


def _owns(words: Sequence[Word], at: int, text: str) -> bool:
    """Whether what a possessive owns makes one name with it: King's Cross, Rail Drivers' Union."""
    end = at
    while end + 1 < len(words) and words[end + 1].capital and text[words[end].end : words[end + 1].start] == " ":
        end += 1
    kinds = ("organisations", "places", "landscapes", "owned")
    head = any(words[end].low in known.words(kind) for kind in kinds)
    return end - at < 2 and head and words[at].text not in known.given_names()


def _nickname(words: Sequence[Word], at: int) -> int:
    """The words of a nickname in quotes with the name behind it: "Tad" Lyle."""
    for end in range(at + 2, min(at + 5, len(words) - 1)):
        if words[end].text in "\"”'’":
            inside = words[at + 1 : end]
            return end - at + 2 if all(w.capital for w in inside) and words[end + 1].capital else 0
    return 0


def _named(run: list[Word], words: Sequence[Word], text: str) -> Iterator[Span]:
    place = words.index(run[0])
    before = words[place - 1] if place else None
    behind = words[place + len(run)] if place + len(run) < len(words) else None
    for part in split_run(run, before, behind):
        at = words.index(part[0])
        left = words[at - 1] if at else None
        label = label_of(part, left, behind if part[-1] is run[-1] else None)
        if label is not None:
            yield Span(part[0].start, part[-1].end, label)
