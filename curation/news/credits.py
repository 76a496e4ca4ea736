"""Find the photo credit at the end of a news caption.

A credit names an agency or a publisher ("Ann Lee/Reuters", "Ann Lee for The Boston Globe"), has a
photographer's form ("Photo by Ann Lee", "© Ann Lee"), or stands alone behind a bar ("| Ann Lee"). Two names
with a comma are no credit, and the full stop of an abbreviation ("St. Louis", "Sen. Lee") ends no sentence.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from curation.caption.check.sentences import sentence_ends
from curation.caption.check.wordlists import read_words

_SOFT = "\u2024"  # replaces a full stop that ends no sentence; one character, so that positions stay the same

_SURE = (
    r"(?:AP|AFP|EPA(?:-EFE)?|PA (?:Wire|Images|Media|Archive)|AAP|ANP|DPA|ANSA|TASS|UPI|EFE|Reuters|REUTERS|"
    r"Getty(?: Images)?(?: (?:North America|Europe|AsiaPac|Entertainment|Sport))?|GETTY(?: IMAGES)?|"
    r"(?:The )?Associated Press|Press Association|Agence France[- ]Presse|Rex Features|REX(?:/Shutterstock)?|"
    r"Shutterstock|SHUTTERSTOCK|Alamy(?: Stock Photo)?|ALAMY|Bloomberg News|Xinhua|ZUMA(?: Press|PRESS)?|SIPA|"
    r"Barcroft(?: Media| Images)?|Action Images|WireImage|FilmMagic|iStock(?:photo)?|Thinkstock|"
    r"Science Photo Library|European Pressphoto Agency|Anadolu(?: Agency)?|NurPhoto|Kyodo(?: News)?|Yonhap|"
    r"Magnum(?: Photos)?|Press Eye|PA Photos|AP Images|"
    r"The New York Times|The Washington Post|The Guardian|the Guardian|The Observer|"
    r"USA TODAY(?: Sports| Network)?|USA Today(?: Sports| Network)?)"
)
# These are also somebody's name, a state or an employer: a credit only where a sentence surely ended before.
_AGENCY = (
    rf"(?:{_SURE}|PA|Rex|Corbis|CORBIS|Bloomberg|Zuma|Allstar|BBC(?: News| Sport)?|NASA|Handout|HANDOUT|Pool|"
    r"(?:Staff|Contributed|Submitted|Courtesy|File|Archive|Handout|Pool) (?:photo|image|picture|photograph)s?)"
)
# A word is taken whole, or "A-A-A…" could be parted in countless ways; "Lee-AP" is still a name and an agency.
_WORD = rf"[A-Z](?:[\w{_SOFT}.'’&]|-(?!{_AGENCY}\b))*+"
_NAME = rf"{_WORD}(?: (?:{_WORD}|de|del|la|van|von|den|der|bin|al|da|dos)){{0,4}}"
_PUBLISHED = (
    r"(?:Times|Post|Globe|Tribune|Guardian|Chronicle|Herald|Journal|News|Observer|Telegraph|Independent|Star|"
    r"Press|Magazine|Gazette|Register|Sentinel|Inquirer|Dispatch|Mail|Mirror|Standard|Today|Enquirer|Republic|"
    r"Wire|Images|Agency|Media|Pictures|Photos|Photo|Photography|Archives?|Collection|Pool|Sports?|TV|Features|"
    r"Post-Dispatch|Journal-Constitution|Register-Guard|Sun|Echo|Argus|Courier|Record|Bee|Files?)"
)
_PUBLISHER = rf"(?:(?:[Tt]he )?(?:{_WORD} ){{0,3}}{_PUBLISHED})"
_KIND = r"(?: (?:Photo|PHOTO|File|Images?|Pool))?"
_LINK = r"(?: ?/ ?|, ?| for (?:the )?| via | ?[-–—|] ?)"


def _sourced(agency: str, link: str = _LINK) -> str:
    """A source of which one part is an agency or a publisher: Ann Lee/AP, AP Photo/Ann Lee, Ann Lee for The Globe."""
    return (
        rf"(?:(?:{_NAME}{link}){{0,2}}{agency}{_KIND}(?:{link}(?:{_AGENCY}|{_NAME}|[Ff]ile))"
        rf"{{0,2}}|{_NAME}(?: ?/ ?| for | via ){_PUBLISHER})"
    )


_ANY_SOURCE = _sourced(_AGENCY)
_SURE_SOURCE = _sourced(_SURE)
_LABEL = (
    r"(?:Photographs?|Photos?|Pictures?|Images?|(?:Photo|Image|Picture) [Cc]redit|Credits?|Illustration|Composite|"
    r"Photographer|Photo illustration|Video still|Screengrab)"
)
_NAMED = (
    rf"(?:(?:Mandatory )?{_LABEL}\s*(?::(?: [Ss]upplied by\b)?|\bcourtesy(?: of)?\b|\bcopyright\b|©)|"
    r"©|\([cC]\)|\b(?:Photo )?[Cc]ourtesy(?: of|:)|Copyright:?)"
)
_CONTENT = r"[^.!?]{2,120}"
_BY = rf"(?:Mandatory )?{_LABEL}\s*\bby\b"
# "Photo by Ann Lee" is a credit, "Photo by Ann Lee won a prize" is a sentence.
_PEOPLE = (
    rf"(?=\s*(?:[A-Z]|the ))(?:{_WORD}|(?:and|for|of|the|via|courtesy|at|in|de|del|la|van|von|den|der|bin|al|da|dos)\b|"
    r"[\s/,&@|–—-])+"
)
_BEFORE = rf"(?:^|(?<=[.!?”\"'’)…{_SOFT}])|\s*[,;|–—-])\s*"

_ACRONYM = re.compile(r"[(\[]\s*([A-Z]{2,6})\s*[)\]]")
_ABBREVIATION = re.compile(r"\b([A-Za-z]{1,5})\.(?=\s+[A-Z\d])")
_LAST_WORD = re.compile(rf"([\w{_SOFT}]+){_SOFT}\Z")
_ENDING = 600  # characters; a credit at the end is no longer
_CONTEXT = 150  # characters before it that are looked at


class Credit(NamedTuple):
    """A credit is ``text[start:end]``; ``stop`` where its first full stop belongs to the sentence before it."""

    start: int
    end: int
    stop: bool


def find_credit(caption: str) -> Credit | None:
    """The credit at the end of a caption, or None."""
    first = max(0, len(caption) - _ENDING)
    begin = max(0, first - _CONTEXT)
    text = soften(caption[begin:])
    found = _brackets().search(text, first - begin)
    if found is None or _spelt_out(text, found):
        found = _after_soft().search(text, first - begin)
        if found is None or not _may_end(text, found.start()):
            found = next((match for tail in _tails() if (match := tail.search(text, first - begin))), None)
    if found is None:
        return None
    stop = found.group().lstrip()[:1] == "."
    return Credit(begin + found.start(), begin + found.end(), stop)


def soften(caption: str) -> str:
    """The caption with U+2024 for every full stop that ends no sentence."""
    if "." not in caption[:-1]:
        return caption
    # A closing quote or bracket may stand between the full stop and the end of its sentence.
    ends = {len(caption[:end].rstrip("\"'”’»)]}›")) - 1 for end in sentence_ends(caption)}
    found = [
        _SOFT if c == "." and n not in ends and caption[n - 1 : n] != "." and caption[n + 1 : n + 2] != "." else c
        for n, c in enumerate(caption)
    ]
    for stop in _ABBREVIATION.finditer(caption):
        word = stop.group(1)
        if word == "No" or (word.lower() in _abbreviations() and (word[0].isupper() or word in ("v", "vs"))):
            found[stop.end() - 1] = _SOFT
    return "".join(found)


# Compiling these takes longer than importing all the rest of the room: it is left to who looks for credits.


@cache
def _brackets() -> re.Pattern[str]:
    """What stands in brackets at the end and is a credit."""
    return re.compile(
        rf"\s*[(\[]\s*(?:"
        rf"(?:[Ff]ile |AP |Reuters |Handout |Staff |Contributed |Pool )?(?:[Pp]hoto|[Pp]hotograph|[Pp]icture|[Ii]mage|"
        rf"[Cc]redit|[Cc]ourtesy|[Ii]llustration|[Ss]creenshot|[Cc]omposite)s?\b(?! (?:book|frame|gallery|editor)s?\b)"
        rf"[^()\[\]]{{0,120}}|"
        rf"(?:[Bb]y |[Vv]ia |[Ss]ource: ?|© ?)?{_AGENCY}{_KIND}(?:\s*[/,:][^()\[\]]{{0,80}})?|"
        rf"(?:[^()\[\]/\s][^()\[\]/]{{1,49}}/\s*)+(?:{_ANY_SOURCE}|{_PUBLISHER})|"
        rf"[^()\[\],]{{2,50}}, (?:{_SURE}|{_PUBLISHER})|"
        rf"{_NAME} (?:for|via) (?:{_AGENCY}|{_PUBLISHER})|"
        rf"[A-Z][\w ]{{1,20}}: {_NAME}(?:/{_NAME})?|"
        rf"(?:[A-Z][\w'’-]+ ){{1,2}}(?:Press|Wire|News Agency|Images)|"
        rf"[Ss]upplied|[Cc]ontributed|[Hh]andout|[Ff]ile(?: photo| picture)?|[Pp]ictured above|[Aa]rchive)"
        rf"\s*[)\]]\s*\.?\s*$"
    )


@cache
def _tails() -> tuple[re.Pattern[str], ...]:
    """Credits behind the end of a sentence or a separator."""
    return (
        # Photograph: Name/Agency
        re.compile(rf"{_BEFORE}(?:{_NAMED}\s*(?=[A-Z©\d@(]|the ){_CONTENT}|{_BY}{_PEOPLE})[.\s]*$"),
        # The same without one, where nothing but a source follows.
        re.compile(rf"\s+(?:{_NAMED}|{_BY})\s*(?:{_ANY_SOURCE}|{_NAME})\s*[.{_SOFT}]?\s*$"),
        re.compile(rf"(?<=[.!?”\"{_SOFT}])\s*[Pp]hoto(?:graph)?(?::| by)\s*{_NAME}(?:{_LINK}{_NAME}){{0,2}}\s*\.?\s*$"),
        # Credit Name for The New York Times
        re.compile(
            rf"(?<=[.!?”\"{_SOFT}])\s+Credit\s*(?:{_NAME}(?:{_LINK}{_NAME}){{0,3}}|{_ANY_SOURCE}|\.\.\.|…)\s*\.?\s*$"
        ),
        # … Name/Getty Images; … — AP; … AP Photo/Name
        re.compile(rf"(?:(?<=[.!?”\"])\s*|\s*[-–—|]\s+|,?\s+via\s+|\s+/\s+){_ANY_SOURCE}\s*\.?\s*$"),
        re.compile(rf"(?:(?<=[a-z\d\)]) (?={_NAME}/)|, (?=Getty Images|AP Photo)){_SURE_SOURCE}\s*\.?\s*$"),
        re.compile(rf"\s+\|\s*{_WORD}(?: {_WORD}){{1,3}}\s*\.?\s*$"),
    )


@cache
def _after_soft() -> re.Pattern[str]:
    """Behind an abbreviation a comma is no link: "of Kran Inc. Lee, The Observer"."""
    return re.compile(rf"(?<={_SOFT})\s+{_sourced(_SURE, ' ?/ ?| for | via ')}\s*\.?\s*$")


def _spelt_out(text: str, found: re.Match[str]) -> bool:
    """Whether brackets only hold the short form of the name before them: Environmental Protection Agency (EPA)."""
    short = _ACRONYM.search(found.group())
    if short is None:
        return False
    initials = "".join(w[0] for w in text[max(0, found.start() - 120) : found.start()].split() if w[0].isupper())
    return initials.endswith(short.group(1))


def _may_end(text: str, at: int) -> bool:
    """Whether a sentence may end with the abbreviation in front of ``at``: D.C., Inc., a.m., Calif."""
    last = _LAST_WORD.search(text, max(0, at - 40), at)
    return last is not None and last.group(1).replace(_SOFT, ".").lower() in _final()


@cache
def _final() -> frozenset[str]:
    return frozenset(word.lower() for word in read_words("curation.news.words", "final_abbreviations"))


@cache
def _abbreviations() -> frozenset[str]:
    return _final() | read_words("curation.news.words", "abbreviations_before_names")
