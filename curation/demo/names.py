"""Invented people, organisations, places, events and dates. Names of training and held-out texts never meet."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from curation.demo.truth import Rng, Split, pick

_ONSETS = ("b", "br", "d", "dr", "f", "g", "h", "j", "k", "kr", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "io")
_CODAS = ("", "l", "n", "r", "s", "x", "nd", "lm", "rt", "sk")
_ENDINGS = ("a", "o", "en", "in", "is", "or", "an", "el", "us", "ek", "ov", "ina")
_TOWNS = ("ville", "burg", "port", "mouth", "ford", "stad", "mar", "holm")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HELDOUT_SHARE = 4


def is_heldout(name: str) -> bool:
    """Whether an invented name belongs to held-out texts; a property of its letters alone."""
    return zlib.crc32(name.lower().encode()) % _HELDOUT_SHARE == 0


def _invented(rng: Rng, split: Split, endings: Sequence[str]) -> str:
    while True:
        syllables = [pick(rng, _ONSETS) + pick(rng, _VOWELS) for _ in range(int(rng.integers(1, 3)))]
        name = "".join(syllables) + pick(rng, _CODAS) + pick(rng, endings)
        if 4 <= len(name) <= 11 and is_heldout(name) == (split == "heldout"):
            return name.capitalize()


def person(rng: Rng, split: Split) -> str:
    """A full name; sometimes with initials, a hyphen or an apostrophe."""
    first, last = _invented(rng, split, _ENDINGS), _invented(rng, split, _ENDINGS)
    match int(rng.integers(12)):
        case 0:
            return f"{first[0]}. {pick(rng, 'ABCDEFGHJKLMNPRST')}. {last}"
        case 1:
            return f"{first} {last}-{_invented(rng, split, _ENDINGS)}"
        case 2:
            return f"{first} O'{last}"
        case _:
            return f"{first} {last}"


def place(rng: Rng, split: Split) -> str:
    """A town or country."""
    name = _invented(rng, split, (*_TOWNS, "ia", "and"))
    return pick(rng, ("{}", "{}", "{}", "Port {}", "St. {}", "New {}")).format(name)


def organisation(rng: Rng, split: Split) -> str:
    name = _invented(rng, split, _ENDINGS)
    forms = (
        "{} Museum", "{} United", "Bank of {}", "{} Institute", "{} Foundation", "{} Inc.", "{} & Sons",
        "University of {}", "{} Airlines", "{} Orchestra",
    )  # fmt: skip
    return pick(rng, forms).format(name)


def agency(rng: Rng, split: Split) -> str:
    """Who took the photograph."""
    return pick(rng, ("{} Press", "{} Wire", "{} News Agency")).format(_invented(rng, split, _ENDINGS))


def event(rng: Rng, split: Split) -> str:
    name = _invented(rng, split, _ENDINGS)
    forms = ("{} Festival", "{} Cup", "{} Fair", "{} Summit", "{} Marathon", "{} Biennale")
    return pick(rng, forms).format(name)


def landmark(rng: Rng, split: Split) -> str:
    name = _invented(rng, split, _ENDINGS)
    return pick(rng, ("{} Square", "{} Bridge", "{} Park", "{} Hall", "{} Stadium", "{} Airport")).format(name)


def date(rng: Rng) -> str:
    """A weekday, a day, a month or a year as captions spell them."""
    month, day, year = pick(rng, _MONTHS), int(rng.integers(1, 29)), int(rng.integers(1988, 2026))
    match int(rng.integers(5)):
        case 0 | 1:
            return pick(rng, _DAYS)
        case 2:
            return f"{month} {day}, {year}"
        case 3:
            return f"{month} {year}"
        case _:
            return f"{month} {day}"
