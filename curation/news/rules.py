"""The embedded recogniser: spaCy's tokens, maintained lists of names, and how names are written.

A name is a run of capitalised words. The lists and the words around it say where it starts and ends (behind a
title or an employer, in front of a possessive) and what it is. Dates, roads and quoted titles are found by their
form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from curation.news import gazetteers as known
from curation.news.gazetteers import Kind
from curation.news.labels import Scene, is_given, label_of
from curation.news.runs import names_of
from curation.news.spans import MOST_WORDS, Span, plausible
from curation.news.tokens import Word, words_of

VERSION = 3  # raise it when the same captions get other entities

_ENDLESS = re.compile(r"\S{150,}")
_TITLE = re.compile(r"[“\"‘]([^“”\"‘’]{2,60}?(?:['’][^“”\"]{1,30}?)?)[,.]?[”\"’](?!\w)")
_LETTERS = re.compile(r"[^\W\d_]+")
_WORDS = re.compile(r"\S+")
_SPOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_ROAD = re.compile(
    r"\b(?:\d{1,5} )?(?:(?:North|South|East|West) )?(?:[A-Z]|\d{1,3}(?:st|nd|rd|th)) (?:Street|Avenue|Road)"
    r"(?: (?:NW|NE|SW|SE))?\b|\b\d{1,4} (?:[A-Z][a-z]+ ){1,2}(?:Street|Avenue|Road|Lane|Drive|Place)\b"
    r"|\b[A-Z][a-z]+ (?:Street|Avenue|Road) (?:NW|NE|SW|SE)\b"
    r"|(?<=\bthe )[ABM]\d{1,4}\b|\bI-\d{1,3}\b|\bNo\. \d{1,2}(?= train)|\bP\.S\. \d{1,3}\b"
)
_LEADING = frozenset(["great", "new", "north", "south", "west", "east", "united"])  # first words of places' names


class RuleRecogniser:
    """Finds the entities of captions; opened once a worker. It gives no scores."""

    def __init__(self) -> None:
        import spacy

        self._nlp: Any = spacy.blank("en")
        for table in (known.kinds, known.names, known.given_names, known.surnames, known.towns):
            table()

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
        text, strict = _spoken(caption)
        # spaCy's tokenizer is quadratic in a word's length; words that long are no names.
        text = _ENDLESS.sub(lambda found: " " * len(found[0]), text)
        taken = _apart([*_titles(text), *_roads(text), *find_dates(text)])
        words = _outside(words_of(self._nlp.make_doc(text), text), taken)
        sport = any(w.kind & Kind.SPORT and not w.capital for w in words)
        scene = Scene(words, text, sport, strict)
        found = [*taken, *_names(scene)]
        return list(plausible(text, sorted(found, key=lambda s: s.start)))


def _names(scene: Scene) -> Iterator[Span]:
    """The names of a caption with their labels; a name without any evidence is what the one before it in a list is."""
    words, left = scene.words, (0, "")
    for start, end in names_of(scene):
        label, sure = label_of(scene, start, end)
        if label is None:
            continue
        if not sure and left[1] in ("GPE", "ORG") and _listed(scene, left[0], start) and not is_given(words[start]):
            label = left[1]
        left = end, label
        yield Span(words[start].start, words[end - 1].end, label)


def _listed(scene: Scene, end: int, start: int) -> bool:
    """Whether only a comma or "and" stands between two names."""
    between = [w.low for w in scene.words[end:start]]
    return between in ([","], ["and"], [",", "and"])


def without_titles(caption: str, span: Span) -> Span:
    """A person's span without the titles, offices and employers in front of the name: Tesla CEO | Elon Musk."""
    words = list(_WORDS.finditer(caption, span.start, span.end))
    kinds = known.kinds()
    for number in range(len(words) - 2, -1, -1):
        low, behind = words[number].group().lower().rstrip("."), words[number + 1].group()
        office = kinds.get(low, 0) & Kind.ROLE and low not in known.words("no_roles")
        # Not in the middle of a name: Martin Luther King Jr.
        inside = number > 0 and words[number - 1].group() in known.given_names()
        if office and not inside and behind[0].isupper():
            return replace(span, start=words[number + 1].start())
    return span


def _roads(text: str) -> Iterator[Span]:
    """Streets and roads with a number or a single letter, and what else has no name but a number."""
    for match in _ROAD.finditer(text):
        yield Span(match.start(), match.end(), "FAC")


def _apart(spans: list[Span]) -> list[Span]:
    """Spans in order; of two that overlap, the one that starts first, or else is longer."""
    if len(spans) < 2:
        return spans
    found: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if not found or span.start >= found[-1].end:
            found.append(span)
    return found


def _outside(words: Sequence[Word], taken: Sequence[Span]) -> list[Word]:
    """The words that start in none of the spans, both in the order of the text."""
    if not taken:
        return list(words)
    found, at = [], 0
    for word in words:
        while at < len(taken) and taken[at].end <= word.start:
            at += 1
        if at == len(taken) or word.start < taken[at].start:
            found.append(word)
    return found


def _spoken(caption: str) -> tuple[str, bool]:
    """A caption in capitals, or with one on every word, with them only on what is no ordinary word; and whether so."""
    letters, capitals = sum(map(str.isalpha, caption)), sum(map(str.isupper, caption))
    if capitals < 0.5 * (caption.count(" ") + 1):
        return caption, False
    shouted = letters >= 8 and capitals >= 0.9 * letters
    if not shouted and not _headline(caption):
        return caption, False
    kinds = known.kinds()
    named = False

    def spoken(match: re.Match[str]) -> str:
        nonlocal named
        word = match.group()
        low = word.lower()
        kind = kinds.get(low, 0)
        plain = (kind & Kind.ORDINARY and not kind & Kind.ROLE and low not in _LEADING) or low in ("wins", "leaves")
        if plain and kind & Kind.HEAD and named:
            plain = False  # Downing Street
        named = not plain
        return low if plain else word[0] + low[1:] if shouted else word

    text = _SPOKEN.sub(spoken, caption)
    return (text if len(text) == len(caption) else caption), True


def _headline(caption: str) -> bool:
    """Whether nearly every word has a capital, ordinary ones too."""
    words = _LETTERS.findall(caption)
    if len(words) < 5:
        return False
    kinds, function = known.kinds(), known.words("function")
    long = [w for w in words[1:] if len(w) > 3]
    if sum(w[0].isupper() for w in long) < 0.9 * len(long):
        return False
    plain = sum(w[0].isupper() and kinds.get(w.lower(), 0) & Kind.ORDINARY != 0 for w in long)
    small = any(w.istitle() and w != "The" and w.lower() in function for w in words[1:])
    return small or plain >= max(3, 0.4 * len(long))


def _titles(text: str) -> Iterator[Span]:
    """What stands in quotes and is written like a title; nicknames between two names are not."""
    for match in _TITLE.finditer(text):
        inner = match.group(1)
        kinds = known.kinds()
        big = [w for w in _LETTERS.findall(inner) if w[0].isupper() or not kinds.get(w.lower(), 0) & Kind.ORDINARY]
        if not inner[0].isupper() or not big or len(inner.split()) > MOST_WORDS:
            continue
        front = text[max(0, match.start() - 40) : match.start()]
        nickname = re.search(r"[A-Z][\w.'’-]*\s$", front) and re.match(r"\s[A-Z]", text[match.end() : match.end() + 2])
        if not nickname and sum(w[0].isupper() for w in big) >= 0.6 * len(big):
            yield Span(match.start(1), match.end(1), "WORK_OF_ART")


# Dates as captions spell them: weekdays, days, months, years, decades and a few feasts. Relative words are none.

_DAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_LONG = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_SHORT = r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\."
_MONTH = rf"(?:{_LONG}|{_SHORT})"
_YEAR = r"(?:1[5-9]|20)\d\d"
_NUMBER = r"(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?"
_FEAST = (
    r"(?:Christmas(?: (?:Day|Eve))?|New Year['’]s (?:Day|Eve)|Boxing Day|Black Friday|Election Day|"
    r"Thanksgiving(?: Day)?|"
    r"Memorial Day|Labor Day|Independence Day|Valentine['’]s Day|Good Friday|Easter(?: (?:Sunday|Monday))?|Halloween)"
)
_DATE = re.compile(
    rf"\b(?:{_DAY},? )?(?:{_MONTH} {_NUMBER}(?:,? {_YEAR})?|{_NUMBER} {_MONTH}(?:,? {_YEAR})?|{_MONTH},? {_YEAR})(?!\w)"
    rf"|\b{_DAY}s?\b|\b{_FEAST}\b|\b{_YEAR}s\b|(?<![\d$£€#.,-]){_YEAR}(?![\w%])(?!,\d)"
    rf"|\b(?:January|February|April|June|July|August|September|October|November|December)\b"
    r"|(?<=\b[Ii]n )(?:March|May)\b"
    rf"|\b\d{{1,2}}/\d{{1,2}}/(?:{_YEAR}|\d\d)\b"
)
_LINKED = re.compile(r"['’-]\w")


def find_dates(text: str) -> list[Span]:
    """The dates of a text, in order."""
    found = []
    for match in _DATE.finditer(text):
        behind = text[match.end() : match.end() + 2]
        before = text[match.start() - 1 : match.start()]
        # "May's", "2015-16" and names such as "June-Ann" are something else; "Friday's" is a date.
        if before == "-" or (_LINKED.match(behind) and behind[0] == "-"):
            continue
        if match.group() in ("April", "June", "May", "August") and _named(text, match):
            continue
        found.append(Span(match.start(), match.end(), "DATE"))
    return found


def _named(text: str, match: re.Match[str]) -> bool:
    """A month's name beside a capitalised word is a person's, unless a preposition stands in front."""
    front = text[max(0, match.start() - 40) : match.start()]
    if re.search(r"\b(?:in|since|until|of|from|by|early|late|mid|last|next|on|a|an)\s$", front, re.I):
        return False
    return bool(re.match(r" [A-Z][a-z]", text[match.end() : match.end() + 3]) or re.search(r"[A-Z][a-z]+ $", front))
