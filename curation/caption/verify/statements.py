"""Splits a caption into statements, and puts it together again without some of them.

A statement is a sentence, or an independent clause of one: where a clause has a subject and a verb of its own, it can
be true or false by itself. In doubt a sentence stays whole. The rules know English; in other languages, statements
are sentences. In a caption of comma-separated tags each tag is a statement.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from curation.caption.check.sentences import sentences
from curation.caption.languages import profile
from curation.caption.languages.language import Language
from curation.caption.verify.classes import classes_of

_ENGLISH = profile("en")

_VERBS = (
    r"(?:is|are|was|were|has|have|can be|stands?|sits?|lies?|lays?|hangs?|rests?|leans?|holds?|wears?|carries|carry|"
    r"shows?|reads?|says?|spells?|covers?|fills?|appears?|looks?|seems?|stretch(?:es)?|rises?|surrounds?|floats?|"
    r"grows?|extends?|faces?|contains?|displays?|features?|occupies|occupy|takes?|makes?|runs?|walks?|rides?|plays?|"
    r"reaches|reach|falls?|casts?|glows?|shines?|reflects?|overlaps?|touches|touch|hides?|gazes?|smiles?|flies|fly|"
    r"eats?|drinks?|points?|drapes?|flanks?|frames?|forms?|belongs?|matches|match|contrasts?|sleeps?|swims?|"
    r"jumps?|dances?|waits?|works?|watch(?:es)?|burns?|bends?|opens?|closes?|drives?|sails?|climbs?|cross(?:es)?|"
    r"crouch(?:es)?|kneels?|poses?|perch(?:es)?|gathers?|lines?|dominates?|provides?|adds?|creates?|gives?|leads?|"
    r"comes?|goes|go|can|slopes?|curves?|winds?|spreads?|drifts?|moves?|turns?|talks?|sings?|laughs?|cuts?|pulls?|"
    r"push(?:es)?|pours?|throws?|catch(?:es)?|kicks?|hits?|blooms?|grazes?|barks?|remains?|begins?|ends?)"
)
_SUBJECT = (
    r"(?:an?|the|there|one|two|three|four|five|six|seven|eight|nine|ten|some|several|many|each|both|another|it|its|"
    r"they|their|he|his|she|her|this|that|these|those|in|on|to|at|behind|below|above|beside|next|under|near|nothing)"
)
_CLAUSE = re.compile(
    rf"(?P<comma>;\s+|,\s+(?:and|but|while|whereas|yet)\s+|\s+(?:while|whereas)\s+|:\s+)(?={_SUBJECT}\b)", re.I
)
_VERB = re.compile(rf"\b{_VERBS}\b", re.I)
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")  # scripts that write no full stop of ours
_LEAST_WORDS = 3  # of a clause that stands alone
_TRAIL = re.compile(r"[.!?…。！？]+[\"'”’»)\]」』]*$")
_QUOTE = re.compile(r"[\"“«„][^\"“”«»„]{1,300}[\"”»“]")
_MOST_CLAUSES = 20  # of a sentence; the rest of a longer one stays with its last clause
_CONTEXT = 400  # characters of the statements that one leans on

_TAG = re.compile(r"[^,\s](?:[^,]*[^,\s])?")
_PRONOUN = re.compile(r"\b(?:it|they|them|he|him|she|these|those|itself|themselves)\b", re.I)
# These may refer to something in their own statement: "two men, both in hats", "a dog with its tail up".
_RELATIVE = re.compile(
    r"\b(?:its|their|his|her|hers|theirs|both|the (?:first|second|third|fourth|other|others|latter|former|same)|"
    r"another(?: one)?|(?:one|each|either|some|all|none) of them|that one|this one|the rest)\b",
    re.I,
)
_NOUN = re.compile(
    r"\b(?:an?|the|one|two|three|four|five|six|seven|eight|nine|ten|some|several|many)\s+(?!first|second|third|other|"
    r"latter|former|same)[^\W\d_]{2,}",
    re.I,
)
_SUBJECT_WORDS = 3  # the words at the beginning among which a pronoun is the statement's subject


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence or a clause at ``start`` to ``end`` of its caption, without what joins it to its neighbours.

    ``leans_on`` is the index of the statement whose words it refers back to ("it", "the second one"). ``asked`` is
    what can be judged alone: the text, behind those that it leans on. What stands for an atom (see ``atoms``) is asked
    as a ``question``, and only once those that it ``hangs_on`` are true; ``wave`` says after how many others.
    """

    index: int
    start: int
    end: int
    text: str
    sentence: int
    leans_on: int | None
    asked: str
    classes: tuple[str, ...]
    question: bool = False
    hangs_on: tuple[int, ...] = ()
    wave: int = 0


def split(caption: str, language: Language = _ENGLISH, *, tags: bool = False) -> list[Statement]:
    """The statements of a caption in their order; none of a blank one. ``tags``: the caption is a list of tags."""
    english = language.code == "en"
    if tags:
        return [_of_tag(n, m, english) for n, m in enumerate(_TAG.finditer(caption))]
    found: list[Statement] = []
    for number, (start, end) in enumerate(sentences(caption, language)):
        for first, last in _clauses(caption, start, end, english):
            text = caption[first:last]
            leans_on = len(found) - 1 if found and english and refers_back(text) else None
            before = "" if leans_on is None else found[leans_on].asked
            asked = f"{before} {_sentence(text)}" if before and len(before) <= _CONTEXT else _sentence(text)
            found.append(
                Statement(
                    len(found), first, last, text, number, leans_on, asked, classes_of(text) if english else ("other",)
                )
            )
    return found


def _of_tag(index: int, found: re.Match[str], english: bool) -> Statement:
    """A tag is no sentence and refers to no other tag, so that it is asked about in a sentence of its own."""
    text = found[0]
    asked = f"The image shows: {text}."
    classes = classes_of(text) if english else ("other",)
    return Statement(index, found.start(), found.end(), text, index, None, asked, classes)


def refers_back(text: str) -> bool:
    """Whether a statement refers to something outside it: a pronoun, or "the other one".

    What has a noun of the statement itself before it ("a dog with its tail up"), and a pronoun with two ("a woman
    lifts a cup and drinks from it"), does not.
    """
    if (found := _PRONOUN.search(text)) and len(text[: found.start()].split()) < _SUBJECT_WORDS:
        return True
    if found and len(_NOUN.findall(text, 0, found.start())) < 2:
        return True
    relative = _RELATIVE.search(text)
    return relative is not None and _NOUN.search(text, 0, relative.start()) is None


def without(
    caption: str,
    statements: Sequence[Statement],
    dropped: Collection[int],
    language: Language = _ENGLISH,
    *,
    tags: bool = False,
) -> str:
    """The caption without the statements of these indices; each sentence that is left ends as it did.

    A tag goes with its comma.
    """
    if not dropped:
        return caption
    if tags:
        return ", ".join(s.text for s in statements if s.index not in dropped)
    kept: list[str] = []
    for (start, end), group in zip(sentences(caption, language), _by_sentence(statements), strict=True):
        left = [s for s in group if s.index not in dropped]
        if len(left) == len(group):
            kept.append(caption[start:end])
        elif left:
            kept.append(_joined(caption, group, left) + caption[group[-1].end : end])
    return (" " if language.unit == "words" else "").join(kept)


def with_leaning(statements: Sequence[Statement], false: Collection[int]) -> set[int]:
    """The indices of the false statements and of all that lean on one of them, directly or not."""
    gone: set[int] = set()
    for statement in statements:
        if statement.index in false or statement.leans_on in gone:
            gone.add(statement.index)
    return gone


def overlapping(statements: Sequence[Statement], start: int, end: int) -> set[int]:
    """The indices of the statements that hold characters of ``start`` to ``end``; of what joins two, the first."""
    found = {s.index for s in statements if s.start < end and start < s.end}
    return found or {max((s.index for s in statements if s.start <= start), default=0)}


def _by_sentence(statements: Sequence[Statement]) -> list[list[Statement]]:
    return [list(group) for _, group in groupby(statements, key=lambda s: s.sentence)]


def _joined(caption: str, own: Sequence[Statement], left: Sequence[Statement]) -> str:
    """The clauses that are left of a sentence, each with what joined it to the clause before it."""
    text = left[0].text if left[0] is own[0] else left[0].text[:1].upper() + left[0].text[1:]
    for statement in left[1:]:
        before = own[own.index(statement) - 1]
        text += caption[before.end : statement.start] + statement.text
    return text


def _clauses(caption: str, start: int, end: int, english: bool) -> list[tuple[int, int]]:
    """The spans of a sentence's independent clauses, without conjunctions and the sentence's last mark."""
    trail = _TRAIL.search(caption, start, end)
    stop = trail.start() if trail is not None else end
    quoted = [m.span() for m in _QUOTE.finditer(caption, start, end)]
    spans: list[tuple[int, int]] = []
    first = start
    for mark in islice(_CLAUSE.finditer(caption, start, stop), _MOST_CLAUSES if english else 0):
        if any(a <= mark.start() < b for a, b in quoted):
            continue
        if _stands_alone(caption[first : mark.start()]) and _stands_alone(caption[mark.end() : stop]):
            spans.append((first, mark.start()))
            first = mark.end()
    return [*spans, (first, stop)] if first < stop else [(start, end)]


def _stands_alone(text: str) -> bool:
    return len(text.split()) >= _LEAST_WORDS and _VERB.search(text) is not None


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if unspaced(text) else f"{text}."


def unspaced(text: str) -> bool:
    """Whether a text has characters of scripts that put no blanks between words."""
    return not text.isascii() and _WIDE.search(text) is not None
