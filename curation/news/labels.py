"""Where in a run of capitalised words a name starts and ends, and what it is the name of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from curation.news import gazetteers as known
from curation.news.tokens import Word

_INITIALS = re.compile(r"(?:[A-Z]\.)+[A-Z]?\.?$")
_ACRONYM = re.compile(r"[A-Z][A-Z0-9&]{1,5}$")
_PLURAL = re.compile(r"(?:s|ing|ed|ly|ion|ment|ness|men)$")
_WHERE = frozenset(
    (
        "in",
        "at",
        "near",
        "from",
        "outside",
        "inside",
        "to",
        "across",
        "around",
        "through",
        "into",
        "off",
        "toward",
        "towards",
    )
)
_NOT_ROLES = frozenset(
    ("st", "saint", "major", "page", "general", "state", "us", "uk", "eu", "un", "justice", "first", "home", "party")
)
_DETERMINERS = frozenset(("the", "a", "an", "this", "these", "those", "his", "her", "their", "its"))
_TRADE = re.compile(r"(?:er|or|ist|man|woman|ian|ress|eer|ant|ent|mate|keeper|ee)$")


def split_run(run: Sequence[Word], before: Word | None, behind: Word | None) -> list[list[Word]]:
    """The names of a run, without titles and nationalities in front of them."""
    run = list(run)
    while run and _no_name(run, behind):
        run = run[1:]
    if not run:
        return []
    whole = _phrase(run)
    if whole in known.countries() or whole in known.cities() or whole in known.regions():
        return [run]
    if not _is_head(run[-1]) or _is_person(run):
        for at in range(len(run) - 2, -1, -1):
            if _is_role(run[at]):
                left = split_run(run[:at], before, None) if at else []
                return [*left, *split_run(run[at + 1 :], None, behind)]
    if len(run) > 1 and _is_norp(run[0]) and not _is_head(run[-1]):
        return [[run[0]], *split_run(run[1:], None, behind)]
    if len(run) == 1 and (_is_role(run[0]) and run[0].low not in known.words("organisations")):
        return []
    if len(run) > 2 and run[1].text in known.given_names() and _TRADE.search(run[0].low) and not _given(run[0]):
        return [run[1:]]
    return [run]


def label_of(name: Sequence[Word], before: Word | None, behind: Word | None) -> str | None:
    """What a name is the name of; None for a word that is none."""
    whole, last, first = _phrase(name), name[-1].low, name[0]
    if len(name) == 1 and first.text in ("D", "R", "I"):
        return "NORP" if behind is not None and behind.text == "-" else None
    if len(name) == 1 and len(first.text) == 1:
        return None
    if whole in known.regions():
        return "LOC"
    if whole in known.countries():
        return "ORG" if behind is not None and behind.low in known.words("players") else "GPE"
    if all(_is_norp(w) for w in name):
        return "NORP"
    team = behind is not None and behind.low in known.words("players")
    if whole in known.cities() and not team:
        return "GPE"
    if len(name) > 1 and not _is_person(name):
        if last in known.words("events"):
            return "EVENT"
        if last in known.words("landscapes"):
            return "LOC"
        if last in known.words("places"):
            return "FAC"
    if not _is_person(name) and (last in known.words("organisations") or _is_body(name)):
        return "ORG"
    if first.low in ("mount", "lake", "river", "cape", "ben"):
        return "LOC"
    if _ACRONYM.match(whole):
        return "ORG"
    return _by_neighbours(name, before, behind)


def _is_body(name: Sequence[Word]) -> bool:
    """Whether a word inside says that it is an organisation: Thornhill Institute for Cancer Research."""
    return any(w.low in known.words("bodies") or "&" in w.text for w in name)


def _by_neighbours(name: Sequence[Word], before: Word | None, behind: Word | None) -> str:
    """A name that no list knows, told by the words around it."""
    first = name[0]
    low = before.low if before is not None else ""
    given = _given(first) or (len(name) > 1 and _INITIALS.match(first.text) is not None)
    if behind is not None and behind.low in known.words("players") and not (given and len(name) > 1):
        return "ORG"
    if (low in _WHERE and not (given and len(name) > 1)) or low == "-":
        return "GPE"
    if low == "the" and len(name) > 1:
        return "ORG"
    if given:
        return "PERSON"
    if low == "the":
        return "ORG"
    return "GPE" if low == "of" and len(name) == 1 else "PERSON"


def _no_name(run: Sequence[Word], behind: Word | None) -> bool:
    """Whether the first word of a run only stands there because a sentence starts with it."""
    word = run[0]
    if word.low in _DETERMINERS and len(word.text) > 1:
        return True
    if not word.opens or _known(word):
        return False
    if len(run) > 1:
        return (word.low in known.ordinary() or word.low in known.words("organisations")) and not (
            run[1].low == "of" or _is_head(run[-1])
        )
    if word.low in known.ordinary() or _is_role(word):
        return True
    owned = behind is not None and behind.text in ("'s", "’s")
    return not owned and _PLURAL.search(word.low) is not None


def _known(word: Word) -> bool:
    """Whether the word is a name by itself."""
    if word.low in known.ordinary() and word.text not in known.countries():
        return False
    return (
        word.text in known.countries()
        or word.text in known.cities()
        or word.text in known.given_names()
        or _is_norp(word)
        or _ACRONYM.match(word.text) is not None
    )


def _given(word: Word) -> bool:
    return word.text in known.given_names() or word.text.split("-")[0] in known.given_names()


def _is_person(run: Sequence[Word]) -> bool:
    """Whether a run with an institution's last word is somebody called so: Ann Park, but not Ann Park School."""
    return len(run) == 2 and _given(run[0]) and run[1].low in known.words("surnames")


def _is_head(word: Word) -> bool:
    return word.low in _heads()


@cache
def _heads() -> frozenset[str]:
    kinds = ("organisations", "places", "landscapes", "events")
    return frozenset().union(*(known.words(kind) for kind in kinds))


def _is_role(word: Word) -> bool:
    return word.low in known.roles() and word.low not in _NOT_ROLES


def _is_norp(word: Word) -> bool:
    return word.low in known.words("norp")


def _phrase(words: Sequence[Word]) -> str:
    return " ".join(w.text for w in words)
