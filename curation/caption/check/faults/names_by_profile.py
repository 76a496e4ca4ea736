"""Names of people and places in the languages that have a profile, other than English.

Where a capital tells a name, every capital inside a sentence is one. Where nouns have capitals too, or nothing has, a
name is told by what stands beside it ("namens", "Frau") or by a given name that is common in the language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from curation.caption.check.faults.known_names import cities, given_names, plain_tokens, towns, well_known
from curation.caption.check.sentences import sentences
from curation.caption.check.written import without_quotes
from curation.caption.languages.language import Language

_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_MARKED = re.compile(r"[^\s\d.,;:!?()\[\]{}\"“”«»„…।،؛؟—–、。，「」『』・]+")
_BLANK = re.compile(r"\s*")
_GLYPHS = re.compile(r"\s*([^\W\d_的在是和与のはがをに]{2,6})")
_GLYPHS_BEFORE = re.compile(r"([^\W\d_的在是和与のはがをに]{2,6})\Z")
_MOST = 4  # words of a name
_BEFORE = 60  # characters in front of a phrase in which a name is looked for


def find_names(text: str, alt_text: str, allowed: Iterable[str], language: Language) -> tuple[list[str], list[str]]:
    """The names in a caption that stand neither in the alt text nor among the allowed ones, and the invented of them.

    Invented are people and places that nobody knows by their looks.
    """
    unquoted = without_quotes(text)
    excused = frozenset(plain_tokens(" ".join([alt_text[:20_000], *allowed])))
    found = [*_named(unquoted, language), *_with_given_names(unquoted, language), *_in_places(unquoted, language)]
    others = _capitals(unquoted, language) if language.capitals == "names" else []

    def unknown(names: list[str]) -> list[str]:
        return [n for n in dict.fromkeys(names) if n and not set(plain_tokens(n)) & excused and n not in alt_text]

    return unknown([*found, *others]), [n for n in unknown(found) if not _known(n)]


def _known(name: str) -> bool:
    whole = " ".join(plain_tokens(name))
    return whole in well_known() or whole in cities() or whole in towns()


def _named(text: str, language: Language) -> list[str]:
    """Names beside a phrase such as "namens", and behind a title where capitals show how far the name goes."""
    found = [
        _name_behind(text, cue.end(), language) or _name_before(text, cue.start(), language)
        for cue in language.pattern("named").finditer(text)
    ]
    if language.capitals != "none":
        for word in _WORD.finditer(text):
            if word[0].lower() in language.titles:
                stop = text[word.end() : word.end() + 1] == "."
                found.append(_capitals_from(text, word.end() + stop))
    return found


def _in_places(text: str, language: Language) -> list[str]:
    if language.capitals == "none":
        return []
    return [_capitals_from(text, cue.end()) for cue in language.pattern("places").finditer(text)]


def _name_behind(text: str, start: int, language: Language) -> str:
    if language.capitals != "none":
        return _capitals_from(text, start)
    if language.verb_last:
        return ""
    if language.unit == "characters":
        found = _GLYPHS.match(text, start)
        return "" if found is None else found[1]
    following = _MARKED.search(text, start, start + _BEFORE)
    return "" if following is None else following[0]


def _name_before(text: str, end: int, language: Language) -> str:
    """The name in front of a phrase, in languages whose verbs stand last: "Mehmet adlı"."""
    before = text[max(0, end - _BEFORE) : end].rstrip()
    if language.unit == "characters":
        found = _GLYPHS_BEFORE.search(before)
        return "" if found is None else found[1]
    if language.capitals == "none":
        parts = [part[0] for part in _MARKED.finditer(before)]
        return parts[-1] if parts else ""
    taken: list[str] = []
    for word in reversed(_WORD.findall(before)[-_MOST:]):
        if not word[0].isupper():
            break
        taken.insert(0, word)
    return " ".join(taken)


def _capitals_from(text: str, start: int) -> str:
    """Up to ``_MOST`` words with a capital, with nothing but blanks between them."""
    at = last = start
    for _ in range(_MOST):
        blank = _BLANK.match(text, at)
        word = _WORD.match(text, blank.end() if blank is not None else at)
        if word is None or not word[0][0].isupper():
            break
        at = last = word.end()
    return text[start:last].strip()


def _with_given_names(text: str, language: Language) -> list[str]:
    """A given name that is common in the language, followed by another word with a capital."""
    common = _given_names(language)
    found = []
    for word in _WORD.finditer(text) if common else ():
        if word[0][0].isupper() and plain_tokens(word[0])[:1] and plain_tokens(word[0])[0] in common:
            name = _capitals_from(text, word.start())
            if " " in name:
                found.append(name)
    return found


@cache
def _given_names(language: Language) -> frozenset[str]:
    found = frozenset(name for locale in language.given_names for name in given_names(locale))
    return frozenset(n for n in found if len(n) > 2 and n not in language.function_words) - cities()


def _capitals(text: str, language: Language) -> list[str]:
    found = []
    for start, end in sentences(text, language):
        at = start
        for number, word in enumerate(_WORD.finditer(text, start, end)):
            if number and word.start() >= at and word[0][0].isupper() and len(word[0]) > 1:
                name = _capitals_from(text, word.start())
                found.append(name)
                at = word.start() + len(name)
    return found
