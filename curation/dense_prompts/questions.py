"""Questions about a prompt: read from a model's reply, checked, placed in the prompt, and asked as yes-or-no questions.

A question is sound when its id and its parents are, when its words stand in the prompt, and when its answer is yes, or
for a count or a written word that word. A parent comes before its child.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from schemas.prompt_records import AtomReply
from schemas.questions import NUMBERS, Question

YES = "yes"
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?](?:[\"”’')]*)\s+|\n+")
_NO_LEANING = ("entity", "global")  # categories that may stand without a parent
# How a yes-or-no question begins.
_OPENS = ("is", "are", "was", "were", "does", "do", "did", "has", "have", "can", "could", "will", "would", "should")
# Words that a question has of its own, whatever the prompt says.
_OWN = frozenset((
    "a", "an", "the", "this", "that", "these", "those", "it", "its", "they", "them", "their", "he", "she", "his",
    "her", "and", "or", "of", "in", "on", "at", "by", "to", "from", "with", "without", "for", "as", "into", "over",
    "under", "near", "is", "are", "was", "were", "be", "been", "being", "there", "any", "some", "does", "do", "did",
    "has", "have", "had", "can", "could", "will", "would", "not", "no", "only", "exactly", "all", "each", "both",
    "either", "who", "what", "which", "where", "whose", "how", "many", "much", "number", "count", "image", "picture",
    "photo", "photograph", "scene", "prompt", "shown", "show", "shows", "see", "seen", "visible", "appear", "appears",
    "look", "looks", "made", "make", "type", "kind", "one", "style", "written", "write", "writes", "say", "says",
    "said", "read", "reads", "word", "words", "text", "lettering", "letters", "color", "colour", "colored",
    "coloured", "colors", "colours", "shape", "shaped", "size", "sized", "material", "position", "located", "placed",
    "other", "object", "objects", "thing", "things",
))  # fmt: skip
_SAME = {
    "gray": "grey", "color": "colour", "center": "centre", "men": "man", "women": "woman", "children": "child",
    "people": "person", "geese": "goose", "mice": "mouse", "feet": "foot", "teeth": "tooth",
}  # fmt: skip


def read_questions(prompt: str, atoms: Sequence[AtomReply], least: int) -> tuple[Question, ...] | str:
    """The questions with their places in the prompt, or for people what is wrong with them."""
    if len(atoms) < least:
        return f"{len(atoms)} questions, at least {least} were expected"
    stems = frozenset(map(stem, words_of(prompt)))
    earlier: set[int] = set()
    asked: set[str] = set()
    for atom in atoms:
        wrong = _wrong(prompt, stems, atom, earlier)
        if not wrong and (same := " ".join(words_of(atom.question))) in asked:
            wrong = f"asks what an earlier one asks: {same}"
        if wrong:
            return f"question {atom.id} {wrong}"
        earlier.add(atom.id)
        asked.add(same)
    if not any(atom.category == "entity" for atom in atoms):
        return "no question asks whether a thing is there (category entity)"
    return tuple(_placed(prompt, atom) for atom in atoms)


def _wrong(prompt: str, stems: frozenset[str], atom: AtomReply, earlier: set[int]) -> str:
    if atom.id in earlier:
        return "has the id of another one"
    strange = [p for p in atom.parents if p not in earlier]
    if strange:
        return f"has the parent {strange[0]}, which is not before it"
    if atom.category not in _NO_LEANING and not atom.parents:
        return f"is about {atom.category} and has no parent"
    if any(mark in text for text in (atom.question, *atom.elements, atom.detail, atom.answer) for mark in "\n\r\t"):
        return "has a line break or a tab in it"
    if any(mark in text for text in (*atom.elements, atom.detail) for mark in "()"):
        return "has a bracket in its elements"  # files of other evaluation sets spell them in brackets
    if not atom.question.endswith("?"):
        return "does not end with a question mark"
    return _wrong_answer(prompt, atom) or _wrong_words(stems, atom)


def _wrong_answer(prompt: str, atom: AtomReply) -> str:
    opens = atom.question.casefold()
    match atom.category:
        case "count":
            if atom.answer not in NUMBERS[1:]:
                return f"has the answer {atom.answer!r}; expected a number from {NUMBERS[1]} to {NUMBERS[-1]}"
            if not opens.startswith("how many "):
                return "asks for a count and does not begin with How many"
            if atom.answer != NUMBERS[1] and atom.answer not in map(str.casefold, words_of(prompt)):
                return f"has the answer {atom.answer!r}, which is not in the prompt"
        case "text":
            if atom.answer == YES or atom.answer not in prompt:
                return f"has the answer {atom.answer!r}, which is not written so in the prompt"
        case _:
            if atom.answer != YES:
                return f"has the answer {atom.answer!r}; expected {YES!r}"
            if opens.split()[0] not in _OPENS:
                return "cannot be answered by yes or no"
    return ""


def _wrong_words(stems: frozenset[str], atom: AtomReply) -> str:
    own = [w for text in atom.elements for w in words_of(text) if w.casefold() not in _OWN]
    asked = [w for w in words_of(atom.question) if w.casefold() not in _OWN]
    missing = [w for w in (*own, *asked) if stem(w) not in stems]
    return f"has the word {missing[0]!r}, which is not in the prompt" if missing else ""


def words_of(text: str) -> list[str]:
    """The words of a text, those with a hyphen whole."""
    return _WORD.findall(text)


def stem(word: str) -> str:
    """A word without its inflection, roughly: foxes, fox; carrying, carries, carry; hopped, hop."""
    plain = word.casefold().replace("’", "'").removesuffix("'s")
    plain = _SAME.get(plain, plain)
    for ending, instead in (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if plain.endswith(ending) and len(plain) - len(ending) >= 3 and not plain.endswith("ss"):
            plain = plain[: -len(ending)] + instead
            break
    if len(plain) > 3 and plain[-1] == plain[-2] and plain[-1] not in "aeious":
        plain = plain[:-1]
    plain = plain.removesuffix("e") if len(plain) > 3 else plain
    return plain[:-1] + "f" if plain.endswith("v") else plain  # leaves, leaf


def _placed(prompt: str, atom: AtomReply) -> Question:
    words = [w for text in (*atom.elements, *_told(atom)) for w in words_of(text)]
    start, end = find_span(prompt, words)
    return Question(
        atom.id, tuple(atom.parents), atom.category, atom.detail, tuple(atom.elements), atom.question, atom.answer,
        start, end,
    )  # fmt: skip


def _told(atom: AtomReply) -> tuple[str, ...]:
    return () if atom.answer == YES else (atom.answer,)


def find_span(prompt: str, words: Sequence[str]) -> tuple[int, int]:
    """Start and end of the shortest place within one sentence that has all these words; (-1, -1) for none."""
    wanted = frozenset(stem(w) for w in words if len(words) == 1 or w.casefold() not in _OWN)
    best = (-1, -1)
    for low, high in _sentences(prompt):
        found = [(stem(m.group()), m.start(), m.end()) for m in _WORD.finditer(prompt, low, high)]
        last: dict[str, int] = {}
        for name, start, end in found:
            if name not in wanted:
                continue
            last[name] = start
            if wanted and len(last) == len(wanted):
                first = min(last.values())
                if best == (-1, -1) or end - first < best[1] - best[0]:
                    best = (first, end)
    return best


def _sentences(prompt: str) -> Iterator[tuple[int, int]]:
    at = 0
    for end in _SENTENCE_END.finditer(prompt):
        yield at, end.end()
        at = end.end()
    if at < len(prompt):
        yield at, len(prompt)


def as_yes_no(question: Question) -> str:
    """The question as one that is answered by yes where the picture is as the prompt says."""
    thing = question.elements[0]
    match question.category:
        case "count" if question.answer == NUMBERS[1]:
            return f"Is there exactly one {thing}?"
        case "count":
            return f"Are there exactly {question.answer} {thing}?"
        case "text":
            return f'Does the {thing} say "{question.answer}"?'
        case _:
            return question.question


def to_json(questions: Sequence[Question]) -> str:
    """Questions as text; ``from_json`` reads it back."""
    return json.dumps([dataclasses.asdict(q) for q in questions], ensure_ascii=False, separators=(",", ":"))


def from_json(text: str) -> tuple[Question, ...]:
    """Raises ``ValueError`` or ``TypeError`` for a text that holds no questions."""
    return tuple(
        Question(**{**q, "parents": tuple(q["parents"]), "elements": tuple(q["elements"])}) for q in json.loads(text)
    )


def held(questions: Sequence[Question], answered: Mapping[int, bool]) -> dict[int, bool]:
    """Which questions count as answered as expected: those that are, and whose parents all count."""
    found: dict[int, bool] = {}
    for question in questions:  # a parent comes before its child
        found[question.id] = answered[question.id] and all(found[p] for p in question.parents)
    return found
