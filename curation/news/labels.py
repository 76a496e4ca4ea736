"""Labels names by lists of known names, by their own words, and by the words around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from curation.news import gazetteers as known
from curation.news.gazetteers import Kind
from curation.news.tokens import Word

_INITIALS = re.compile(r"(?:[A-Z]\.)+[A-Z]?\.?$")
_ACRONYM = re.compile(r"[A-Z][A-Z0-9&]{1,5}$")
_MODEL = re.compile(r"[A-Z]{0,3}-?\d{1,4}[A-Z]{0,2}$")
_POSSESSIVE = ("'s", "’s", "'", "’")
_PREFIXES = frozenset(("ex", "then", "non", "pre", "post", "anti", "pro", "mid", "former"))
_PLACED = frozenset(("at", "the", "outside", "inside", "in", "near", "across"))
_LOCAL_GROUNDS = frozenset(("park", "grove", "harbor", "field", "court"))
# What a name is that stands behind such a word and "of": mayor of, slopes of, founder of.
_OWNERS = {
    **dict.fromkeys(known.words("lords") | known.words("settlements"), "GPE"),
    **dict.fromkeys(known.words("parts_of_landscapes"), "LOC"),
    **dict.fromkeys(known.words("posts"), "ORG"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """The words of a caption from which names are read, and what the caption is about.

    ``sport``: it tells of a game, so that places play. ``strict``: capitals mean nothing in it, so that only what
    something else shows to be a name is one.
    """

    words: Sequence[Word]
    text: str
    sport: bool
    strict: bool

    def phrase(self, start: int, end: int) -> str:
        """The text of words ``start`` to ``end``."""
        return self.text[self.words[start].start : self.words[end - 1].end]

    def kind(self, at: int) -> int:
        """The kind of a word; 0 beyond the caption's ends."""
        return self.words[at].kind if 0 <= at < len(self.words) else 0

    def low(self, at: int) -> str:
        """A word in lower case; empty beyond the caption's ends."""
        return self.words[at].low if 0 <= at < len(self.words) else ""

    def cue(self, at: int) -> int:
        """The kind of a word without a capital; 0 for others."""
        return 0 if not 0 <= at < len(self.words) or self.words[at].capital else self.words[at].kind


def label_of(scene: Scene, start: int, end: int) -> tuple[str | None, bool]:
    """The label of words ``start`` to ``end`` (None if they are no name), and whether there is evidence for it."""
    first, last = scene.words[start], scene.words[end - 1]
    if end - start == 1 and first.low in _PREFIXES:
        return None, True
    if end - start == 1 and len(first.text) == 1:
        return ("NORP" if first.text in "DRI" and scene.low(end) == "-" else None), True
    listed = known.names().get(scene.phrase(start, end))
    if listed is not None:
        return _listed(scene, start, end, listed), True
    if first.kind & Kind.NORP and all(w.kind & Kind.NORP for w in scene.words[start:end]):
        return ("ORG" if scene.sport and scene.kind(end) & Kind.PLAYERS else "NORP"), True
    if first.kind & Kind.ORDINARY and end - start == 1 + last.text.isdigit():
        return None, True  # Game 3
    if "v" in (behind := (scene.low(end), scene.low(start - 1))) or "vs" in behind:
        return "ORG", True  # Everton Park v Hull Trinity
    if scene.cue(start - 1) & Kind.CUES_WORKS and not scene.cue(start - 1) & Kind.ROLE:
        return "WORK_OF_ART", True
    for rule in (_by_own_words, _by_cue, _by_words_before):
        label = rule(scene, start, end)
        if label is not None:
            return label, True
    return _by_default(scene, start, end), False


def is_given(word: Word) -> bool:
    """Whether a word, or the first part of a double one, is a given name."""
    names = known.given_names()
    return word.text in names or ("-" in word.text and word.text.split("-")[0] in names)


def is_person(scene: Scene, start: int, end: int) -> bool:
    """Whether a run with an institution's last word is somebody called so: Ann Park, but not Ann Park School."""
    if end - start != 2 or not scene.kind(end - 1) & Kind.SURNAMES or not is_given(scene.words[start]):
        return False
    return scene.low(start - 1) not in _PLACED


def _listed(scene: Scene, start: int, end: int, label: str) -> str:
    """The label of a known name where it stands."""
    if end - start == 1 and _titled(scene, start) and not scene.cue(end) & Kind.ROLE:
        return "PERSON"
    return "ORG" if label == "GPE" and _plays(scene, start, end) else label


def _titled(scene: Scene, start: int) -> bool:
    """Whether Mr., Dr. or an office stands directly before, written as in front of a name."""
    if start == 0 or not scene.words[start - 1].capital or not scene.kind(start - 1) & Kind.ROLE:
        return False
    return scene.low(start - 1) not in known.words("no_titles")


def _plays(scene: Scene, start: int, end: int) -> bool:
    """Whether the name of a place means its team."""
    behind, low = scene.cue(end), scene.low(start - 1)
    if behind & Kind.PLAYERS and (scene.sport or not behind & Kind.ORDINARY):
        return True
    if low == "of" and scene.kind(start - 2) & Kind.PLAYERS:
        return True
    if not scene.sport:
        return False
    if scene.kind(start - 1) & Kind.FACING or (low == "to" and scene.low(start - 2) in ("losing", "lost")):
        return True
    if scene.kind(end) & Kind.FACING and scene.low(end) != "past":
        return True
    if scene.low(end) in _POSSESSIVE and end + 1 < len(scene.words):
        # Boston's David Cortez hits a home run: a person behind it, no preposition in front.
        owned = scene.words[end + 1]
        player = owned.capital or bool(owned.kind & (Kind.ROLE | Kind.PLAYERS))
        return player and low not in known.words("where")
    return low == "of" and scene.low(start - 2) == "home"


def _by_own_words(scene: Scene, start: int, end: int) -> str | None:
    """From the first and the last word of the name, or what stands inside it."""
    words, first, last = scene.words, scene.words[start], scene.words[end - 1]
    person = is_person(scene, start, end)
    if end - start > 1:
        label = _by_first_word(scene, start)
        if label is not None:
            return label
        if last.text.isdigit():
            return "EVENT" if len(last.text) == 3 and not _MODEL.match(first.text) else None
        if not person and (label := _by_head(scene, start, end)) is not None:
            return label
        if first.low == "team" or (known.names().get(last.text) == "ORG" and last.low in known.words("teams")):
            return "ORG"
    elif _MODEL.match(first.text) and not first.text.isalpha():
        return "PRODUCT"
    if last.text in _POSSESSIVE:
        return "ORG"
    bodies = any(w.kind & Kind.BODIES or "&" in w.text for w in words[start:end])
    if not person and (last.kind & Kind.ORGANISATIONS or bodies):
        return "ORG"
    return "ORG" if _ACRONYM.match(scene.phrase(start, end)) else None


def _by_first_word(scene: Scene, start: int) -> str | None:
    """From the first of several words: Hurricane Irma, USS Farragut, Lake Isabella, Fort Aldren."""
    first = scene.words[start]
    if first.kind & Kind.STORMS or (first.low == "tropical" and scene.low(start + 1) == "storm"):
        return "EVENT"
    if first.kind & Kind.VESSELS:
        return "PRODUCT"
    if first.kind & Kind.BEFORE_LANDSCAPES:
        return "LOC"
    if first.kind & Kind.BEFORE_PLACES:
        return "FAC"
    return "GPE" if first.low == "county" else None


def _by_head(scene: Scene, start: int, end: int) -> str | None:
    """From the last word, or the one in front of "of" or "for": Fenner Park, Statue of Liberty."""
    words, last = scene.words, scene.words[end - 1]
    of = next((at for at in range(start + 1, end - 1) if words[at].low in ("of", "for")), None)
    if of is not None and words[of - 1].kind & Kind.HEAD:
        last = words[of - 1]
        if last.low in ("republic", "kingdom", "vale"):
            return "GPE"
        if last.low == "house":
            return "ORG"
    elif last.low in ("county", "province") and not words[start].kind & Kind.NORP:
        return "GPE"
    if last.kind & Kind.LAWS:
        return "LAW"
    if last.kind & Kind.EVENTS and not last.kind & Kind.PLACES:
        return "EVENT"
    if last.kind & Kind.LANDSCAPES:
        town = end - start == 2 and last.low in known.words("in_towns_names") and _addressed(scene, end)
        return "GPE" if town else "LOC"
    if last.kind & Kind.PLACES:
        if last.kind & Kind.ORGANISATIONS and last.low in ("court", "library", "lab"):
            return "ORG"
        return "GPE" if last.low in _LOCAL_GROUNDS and _addressed(scene, end) else "FAC"
    return None


def _addressed(scene: Scene, end: int) -> bool:
    """Whether a state or a country follows behind a comma."""
    if scene.low(end) != "," or end + 1 >= len(scene.words) or not scene.words[end + 1].capital:
        return False
    countries = known.countries()
    for stop in range(end + 2, min(end + 5, len(scene.words)) + 1):
        if scene.phrase(end + 1, stop) in countries:
            return scene.low(stop) not in _POSSESSIVE
    return False


def _by_cue(scene: Scene, start: int, end: int) -> str | None:
    """From the common noun behind the name, or the one in front that says what it is."""
    if end - start > 1 and is_given(scene.words[start]):
        return None
    behind, before, titled = scene.cue(end), scene.cue(start - 1), _titled(scene, start)
    if before & Kind.CUES_PRODUCTS or (behind & Kind.CUES_PRODUCTS and not behind & Kind.CUES_ORGANISATIONS):
        return "PRODUCT"
    if behind & Kind.PLAYERS and (end - start > 1 or not titled):
        return "ORG"
    if behind & Kind.CUES_PLACES and scene.low(start - 1) != "in":
        return "FAC"
    if behind & Kind.CUES_GOVERNED and scene.low(start - 1) != "the":
        return "GPE"
    if behind & Kind.CUES_ORGANISATIONS and not titled:
        return "ORG"
    return "EVENT" if behind & Kind.CUES_EVENTS else None


def _by_words_before(scene: Scene, start: int, end: int) -> str | None:
    """From what stands in front: a title, a place that it lies in, an office in it."""
    words, low, before = scene.words, scene.low(start - 1), scene.low(start - 2)
    given = is_given(words[start]) or (end - start > 1 and _INITIALS.match(words[start].text) is not None)
    if _titled(scene, start):
        return "PERSON"
    if low == "the":
        given = given and end - start == 1
        if before in known.words("shown"):
            return "PRODUCT"
    if low == "of" or (low == "the" and before == "of"):
        owner = before if low == "of" else scene.low(start - 3)
        if owner in _OWNERS:
            return _OWNERS[owner]
    if low == "for" and before in ("mp", "mps"):
        return "GPE"
    if low in ("in", "into", "across", "throughout") and not (given and scene.low(end) in _POSSESSIVE):
        return "GPE"
    if given and end - start > 1:
        return "PERSON"
    if _addressed(scene, end) and not given:
        return "GPE"
    if end - start < 3 and _plays(scene, start, end):
        return "ORG"
    if low == "-":
        return "GPE"
    if low in known.words("where"):
        return "PERSON" if given and scene.phrase(start, end) not in known.towns() else "GPE"
    if scene.low(end) in _POSSESSIVE and not given and end + 1 < len(words):
        owned = words[end + 1]
        if owned.capital or owned.kind & (Kind.ROLE | Kind.CUES_ORGANISATIONS):
            return "ORG"
    return None


def _by_default(scene: Scene, start: int, end: int) -> str | None:
    """The label of a name about which nothing else is known; in a strict scene, only of what looks like a person."""
    first, last, low = scene.words[start], scene.words[end - 1], scene.low(start - 1)
    surname = last.text in known.surnames()
    if scene.strict:
        return "PERSON" if end - start > 1 and (is_given(first) or surname) else None
    if low == "the":
        return "ORG"
    if is_given(first):
        return "PERSON"
    if scene.phrase(start, end) in known.towns() and first.text not in known.surnames():
        return "GPE"
    if end - start > 1:
        return "ORG" if not surname and any(w.kind & Kind.ORDINARY for w in scene.words[start:end]) else "PERSON"
    return "GPE" if low == "of" else "PERSON"
