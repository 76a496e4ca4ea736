"""Dates as captions spell them: weekdays, days, months, years, decades and a few feasts. Relative words are none."""

from __future__ import annotations

import re

from curation.news.spans import Span

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
    if re.search(r"\b(?:in|since|until|of|from|by|early|late|mid|last|next|on|a|an)\s$", text[: match.start()], re.I):
        return False
    return bool(re.match(r" [A-Z][a-z]", text[match.end() :]) or re.search(r"[A-Z][a-z]+ $", text[: match.start()]))
