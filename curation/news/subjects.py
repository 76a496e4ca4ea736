"""Key subjects of a caption: from a model's replies, aligned and normalised, or by a heuristic."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from curation.news.spans import Span, extent, is_whole
from schemas.replies import SubjectWeights

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})
_WORD = re.compile(r"\w")
_EDGES = " \t\r\n\"'.,;:!?()[]"
_POSSESSIVE = re.compile(r"['’]s?$")
_ARTICLE = re.compile(r"^(?:the|a|an)\s+", re.I)
TIMES = frozenset({"DATE", "TIME"})


@dataclass(frozen=True, slots=True)
class Subject:
    """``caption[start:end]``, its weight 0..1, and the spread of the weight over several replies."""

    start: int
    end: int
    weight: float
    kind: str
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class Weighed:
    """The subjects in the order of the text, and what replies named that the caption does not have."""

    subjects: tuple[Subject, ...]
    dropped: tuple[str, ...] = ()


def weigh(caption: str, replies: Sequence[SubjectWeights], entities: Sequence[Span], most: int) -> Weighed:
    """The subjects of one or more replies, averaged.

    A subject counts where the caption has it, whatever its case, quotes, article or possessive; others are dropped,
    and so is the whole caption. Its weight is the mean over all replies, 0 in those that do not name it; then all are
    divided by the greatest, so that it is 1. Subjects of weight 0 and all beyond the ``most`` weightiest go.
    """
    found: dict[tuple[int, int], list[float]] = {}
    dropped: list[str] = []
    bounds = extent(caption)
    for reply in replies:
        weights: dict[tuple[int, int], float] = {}
        for subject in reply.subjects:
            place = align(caption, subject.text)
            if place is None or is_whole(caption, bounds, *place) or not math.isfinite(subject.weight):
                dropped.append(subject.text)
            else:
                weights[place] = max(weights.get(place, 0.0), min(1.0, max(0.0, subject.weight)))
        for place, weight in weights.items():
            found.setdefault(place, []).append(weight)
    count = len(replies)
    raw = {p: [*w, *[0.0] * (count - len(w))] for p, w in found.items()}
    means = {p: sum(w) / count for p, w in raw.items()}
    top = max(means.values(), default=0.0)
    chosen = sorted((p for p, m in means.items() if m > 0), key=lambda p: (-means[p], p))[:most]
    subjects = tuple(
        Subject(
            *place,
            weight=round(means[place] / top, 4),
            kind=kind_of(place, entities),
            spread=round(statistics.pstdev(raw[place]), 4) if count > 1 else None,
        )
        for place in sorted(chosen)
    )
    return Weighed(subjects, tuple(dict.fromkeys(dropped)))


def align(caption: str, text: str) -> tuple[int, int] | None:
    """The position of the text in the caption: verbatim, or else ignoring case, quotes, article and possessive."""
    text = text.strip()
    for plain in dict.fromkeys((text, text.strip(_EDGES), _ARTICLE.sub("", _POSSESSIVE.sub("", text.strip(_EDGES))))):
        if any(c.isalnum() for c in plain):
            place = _find(caption, plain)
            if place is not None:
                return place
    return None


def kind_of(place: tuple[int, int], entities: Sequence[Span]) -> str:
    """``named`` where a named entity, dates left out, stands in the span; else ``generic``."""
    start, end = place
    named = any(e.start < end and start < e.end and e.label not in TIMES for e in entities)
    return "named" if named else "generic"


def _find(caption: str, text: str) -> tuple[int, int] | None:
    """The first occurrence as whole words, as written before in any case, whatever the blanks between them."""
    for haystack, needle in ((caption, text), (_folded(caption), _folded(text))):
        at = haystack.find(needle)
        if at >= 0 and not _within_word(haystack, at, at + len(needle)):
            return at, at + len(needle)
        words = re.escape(" ".join(needle.split())).replace(r"\ ", r"\s+")
        found = re.search(rf"(?<!\w){words}(?!\w)", haystack)
        if found:
            return found.span()
    return None


def _within_word(text: str, start: int, end: int) -> bool:
    """Whether a word goes on before or behind."""
    return bool(_WORD.match(text, start - 1) if start else None) or bool(_WORD.match(text, end))


@lru_cache(maxsize=1024)
def _folded(text: str) -> str:
    """In lower case with plain quotes, a character for a character."""
    return "".join(low if len(low := c.lower()) == 1 else c for c in text.translate(_QUOTES))


# Salience: no model, only the text's own signs. A baseline to be beaten.

_BY_LABEL = {
    "PERSON": 1.0, "ORG": 0.7, "NORP": 0.6, "PRODUCT": 0.6, "WORK_OF_ART": 0.6, "EVENT": 0.5, "FAC": 0.4, "GPE": 0.4,
    "LOC": 0.4, "LAW": 0.4,
}  # fmt: skip
_GENERIC = 0.8
_DECAY = 0.9
_THING = re.compile(
    r"\b(?:an?|the|two|three|four|five|six|seven|eight|nine|ten|some|several)\s+((?:[a-z][\w-]*\s+){0,2}[a-z][\w-]*)",
    re.I,
)
_STOP = re.compile(
    r"\s+(?:is|are|was|were|be|has|have|had|of|in|on|at|to|by|for|from|with|and|or|as|after|before|during|near|beside|"
    r"next|outside|inside|over|under|who|that|which|while|when|\w{3,}(?:ed|ing)|given|shown|held|made|taken|worn|lent|stands?|sits?|walks?|waves?|looks?|seen)\b.*",
    re.I | re.S,
)


def salience(caption: str, entities: Sequence[Span], most: int) -> Weighed:
    """Subject weights by a simple rule: named entities and the first nouns, with lower weights later in the caption.

    The weight is that of its label (a person 1, a place 0.4; a thing 0.8) times 0.9 for every subject before
    it, divided by the greatest.
    """
    bounds = extent(caption)
    places = {(e.start, e.end): _BY_LABEL.get(e.label, 0.5) for e in entities if e.label not in TIMES}
    for found in _THING.finditer(caption):
        phrase = _STOP.sub("", found.group())
        start, end = found.start(), found.start() + len(phrase)
        whole = is_whole(caption, bounds, start, end)
        if len(phrase.split()) > 1 and not whole and not any(a < end and start < b for a, b in places):
            places[start, end] = _GENERIC
    weights = {place: places[place] * _DECAY**n for n, place in enumerate(sorted(places))}
    top = max(weights.values(), default=1.0)
    chosen = sorted(weights, key=lambda p: (-weights[p], p))[:most]
    return Weighed(
        tuple(Subject(*p, weight=round(weights[p] / top, 4), kind=kind_of(p, entities)) for p in sorted(chosen))
    )
