"""Writes evaluation prompts about scenes of the demo world, and answers their questions from a scene's truth.

It stands in for a language model in the demo and in tests: it takes a brief's category and number, finds a scene of
that category, and says what is in it. It uses nothing else of a brief, and knows no other world.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any

from curation.demo.phrases import dense_caption, noun, setting_phrase
from curation.demo.truth import Scene, SceneObject, generator
from curation.demo.vocabulary import COLOURS, KINDS, NUMBERS
from curation.demo.world import scene

BRIEF = re.compile(r"Category: ([a-z][a-z0-9]*) \(no\. (\d+)\)")
_CATEGORIES = ("things", "counts", "relations", "text")
_APART = 100_000  # scenes of a category and number are looked for from here on

# The wordings of a relation, of which the first is asked whose words the prompt has: relation, and whether it is said
# from the other side.
_WORDINGS: Mapping[str, tuple[tuple[str, bool], ...]] = MappingProxyType(
    {
        "left of": (("left of", False), ("right of", True)),
        "right of": (("right of", False), ("left of", True)),
        "above": (("above", False), ("higher than", False), ("below", True), ("lower than", True),
                  ("underneath", True), ("beneath", True)),
        "below": (("below", False), ("lower than", False), ("underneath", False), ("beneath", False),
                  ("above", True), ("higher than", True)),
        "behind": (("behind", False), ("in front of", True), ("covered by", False)),
        "in front of": (("in front of", False), ("behind", True), ("covered by", True)),
    }
)  # fmt: skip
_MEANS = MappingProxyType(
    {"higher than": "above", "lower than": "below", "underneath": "below", "beneath": "below", "covered by": "behind"}
)


def scene_of(category: str, number: int, seed: int = 0) -> Scene:
    """The scene that the prompt of this number of a category is about. Raises ``ValueError`` for another category."""
    if category not in _CATEGORIES:
        raise ValueError(f"the demo world has no category {category!r}; expected {', '.join(_CATEGORIES)}")
    first = (_CATEGORIES.index(category) * _APART + number) * 64
    return next(s for s in (scene(seed, first + n, "heldout") for n in count()) if _shows(s, category))


def _shows(found: Scene, category: str) -> bool:
    match category:
        case "counts":
            return any(o.count > 1 for o in found.objects)
        case "relations":
            return len(found.relations) > 1
        case "text":
            return found.board is not None
        case _:
            return True


def write(found: Scene) -> dict[str, Any]:
    """The prompt about a scene and its questions, as ``schemas.prompt_records.DensePromptReply`` has them."""
    prompt = dense_caption(found, generator(found.seed, found.index, 77))
    atoms = list(_atoms(found, prompt))
    return {"prompt": prompt, "questions": [{"id": n, **atom} for n, atom in enumerate(atoms, 1)]}


def _atoms(found: Scene, prompt: str) -> Iterator[dict[str, Any]]:
    ids: dict[str, int] = {}
    number = 0
    for thing in found.objects:
        name = noun(thing.kind, thing.count)
        number += 1
        parent = ids[thing.kind] = number
        asked = f"Are there any {name}?" if thing.count > 1 else f"Is there {_article(name)} {name}?"
        yield _atom([], "entity", "whole", [name], asked)
        about = list(_about(thing, name))
        if thing.count > 1:
            number += 1
            yield _atom([parent], "count", "", [name], f"How many {name} are there?", NUMBERS[thing.count])
        for detail, value in about:
            number += 1
            be = "Are" if thing.count > 1 else "Is"
            yield _atom([parent], "attribute", detail, [name, value], f"{be} the {name} {value}?")
    for relation in found.relations:
        a, b = found.objects[relation.subject], found.objects[relation.object]
        worded = _worded(relation.name, prompt)
        if worded is not None:
            said, turned = worded
            one, other = (b, a) if turned else (a, b)
            names = noun(one.kind, one.count), noun(other.kind, other.count)
            be = "Are" if one.count > 1 else "Is"
            yield _atom(
                sorted((ids[a.kind], ids[b.kind])), "relation", "spatial", [*names, said],
                f"{be} the {names[0]} {said} the {names[1]}?",
            )  # fmt: skip
            number += 1
    if found.board is not None:
        board = "board" if "board" in prompt else "sign"
        number += 1
        yield _atom([], "entity", "whole", [board], f"Is there a {board}?")
        yield _atom([number], "text", "", [board], f"What is written on the {board}?", found.board.word)
        number += 1
    phrase = setting_phrase(found.setting)
    yield _atom([], "global", "place", [phrase.partition(" ")[2]], f"Does the picture show {phrase}?")


def _about(thing: SceneObject, name: str) -> Iterator[tuple[str, str]]:
    yield "color", thing.colour
    yield "size", "medium-sized" if thing.size == "medium" else thing.size


def _worded(relation: str, prompt: str) -> tuple[str, bool] | None:
    words = set(re.findall(r"\w+", prompt.casefold()))
    return next(((said, turned) for said, turned in _WORDINGS[relation] if words.issuperset(said.split())), None)


def _atom(
    parents: list[int], category: str, detail: str, elements: list[str], question: str, answer: str = "yes"
) -> dict[str, Any]:
    return {
        "parents": parents,
        "category": category,
        "detail": detail,
        "elements": elements,
        "question": question,
        "answer": answer,
    }


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


_BY_NOUN = {name: kind for kind in KINDS for name in (kind, KINDS[kind].plural)}
_THERE = re.compile(r"(?:Is there an?|Are there any) (.+)\?")
_EXACTLY = re.compile(r"(?:Is|Are) there exactly (\w+) (.+)\?")
_IS = re.compile(r"(?:Is|Are) the (\w+) ([\w-]+)\?")
_RELATED = re.compile(
    r"(?:Is|Are) the (\w+) "
    r"(left of|right of|above|below|behind|in front of|higher than|lower than|underneath|beneath|covered by) "
    r"the (\w+)\?"
)
_SHOWS = re.compile(r"Does the picture show (.+)\?")
_SAYS = re.compile(r'Does the \w+ say "(.+)"\?')


def answer(found: Scene, question: str) -> bool:
    """Whether a question of ``write``, as it is asked by yes or no, is true of a scene.

    Raises ``ValueError`` for a question of another form.
    """
    if m := _EXACTLY.fullmatch(question):
        thing = found.object_of(_BY_NOUN[m[2]])
        return thing is not None and NUMBERS[thing.count] == m[1]
    if m := _THERE.fullmatch(question):
        return found.board is not None if m[1] in ("board", "sign") else found.object_of(_BY_NOUN[m[1]]) is not None
    if m := _RELATED.fullmatch(question):
        return found.holds(_BY_NOUN[m[1]], _MEANS.get(m[2], m[2]), _BY_NOUN[m[3]])
    if m := _IS.fullmatch(question):
        thing = found.object_of(_BY_NOUN[m[1]])
        value = thing and (thing.colour if m[2] in COLOURS else thing.size)
        return value == m[2].removesuffix("-sized")
    if m := _SHOWS.fullmatch(question):
        return setting_phrase(found.setting) == m[1]
    if m := _SAYS.fullmatch(question):
        return found.board is not None and found.board.word == m[1]
    raise ValueError(f"not a question about the demo world: {question}")
