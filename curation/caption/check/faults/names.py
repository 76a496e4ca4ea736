"""Names that a caption cannot know from the picture.

A name is known by its capital letter. Inside a sentence that is plain; at its start, where every word has
one, a word is taken for a name only if it is no ordinary word and the words behind it speak of somebody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from curation.caption.check.sentences import sentences
from curation.caption.check.wordlists import words
from curation.caption.check.written import without_written

_TOKEN = re.compile(r"[^\W_]+(?:[.&](?=[^\W_]))?[^\W_]*(?:['’\-.&][^\W_]+)*")
_CAPITAL = re.compile("[A-Z]")
_PARTS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_POSSESSIVE = re.compile(r"['’]s?\Z")
_ROMAN = re.compile(r"[IVXLC]+\Z")
_PREFIX = 5  # letters of a word in the alt text from which its derivations are known: Paris, Parisian
_LONGEST = 64  # and at most
_TITLE_CASE = 0.6  # share of ordinary words with a capital from which capitals tell nothing
_TITLE_WORDS = 3  # and the fewest of them
_LONG = 4  # letters of a word that title case would capitalise


class _Word(NamedTuple):
    """A word of the caption. ``first``: where a sentence or a clause behind a colon starts."""

    text: str
    start: int
    end: int
    first: bool

    @property
    def capital(self) -> bool:
        return self.text[0].isupper()

    @property
    def plain(self) -> str:
        return plain(self.text)


def find_names(text: str, alt_text: str, allowed: Iterable[str]) -> list[str]:
    """The names in a caption that are neither in the alt text nor among allowed and ordinary words.

    Writing in the picture may hold any name: quoted, or behind "reads", "the word" and the like. In
    texts without capitals, or with nothing but, no name is found.
    """
    unwritten = without_written(text)
    if _begins_plainly(unwritten):
        return []
    found_words = _words(unwritten)
    if _title_case(found_words):
        return []
    known = _Known(_alt_words(alt_text), _allowed(tuple(allowed)), frozenset(w.text for w in found_words))
    suspects = [w.text[0].isupper() and _suspect(found_words, n, known) for n, w in enumerate(found_words)]
    return _joined(text, found_words, suspects) if any(suspects) else []


def _begins_plainly(text: str) -> bool:
    """Whether nothing but the first words of sentences has a capital, and these are words that begin any sentence.

    It is so in most captions, and such words are never taken for names.
    """
    if not text.isascii():
        return False
    capitals = len(_CAPITAL.findall(text))
    for start, end in sentences(text):
        first = _TOKEN.search(text, start, end)
        if first is None or not "A" <= first[0][0] <= "Z":
            continue
        word = plain(first[0])
        if word not in words("starters") and (word in words("given_names") or word not in words("ordinary")):
            return False
        capitals -= len(_CAPITAL.findall(first[0]))
    return not capitals


@dataclass(frozen=True, slots=True)
class _Known:
    alt: frozenset[str]
    allowed: frozenset[str]
    in_caption: frozenset[str]

    def __contains__(self, word: str) -> bool:
        """Whether a capitalised word is excused by the alt text, the recipe or the English language."""
        if word in self.alt or word in self.allowed or word in words("capitals"):
            return True
        return any(word[:n] in self.alt for n in range(_PREFIX, min(len(word), _LONGEST) + 1))


def _suspect(found: list[_Word], n: int, known: _Known) -> bool:
    word = found[n]
    if not word.capital or (word.first and word.plain in words("starters")) or _excused(found, n, known):
        return False
    if word.first:
        return _starts_with_a_name(found, n, known)
    if not _ordinary(word):
        return True
    # A capitalised ordinary word is mostly a title's ("Red Panda"); beside a name or a title it is a surname.
    before = found[n - 1] if n else None
    after = found[n + 1] if n + 1 < len(found) else None
    if before is not None and not _apart(before, word):
        if before.plain in words("titles") and (before.capital or before.plain in ("named", "called", "nicknamed")):
            return True
        named = not _ordinary(before) or word.plain in words("institutions")
        if named and before.capital and not before.first and before.plain not in known:
            return True
    if after is None or not after.capital or _apart(word, after) or after.plain in known:
        return False
    return not _ordinary(after) or word.plain in words("double_names")


def _excused(found: list[_Word], n: int, known: _Known) -> bool:
    word = found[n]
    if word.plain in known or len(word.text) == 1 or any(c.isdigit() for c in word.text) or _ROMAN.match(word.text):
        return True
    for pair in (found[max(0, n - 1) : n + 1], found[n : n + 2]):
        if len(pair) == 2 and f"{_bare(pair[0].text)} {_bare(pair[1].text)}" in words("capitals"):
            return True
    parts = [p for p in _PARTS.findall(word.text) if p[0].isupper()]
    return len(parts) != 1 and all(
        len(p) == 1 or plain(p) in known or plain(p) in words("ordinary") or plain(p) in words("starters")
        for p in parts
    )


def _starts_with_a_name(found: list[_Word], n: int, known: _Known) -> bool:
    word = found[n]
    if word.text.lower() in known.in_caption or word.plain in words("starters"):
        return False
    after = found[n + 1] if n + 1 < len(found) and not found[n + 1].first else None
    together = after is not None and not _apart(word, after)
    if together and after is not None and after.capital and after.plain not in known and len(after.text) > 1:
        if not _ordinary(after) and (word.plain not in words("ordinary") or word.plain in words("double_names")):
            return True
        if word.plain in words("given_names") or word.plain in words("double_names") or word.plain in words("titles"):
            return True
    if word.plain in words("given_names"):
        return True
    if _ordinary(word) or word.text.endswith(("ing", "ly", "ed")):
        return False
    if word.text != _POSSESSIVE.sub("", word.text):
        return True
    if not together or after is None:
        return False
    if after.plain == "and" and n + 2 < len(found):
        return found[n + 2].plain in ("his", "her")
    return after.plain in words("person_verbs")


def _ordinary(word: _Word) -> bool:
    plain = word.plain
    return plain in words("ordinary") or plain in words("starters") or plain in words("small")


def _title_case(found: list[_Word]) -> bool:
    """Whether ordinary words are capitalised too, so that a capital tells nothing."""
    long = [w for w in found if not w.first and len(w.text) >= _LONG]
    capitals = [w for w in long if w.text[0].isupper()]
    if len(capitals) < _TITLE_WORDS:  # as in most captions, whose other words need no look
        return False
    capitals = [w for w in capitals if _ordinary(w)]
    if len(capitals) < _TITLE_WORDS or len(capitals) < _TITLE_CASE * sum(map(_ordinary, long)):
        return False
    # A long name alone ("the Golden Gate Bridge") is one run of capitals; a title has several, or no other words.
    runs = sum(w.capital and not before.capital for before, w in pairwise(found))
    return runs > 1 or all(w.capital for w in found)


def _words(text: str) -> list[_Word]:
    found = []
    clauses = ":" in text or "\n" in text
    for start, end in sentences(text):
        opened = True
        previous = start
        for token in _TOKEN.finditer(text, start, end):
            begin, stop = token.span()
            if clauses and not opened:
                between = text[previous:begin]
                opened = ":" in between or "\n" in between
            found.append(_Word(token[0], begin, stop, opened))
            opened = False
            previous = stop
    return found


def _apart(first: _Word, second: _Word) -> bool:
    return second.first or second.start - first.end > 2


def _joined(text: str, found: list[_Word], suspects: list[bool]) -> list[str]:
    """Suspects that follow each other, and capitals in front of them at a sentence's start, as one name."""
    names: list[str] = []
    start: int | None = None
    for n, (word, suspect) in enumerate(zip(found, suspects, strict=True)):
        if suspect and start is None:
            start = found[_first_of_name(found, n, suspects)].start
        following = n + 1 < len(found) and suspects[n + 1] and text[word.end : found[n + 1].start] in (" ", ". ")
        if suspect and not following and start is not None:
            names.append(text[start : word.end])
            start = None
    return list(dict.fromkeys(names))


def _first_of_name(found: list[_Word], n: int, suspects: list[bool]) -> int:
    while n and not suspects[n - 1] and not found[n].first and found[n].start - found[n - 1].end == 1:
        before = found[n - 1]
        if not before.capital or (before.first and before.plain in words("starters")):
            break
        n -= 1
    return n


def _bare(word: str) -> str:
    return word.lower().replace("’", "'")


@lru_cache(maxsize=8192)
def plain(word: str) -> str:
    """In lower case, without a possessive ending, dots or accents."""
    word = unicodedata.normalize("NFKD", _POSSESSIVE.sub("", word).lower()).replace("’", "'").rstrip(".")
    return "".join(c for c in word if not unicodedata.combining(c))


@lru_cache(maxsize=256)
def _alt_words(alt_text: str) -> frozenset[str]:
    whole = {plain(w) for w in _TOKEN.findall(alt_text[:20_000])}
    return frozenset(whole | {plain(p) for w in whole for p in _PARTS.findall(w)})


@lru_cache(maxsize=32)
def _allowed(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(plain(w) for name in names for w in _TOKEN.findall(name))
