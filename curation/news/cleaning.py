"""News captions without what is not about the picture: credits, agency lines, labels, markup, doublings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from curation.caption.check.faults.markup import unescape
from schemas.anchor import Clean

_AGENCY = (
    r"(?:AP|AFP|EPA|PA|PA Wire|PA Images|PA Media|AAP|ANP|DPA|ANSA|TASS|UPI|Reuters|REUTERS|Getty(?: Images)?|"
    r"GETTY(?: IMAGES)?|Associated Press|Press Association|Agence France-Presse|Rex(?: Features)?|REX|"
    r"Shutterstock|SHUTTERSTOCK|Alamy|ALAMY|Corbis|Bloomberg(?: News)?|Xinhua|Zuma|Barcroft(?: Media)?|"
    r"Action Images|Allstar|WireImage|FilmMagic|iStock(?:photo)?|Thinkstock|Science Photo Library|"
    r"European Pressphoto Agency|The New York Times|The Washington Post|the Guardian|The Guardian|"
    r"The Observer|USA TODAY(?: Sports)?|USA Today(?: Sports)?|BBC(?: News| Sport)?|NASA|Handout|HANDOUT)"
)
# A word is taken whole, or "A-A-A…" could be parted in countless ways; "Lee-AP" still is a name and an agency.
_WORD = rf"[A-Z](?:[\w.'’]|-(?!{_AGENCY}\b))*+"
_NAME = rf"{_WORD}(?: (?:{_WORD}|de|van|von|der|bin|al)){{0,4}}"
_SOURCE = rf"(?:{_NAME}|{_AGENCY})(?: ?(?:/|,|for|via|-|–|\|) ?(?:{_AGENCY}|{_NAME})){{0,3}}"

_LEADS = re.compile(
    r"^\s*(?:Image copyright .{0,80}? (?=(?:Image|Media) caption)|(?:Image|Media|Video|Photo) caption:?\s+|"
    r"FILE PHOTO:?\s*[-–—:]?\s*|File (?:photo|picture|image)\s*[:.–—-]\s*|FILE\s*[-–—:]+\s*|Archive photo:\s*|"
    r"(?:Photo|Image|Picture)\s*:\s+(?=[A-Z]\w+ \w+ \w+ \w+))"
)
_TAILS = (
    # (Name/Agency), (AP Photo/…), (Photo: …), (Kran Press): what stands in brackets at the end and is a credit
    re.compile(
        rf"\s*[(\[]\s*(?:(?:File )?(?:Photo|Photograph|Picture|Image|Credit|Courtesy)s?\b[^()\[\]]{{0,120}}|"
        rf"{_AGENCY}(?: (?:Photo|File|Images?|Pool))?(?:\s*[/,][^()\[\]]{{0,80}})?|"
        rf"(?:[^()\[\]/\s][^()\[\]/]{{1,49}}/\s*)+{_SOURCE}|[^()\[\]]{{2,50}}, {_AGENCY}|"
        rf"(?:\w+ )?[\w'’-]+ (?:Press|Wire|News Agency|Pool|Images))\s*[)\]]\s*\.?\s*$"
    ),
    # Photograph: Name/Agency, Photo by Name, Credit: Agency, © Agency
    re.compile(
        r"[\s.,;|–—-]*(?:\b(?:Photograph|Photographs|Photo|Photos|Picture|Pictures|Image|Images|Credit|Photo credit|"
        r"Illustration|Composite|Image copyright)\s*(?::|\bby\b|\bcourtesy of\b)|©|\(c\)|\bCourtesy of\b)"
        r"\s*[^.!?]{2,120}"
        r"(?:\b[A-Z]\.[^.!?]{0,60}){0,3}[.\s]*$"
    ),
    # Credit Name for The New York Times
    re.compile(rf"(?<=[.!?”\"])\s+Credit\s*(?:{_SOURCE}|\.\.\.|…)\s*\.?\s*$"),
    # … AP Photo/Name; … Name/Getty Images; … — AP
    re.compile(rf"(?:(?<=[.!?”\"])\s*|\s*[-–—|]\s+){_SOURCE.replace('{0,3}', '{1,3}')}\s*\.?\s*$"),
    re.compile(rf"(?:(?<=[.!?”\"])\s*|\s+[-–—|]\s+|,\s+via\s+|\s+via\s+){_AGENCY}(?: Photo| Images| File)?\s*\.?\s*$"),
    re.compile(r"\s*[(\[]\s*(?:file(?: photo| picture)?|pictured above|archive)\s*[)\]]\s*\.?\s*$", re.I),
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>|<!--.{0,300}?-->", re.S)
_LINK = re.compile(r"\[([^\[\]]{1,200})\]\(https?://[^)\s]{1,300}\)")
_UNSEEN = re.compile(r"[\u00ad\u200b\u200e\u200f\u2060\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ENDING = 600  # characters; a credit at the end is no longer
_LONGEST = 5_000  # characters; what goes on behind them is no caption and is cut off


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The caption, the names of the rules that fired, and what they took away."""

    text: str
    rules: tuple[str, ...]
    removed: tuple[str, ...]


def clean_caption(caption: str, recipe: Clean) -> Cleaned:
    """Applies the rules until none fires. Cleaning what is clean changes nothing."""
    text = caption[:_LONGEST]
    fired: list[str] = ["cut"] if len(caption) > _LONGEST else []
    removed: list[str] = []
    while True:
        before = text
        for name, rule in _rules(recipe):
            text, took = rule(text)
            while took is not None:
                fired.append(name)
                removed += [took] if took else []
                text, took = rule(text)
        if text == before:
            return Cleaned(text, tuple(dict.fromkeys(fired)), tuple(removed))


Rule = Callable[[str], tuple[str, str | None]]


def _rules(recipe: Clean) -> Iterator[tuple[str, Rule]]:
    if recipe.markup:
        yield "markup", _markup
    yield "blanks", _blanks
    if recipe.credits:
        yield "label", _label
        yield "credit", _credit
    if recipe.doubled:
        yield "doubled", _doubled


def _markup(text: str) -> tuple[str, str | None]:
    plain = _UNSEEN.sub("", _settled(partial(_LINK.sub, r"\1"), _TAG.sub(" ", _settled(unescape, text))))
    return plain, None if plain == text else ""


def _settled(change: Callable[[str], str], text: str) -> str:
    """The text changed until nothing changes any more: what was escaped twice, links in links."""
    while (changed := change(text)) != text:
        text = changed
    return text


def _blanks(text: str) -> tuple[str, str | None]:
    """White space is single, and leaves no rule's name behind: nothing was lost."""
    return " ".join(text.split()), None


def _label(text: str) -> tuple[str, str | None]:
    found = _LEADS.match(text)
    return (text, None) if found is None else (text[found.end() :], found.group().strip())


def _credit(text: str) -> tuple[str, str | None]:
    for tail in _TAILS:
        found = tail.search(text, max(0, len(text) - _ENDING))
        if found is not None:
            rest = text[: found.start()].rstrip(" ,;|–—-")
            ending = "." if found.group().lstrip()[:1] == "." and rest[-1:].isalnum() else ""
            return rest + ending, found.group().strip()
    return text, None


def _doubled(text: str) -> tuple[str, str | None]:
    """A caption that says the same twice, whatever stands between the two, says it once."""
    words = [w.strip(".,;:!?\"'”“").lower() for w in text.split()]
    half = len(words) // 2
    if half < 2 or len(words) % 2 or words[:half] != words[half:]:
        return text, None
    parts = text.split()
    return " ".join(parts[:half]).rstrip(",;:|-–—"), " ".join(parts[half:])
