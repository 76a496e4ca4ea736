"""Concepts: the English nouns by which captions are counted, taken from the list of ordinary words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from curation.caption.check.wordlists import sections, words

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "People and parts of the body": "people and parts of the body",
        "Animals": "animals",
        "Plants, weather, land": "nature",
        "Buildings and streets": "buildings and streets",
        "Furniture and things at home": "things",
        "Clothes": "clothes",
        "Vehicles": "vehicles",
        "Food": "food",
    }
)
"""Headings of the list of ordinary words, each with the name of its group of concepts."""

WOMEN = frozenset(
    ["woman", "girl", "lady", "mother", "mom", "grandmother", "grandma", "sister", "daughter", "bride", "bridesmaids"]
)
MEN = frozenset(
    ["man", "boy", "gentleman", "guy", "father", "dad", "grandfather", "grandpa", "brother", "son", "groom"]
)
CHILDREN = frozenset(["child", "kid", "boy", "girl", "baby", "toddler"])
ADULTS = frozenset(["adult", "man", "woman", "lady", "gentleman", "guy"])

# Plurals of the list that no rule below gives.
_IRREGULAR = {
    "men": "man", "women": "woman", "gentlemen": "gentleman", "children": "child", "people": "person",
    "mice": "mouse", "geese": "goose", "feet": "foot", "cacti": "cactus",
}  # fmt: skip


@cache
def concepts() -> Mapping[str, tuple[str, str]]:
    """Word -> the concept that it names, in the singular where the list has one, and the concept's group.

    A word that stands under two headings, or in ``no_concepts``, is left out: it would be counted for what it seldom
    means. Plurals that the list lacks are added.
    """
    listed = sections("ordinary")
    under: dict[str, list[str]] = {}
    for heading, found in listed.items():
        for word in found:
            under.setdefault(word, []).append(heading)
    single = {w: GROUPS[h[0]] for w, h in under.items() if len(h) == 1 and h[0] in GROUPS and " " not in w}
    single = {w: group for w, group in single.items() if w not in words("no_concepts")}
    made = {word: (_singular(word, single, group), group) for word, group in single.items()}
    for word, group in single.items():
        if made[word][0] == word and not word.endswith("s") and word not in _IRREGULAR:
            plural = next(_plurals(word))
            if plural not in under and plural not in words("no_concepts"):
                made[plural] = (word, group)
    return MappingProxyType(made)


def _singular(word: str, known: Mapping[str, str], group: str) -> str:
    """The listed singular of a listed word; the word itself where there is none in its group."""
    candidates = [_IRREGULAR[word]] if word in _IRREGULAR else []
    if word.endswith("s") and not word.endswith("ss"):
        candidates.append(word[:-1])
        if word.endswith("es"):
            candidates.append(word[:-2])
        if word.endswith("ies"):
            candidates.append(f"{word[:-3]}y")
        if word.endswith("ves"):
            candidates += [f"{word[:-3]}f", f"{word[:-3]}fe"]
    return next((c for c in candidates if known.get(c) == group), word)


def _plurals(word: str) -> Iterator[str]:
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        yield f"{word[:-1]}ies"
    elif word.endswith(("ch", "sh", "x", "z")):
        yield f"{word}es"
    else:
        yield f"{word}s"
