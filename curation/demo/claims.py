"""Reads what a caption states about a scene, as single claims.

The reader knows the world's nouns, colours, numbers, sizes, places and relations in many spellings, including some
that our own phrases never use. It skips what it does not understand and never invents a claim, so a recall measured
with it is a lower bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from curation.demo.lexicon import PICTURE, SPELLINGS, Item, items

Aspect = Literal[
    "object", "colour", "count", "size", "place", "relation", "background", "tone", "text", "absent", "no text"
]
MANY = "many"
_PHRASE = 24  # items read around one; no phrase is longer
_QUOTED = re.compile(r"""["“”«»]([^"“”«»]{1,40})["“”«»]|(?<![A-Za-z])['‘]([A-Za-z][A-Za-z ]{0,30})['’](?![a-z])""")
_READS = re.compile(r"\b(?:reads?|reading|says?|saying|spells?|spelling|words?|labell?ed)\s*:?\s+([A-Z]{2,})\b")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")


@dataclass(frozen=True, order=True)
class Claim:
    """A statement: of ``subject`` (a kind, or nothing for the scene) that ``aspect`` is ``value``.

    For a relation ``value`` is its name and ``other`` the second kind; relations are normalised to
    ``left of``, ``above`` and ``behind``. A place is "row column"; ``any`` for a part that was not stated.
    """

    aspect: Aspect
    subject: str
    value: str
    other: str = ""


@dataclass
class _Mention:
    kind: str
    known: bool


@dataclass
class _Reader:
    """Reads a text sentence by sentence; the last subject carries over, for "it" and "they"."""

    found: set[Claim] = field(default_factory=set)
    subjects: list[_Mention] = field(default_factory=list)
    earlier: list[_Mention] = field(default_factory=list)

    def sentence(self, items: list[Item]) -> None:
        _Sentence(self, items).read()

    def relate(self, subject: _Mention, relation: str, other: _Mention) -> None:
        if not (subject.known and other.known) or subject.kind == other.kind:
            return
        one, two = subject.kind, other.kind
        flipped = {"right of": "left of", "below": "above", "in front of": "behind"}
        if relation in flipped:
            one, two, relation = two, one, flipped[relation]
        self.found.add(Claim("relation", one, relation, two))


def claims(text: str) -> set[Claim]:
    """All claims of the text that use the world's words. Accepts any text."""
    reader = _Reader()
    for match in _QUOTED.finditer(text):
        word = (match.group(1) or match.group(2)).strip(" .,!?")
        if word:
            reader.found.add(Claim("text", "", word.upper()))
    plain = _QUOTED.sub(" ", text)
    reader.found.update(Claim("text", "", m.group(1)) for m in _READS.finditer(plain))
    plain = _READS.sub(" ", plain).lower()
    for pattern, spelling in SPELLINGS:
        plain = pattern.sub(spelling, plain)
    plain = PICTURE.sub(" ", plain)
    for sentence in _SENTENCE.split(plain):
        reader.sentence(items(sentence))
    return reader.found


class _Sentence:
    """One sentence, left to right. Keeps relations, places and negations until their other half is read."""

    def __init__(self, reader: _Reader, items: list[Item]) -> None:
        self.reader = reader
        self.items = items
        self.first = True
        self.relation: str | None = None  # waits for its object
        self.inverted: list[tuple[str, _Mention]] = []  # wait for their subject
        self.place: str | None = None  # waits for its subject
        self.located: set[str] = set()
        self.negated = False
        self.last: _Mention | None = None
        self.spoken: list[_Mention] = []

    def read(self) -> None:
        for at, item in enumerate(self.items):
            match item.role:
                case "noun":
                    self._noun(at, item)
                case "something" if not self.negated and (at == 0 or self.items[at - 1].role != "noun"):
                    # "A red object" names no kind of the world, so its attributes make no claim.
                    self._meet(_Mention("", known=False), joined=self._joined(at))
                case "relation":
                    self.relation = item.value
                case "pronoun":
                    self._pronoun(item)
                case "which":
                    self._which()
                case "place":
                    self._place(at, item.value)
                case "background":
                    self._background(item)
                case "tone":
                    self.reader.found.add(Claim("tone", "", item.value))
                case "plain":
                    self.reader.found.update({Claim("tone", "", item.value), Claim("background", "", "plain")})
                case "no":
                    self.negated = True
                case "writing" if self.negated:
                    self.reader.found.add(Claim("no text", "", ""))
                case "colour" | "size" if self._is_predicate(at):
                    self._predicate(item)
                case "stop":
                    self.negated = False
                case "word" | "something" if not item.filler:
                    self.relation = None
        if self.spoken:
            self.reader.earlier, self.reader.subjects = self.reader.subjects, [self.spoken[0]]

    def _noun(self, at: int, item: Item) -> None:
        if at + 1 < len(self.items) and self.items[at + 1].role == "noun":
            return  # "the car key": the first noun only says which key
        mention = _Mention(item.value, item.known)
        if self.negated:
            self.reader.found.add(Claim("absent", item.value, ""))
            return
        self.reader.found.update(_attributes(self.items, at))
        self._meet(mention, joined=self._joined(at))

    def _meet(self, mention: _Mention, joined: bool = False) -> None:
        """A mention is the object of a waiting relation, or it becomes the subject."""
        if self.relation is not None:
            relation, self.relation = self.relation, None
            self.last = mention
            if self.first:
                self.inverted.append((relation, mention))
            else:
                for subject in self.reader.subjects:
                    self.reader.relate(subject, relation, mention)
            return
        self.last = mention
        if joined and not self.first:
            self.reader.subjects.append(mention)
        else:
            self.reader.earlier, self.reader.subjects = self.reader.subjects, [mention]
        self.first = False
        self.spoken.append(mention)
        for relation, other in self.inverted:
            self.reader.relate(mention, relation, other)
        self.inverted = []
        if self.place:
            self._locate(mention, self.place)
            self.place = None

    def _joined(self, at: int) -> bool:
        """Whether nothing but "and" stands between this noun phrase and the one before."""
        back = at - 1
        while back >= max(0, at - _PHRASE) and self.items[back].role in (
            "colour",
            "size",
            "number",
            "article",
            "neutral",
        ):
            back -= 1
        return back > 0 and self.items[back].value == "and" and self.items[back - 1].role == "noun"

    def _pronoun(self, item: Item) -> None:
        if self.relation is not None:
            # "a tree with a car behind it": "it" is the subject before the car.
            known = self.reader.earlier if not self.first else self.reader.subjects
            if known:
                self._meet(known[-1])
            self.relation = None
        elif item.value == "subject" and self.first and self.reader.subjects:
            self.last = self.reader.subjects[-1]
            self.first = False
            self.spoken.append(self.reader.subjects[-1])
        elif item.value in ("left of", "right of") and self.reader.earlier and not self.first:
            # "with a car to its left"
            for subject in self.reader.subjects:
                self.reader.relate(subject, item.value, self.reader.earlier[-1])

    def _which(self) -> None:
        if self.last is not None and not self.first and self.reader.subjects != [self.last]:
            self.reader.earlier, self.reader.subjects = self.reader.subjects, [self.last]

    def _place(self, at: int, value: str) -> None:
        self.relation = None
        after = next((i for i in self.items[at + 1 : at + _PHRASE] if not i.filler and i.role not in _ADJECTIVES), None)
        opens = after is not None and after.role == "noun"
        # A second place after a located thing belongs to what follows: "left a car, right a boat".
        if self.last is None or (opens and self.last.kind in self.located):
            self.place = value
        else:
            self._locate(self.last, value)

    def _locate(self, mention: _Mention, place: str) -> None:
        self.located.add(mention.kind)
        if mention.known:
            self.reader.found.add(Claim("place", mention.kind, place))

    def _background(self, item: Item) -> None:
        self.relation = None
        if not self.negated:
            self.reader.found.add(Claim("background", "", item.value))

    def _is_predicate(self, at: int) -> bool:
        """Whether a colour or size describes the subject: "the car is bright red", "a car painted red"."""
        ahead = at + 1
        while ahead < min(len(self.items), at + _PHRASE) and self.items[ahead].role in _ADJECTIVES:
            ahead += 1
        if ahead < len(self.items) and self.items[ahead].role in ("noun", "something", "background", "scenery"):
            return False
        back = at - 1
        while back >= max(0, at - _PHRASE) and (
            self.items[back].role in _ADJECTIVES or self.items[back].value == "and"
        ):
            back -= 1
        if back < 1 or self.items[back].role != "be":
            return False
        while back > max(1, at - 2 * _PHRASE) and self.items[back - 1].role == "be":
            back -= 1
        return self.items[back - 1].role in ("noun", "which", "pronoun")

    def _predicate(self, item: Item) -> None:
        for mention in [self.last] if self.last else []:
            aspect: Aspect = "colour" if item.role == "colour" else "size"
            if mention.known and not self.negated:
                self.reader.found.add(Claim(aspect, mention.kind, item.value))


_ADJECTIVES = ("colour", "size", "number", "article", "neutral")


def _attributes(items: list[Item], at: int) -> Iterator[Claim]:
    """The claims of a noun phrase's own words, read backwards from the noun."""
    noun = items[at]
    yield Claim("object", noun.value, "")
    if not noun.known:
        return
    count = MANY if noun.plural else None
    back = at - 1
    while back >= max(0, at - _PHRASE):
        item = items[back]
        match item.role:
            case "colour":
                yield Claim("colour", noun.value, item.value)
            case "size":
                yield Claim("size", noun.value, item.value)
            case "number":
                count = item.value
                break
            case "article":
                count = "1" if item.value == "one" and not noun.plural else count
                break
            case "noun" | "neutral":
                pass
            case "stop" | "and" if back and items[back - 1].role in ("colour", "size") and back < at - 1:
                pass
            case _:
                break
        back -= 1
    if back >= 2 and items[back].value == "the" and items[back - 1].value == "of":
        count = None  # "two of the apples" counts a part only
    if count is not None:
        yield Claim("count", noun.value, count)
