"""Removes from news captions what is not about the picture: credits, agency lines, labels, markup, repetitions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from curation.caption.check.faults.escapes import unescape
from curation.news.credits import find_credit
from schemas.anchor import Clean

_LEADS = re.compile(
    r"^\s*(?:Image copyright .{0,80}? (?=(?:Image|Media) caption)|(?:Image|Media|Video|Photo) caption:?\s+|"
    r"FILE PHOTO:?\s*[-–—:]?\s*|File (?:photo|picture|image)\s*[:.–—-]\s*|FILE\s*[-–—:]+\s*|Archive photo:\s*|"
    r"(?:Photo|Image|Picture)\s*:\s+(?=[A-Z]\w+ \w+ \w+ \w+)|"
    # A dateline: LONDON (Reuters) -
    r"[A-Z][\w .,'’/-]{1,40} \((?:AP|AFP|Reuters|REUTERS|UPI|dpa|TASS|Xinhua)\)\s*[-–—]+\s+)"
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>|<!--.{0,300}?-->", re.S)
_LINK = re.compile(r"\[([^\[\]]{1,200})\]\(https?://[^)\s]{1,300}\)")
_UNSEEN = re.compile(r"[\u00ad\u200b\u200e\u200f\u2060\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LONGEST = 5_000  # characters; what goes on behind them is no caption and is cut off


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The caption, the names of the rules that fired, and what they took away."""

    text: str
    rules: tuple[str, ...]
    removed: tuple[str, ...]


def clean_caption(caption: str, recipe: Clean) -> Cleaned:
    """Applies the rules until none fires; a clean caption does not change."""
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
    plain = _UNSEEN.sub("", _until_stable(partial(_LINK.sub, r"\1"), _TAG.sub(" ", _until_stable(unescape, text))))
    return plain, None if plain == text else ""


def _until_stable(change: Callable[[str], str], text: str) -> str:
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
    found = find_credit(text)
    if found is None:
        return text, None
    rest = text[: found.start].rstrip(" ,;|–—-")
    ending = "." if found.stop and rest[-1:].isalnum() else ""
    return rest + ending, text[found.start : found.end].strip()


def _doubled(text: str) -> tuple[str, str | None]:
    """A caption that says the same twice, whatever stands between the two, says it once."""
    words = [w.strip(".,;:!?\"'”“").lower() for w in text.split()]
    half = len(words) // 2
    if half < 2 or len(words) % 2 or words[:half] != words[half:]:
        return text, None
    parts = text.split()
    return " ".join(parts[:half]).rstrip(",;:|-–—"), " ".join(parts[half:])
