"""The atoms of a caption: read from a model's reply, and asked in place of the statements that they take apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from curation.caption.verify.classes import classes_of
from curation.caption.verify.statements import Statement, overlapping, unspaced
from schemas.atoms import Atom
from schemas.questions import CATEGORIES, Question
from schemas.replies import AtomReply, CaptionAtoms

_YES = "yes"
_WORD = re.compile(r"[^\W_]{2,}")
_EMPTY = re.compile(
    "an|the|and|or|but|of|to|in|on|at|by|is|are|was|were|be|has|have|it|its|they|their|he|him|his|she|her|there|this|"
    "that|these|those|which|who|with|from|for|into|as"
)
_OF_CATEGORY = {"count": "count", "text": "text", "relation": "relation"}
_OF_DETAIL = {"color": "colour", "colour": "colour", "size": "size"}


def questions_of(caption: str, reply: CaptionAtoms) -> list[Question]:
    """The atoms that a model found, numbered from 1; an atom that it names twice is one.

    The words of each are looked up in the caption, behind those of the atom before it where they stand there.
    """
    found: list[Question] = []
    numbers: dict[int, int] = {}  # of the reply -> ours
    known: dict[tuple[str, ...], int] = {}
    at = 0
    for atom in reply.atoms:
        first = known.setdefault(_same(atom), len(found) + 1)
        numbers[atom.id] = first
        if first <= len(found):
            continue
        start, end = _place(caption, atom.text, at)
        at = max(at, start)
        parents = sorted({numbers[p] for p in atom.parents} - {first})
        elements = tuple(map(_plain, atom.elements))
        found.append(
            Question(
                first, tuple(parents), atom.category, _plain(atom.detail), elements,
                _plain(atom.question), _plain(atom.answer), start, end,
            )
        )  # fmt: skip
    return found


def question_of(atom: Atom) -> Question | None:
    """The atom of a row; none where the row says that there are no atoms."""
    if atom.index is None or atom.question is None:
        return None
    category = next(c for c in CATEGORIES if c == atom.category)
    start, end = (-1, -1) if atom.start is None or atom.end is None else (atom.start, atom.end)
    return Question(
        atom.index, tuple(atom.parents), category, atom.detail or "", tuple(atom.elements),
        atom.question, atom.answer or _YES, start, end,
    )  # fmt: skip


def in_place_of(
    caption: str, spoken: Sequence[Statement], atoms: Sequence[Question], least_named: float = 0.0
) -> list[Statement]:
    """What is asked about a caption with atoms: these, and then the statements that they do not stand for.

    Atoms do not stand for a statement that holds the words of none, or of whose words they name a smaller share than
    ``least_named``, in their questions, elements or own words: a single atom may be about very little of it.
    ``start`` and ``end`` of an atom whose words stand nowhere are those of the statements that the first of its
    parents with a place stands in, else of the whole caption.
    """
    places = _places(caption, spoken, atoms)
    own: dict[int, list[Question]] = {}
    for atom in atoms:
        for index in overlapping(spoken, atom.start, atom.end) if atom.start >= 0 else ():
            own.setdefault(index, []).append(atom)
    held = {s.index for s in spoken if s.index in own and _share_named(caption, s, own[s.index]) >= least_named}
    waves: dict[int, int] = {}
    found: list[Statement] = []
    for atom in atoms:
        waves[atom.id] = 1 + max((waves[p] for p in atom.parents), default=-1)
        start, end = places[atom.id]
        hangs_on = tuple(p - 1 for p in atom.parents)
        leans_on = hangs_on[0] if hangs_on else None
        asked = _asked(atom)
        found.append(
            Statement(
                len(found), start, end, asked, -1, leans_on, asked, _classes(atom), True, hangs_on, waves[atom.id]
            )
        )
    left = [s for s in spoken if s.index not in held]
    index_of = {s.index: len(found) + n for n, s in enumerate(left)}
    for statement in left:
        leans_on = None if statement.leans_on is None else index_of.get(statement.leans_on)
        found.append(replace(statement, index=index_of[statement.index], leans_on=leans_on))
    return found


def _share_named(caption: str, statement: Statement, atoms: Sequence[Question]) -> float:
    """The share of a statement's words that its atoms name; all where words are not told apart by blanks."""
    words = _words(statement.text)
    if not words or unspaced(statement.text):
        return 1.0
    said = [t for a in atoms for t in (caption[a.start : a.end], a.question, a.answer, *a.elements)]
    return len(words & _words(" ".join(said))) / len(words)


def _words(text: str) -> set[str]:
    """The words of a text that mean something, in lower case and without the ending of a plural."""
    return {w.removesuffix("s") for w in _WORD.findall(text.lower()) if not _EMPTY.fullmatch(w)}


def _same(atom: AtomReply) -> tuple[str, ...]:
    """What two atoms share that say the same."""
    return tuple(_plain(t).casefold() for t in (atom.category, atom.detail, *atom.elements, "", atom.answer))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _place(caption: str, words: str, at: int) -> tuple[int, int]:
    """Start and end of these words in the caption, from ``at`` on where they stand there; -1 where nowhere."""
    if not words.strip():
        return -1, -1
    pattern = re.compile(r"(?<!\w)" + r"\s+".join(map(re.escape, words.split())) + r"(?!\w)", re.I)
    found = pattern.search(caption, at) or pattern.search(caption)
    return found.span() if found is not None else (-1, -1)


def _places(caption: str, spoken: Sequence[Statement], atoms: Sequence[Question]) -> Mapping[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    nowhere: set[int] = set()
    for atom in atoms:
        if atom.start >= 0:
            found[atom.id] = atom.start, atom.end
            continue
        parent = next((p for p in atom.parents if p not in nowhere), None)
        if parent is None:
            nowhere.add(atom.id)
            found[atom.id] = 0, len(caption)
        else:
            around = [spoken[i] for i in overlapping(spoken, *found[parent])]
            found[atom.id] = min(s.start for s in around), max(s.end for s in around)
    return found


def _asked(atom: Question) -> str:
    """A question whose answer is yes where the atom is true: a count or written words are named in it."""
    if atom.answer.casefold() == _YES:
        return atom.question
    return f"{atom.question} Is “{atom.answer}” the right answer?"


def _classes(atom: Question) -> tuple[str, ...]:
    """The class of statement that the atom belongs to, as recipes select them."""
    if (name := _OF_CATEGORY.get(atom.category)) is not None:
        return (name,)
    if atom.category != "attribute":
        return ("other",)
    if (name := _OF_DETAIL.get(atom.detail.casefold())) is not None:
        return (name,)
    return tuple(c for c in classes_of(atom.question) if c in ("colour", "size")) or ("other",)
