"""Words and their roles in a caption: turns a sentence into a row of items that carry meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from curation.demo.vocabulary import (
    BACKDROPS,
    COLOUR_SYNONYMS,
    COLOURS,
    FOREIGN_COLOURS,
    KINDS,
    NEVER_SHOWN,
    NUMBERS,
    SIZE_SYNONYMS,
    TONES,
)

_PICTURE = "picture|image|scene|frame|photo|photograph|canvas|view|composition|shot|illustration|drawing"
# "on the left of the picture" is a place, "on the left of the tree" a relation.
PICTURE = re.compile(rf"\bof (?:the|this) (?:whole |entire )?(?:{_PICTURE})\b")
SPELLINGS = (
    (re.compile(r"\bcenter(ed)?\b"), r"centre\1"),
    (re.compile(r"\bgray\b"), "grey"),
    (re.compile(r"\bcolored\b"), "coloured"),
    (re.compile(r"\b(upper|top|lower|bottom|middle|centre)-(left|right|centre|middle|most)\b"), r"\1 \2"),
    (re.compile(r"\b(left|right)-hand\b"), r"\1"),
    (re.compile(r"'s\b|’s\b"), ""),
)
_TOKEN = re.compile(r"[a-z]+(?:-[a-z]+)*|\d+|[,;:.!?()]")
_MAX_WORDS = 6


@dataclass(frozen=True)
class Item:
    """A word or a fixed phrase: its role and what it means; ``filler`` words may stand inside a phrase."""

    role: str
    value: str
    plural: bool = False
    known: bool = True
    filler: bool = False


def items(sentence: str) -> list[Item]:
    """The sentence's words as items; the longest phrase wins."""
    tokens = _TOKEN.findall(sentence)
    lexicon = _lexicon()
    found, at = [], 0
    while at < len(tokens):
        for length in range(min(_MAX_WORDS, len(tokens) - at), 0, -1):
            item = lexicon.get(tuple(tokens[at : at + length]))
            if item is not None:
                found.append(item)
                at += length
                break
        else:
            found.append(_unknown(tokens[at]))
            at += 1
    return found


def _unknown(token: str) -> Item:
    if token.isdigit():
        return Item("number", token)
    head, _, tail = token.rpartition("-")
    if head and tail in ("coloured", "hued") and (head,) in _lexicon():
        return _lexicon()[(head,)]
    return Item("word", token, filler=token.endswith("ly"))


@cache
def _lexicon() -> dict[tuple[str, ...], Item]:
    return {tuple(phrase.split()): item for phrase, item in _entries()}


def _entries() -> Iterator[tuple[str, Item]]:
    yield from _small_words()
    yield from _adjectives()
    yield from _places()
    yield from _relations()
    yield from _nouns()
    for name, backdrop in BACKDROPS.items():
        for word in (*backdrop.names, *backdrop.allows):
            yield word, Item("background", word if word in backdrop.allows and word not in BACKDROPS else name)
    for tone in TONES:
        for ground in ("background", "backdrop", "wall", "surface"):
            yield f"{tone} {ground}", Item("tone", tone)
            yield f"plain {tone} {ground}", Item("plain", tone)
        yield f"from {tone}", Item("tone", tone)
        yield f"to {tone}", Item("tone", tone)


def _small_words() -> Iterator[tuple[str, Item]]:
    for word in ("a", "an", "single", "lone", "solitary"):
        yield word, Item("article", "one", filler=True)
    for word in ("the", "this", "that same", "these", "those", "each", "every", "another", "some"):
        yield word, Item("article", "the", filler=True)
    for word in ("is", "are", "looks", "look", "appears", "appear", "painted", "coloured", "was", "were", "being"):
        yield word, Item("be", word, filler=True)
    for word in ("it", "they", "itself", "themselves", "them"):
        yield word, Item("pronoun", "subject" if word in ("it", "they") else "object")
    for word in ("its", "their"):
        yield word, Item("article", "the", filler=True)
        for side in ("left", "right"):
            for lead in ("to", "on", "at"):
                yield f"{lead} {word} {side}", Item("pronoun", f"{side} of")
    for word in ("which", "that", "which leaves", "that leaves"):
        yield word, Item("which", word)
    for word in ("no", "without", "neither", "nor", "not a", "not any", "free of"):
        yield word, Item("no", word)
    for word in ("object", "objects", "thing", "things"):
        yield word, Item("something", word)
    for word in ("text", "writing", "words", "word", "lettering", "letters", "inscription"):
        yield word, Item("writing", word)
    for word in (",", ";", ":", ".", "!", "?", "(", ")", "but", "while"):
        yield word, Item("stop", word, filler=word == ",")
    yield "and", Item("and", "and", filler=True)
    for word in ("of", "part", "parts", "with", "there", "also", "both", "stands", "stand", "sits", "sit", "partially"):
        yield word, Item("word", word, filler=True)
    for word in ("background", "backdrop", "sky", "wall", "floor", "ground", "board", "sign", "water"):
        yield word, Item("scenery", word)


def _adjectives() -> Iterator[tuple[str, Item]]:
    for word, size in SIZE_SYNONYMS.items():
        yield word, Item("size", size)
    yield "medium sized", Item("size", "medium")
    colours = {**{c: c for c in COLOURS}, **COLOUR_SYNONYMS, **{c: c for c in FOREIGN_COLOURS}}
    for word, colour in colours.items():
        yield word, Item("colour", colour)
        for shade in ("light", "dark", "bright", "pale", "deep", "vivid", "sky", "forest", "royal", "blood"):
            yield f"{shade} {word}", Item("colour", colour)
    for number, word in enumerate(NUMBERS):
        yield word, Item("number", str(number))
        yield f"group of {word}", Item("number", str(number))
        yield f"row of {word}", Item("number", str(number))
    yield "one", Item("article", "one")
    for words, number in (("a pair of", 2), ("a couple of", 2), ("a trio of", 3), ("a quartet of", 4), ("a dozen", 12)):
        yield words, Item("number", str(number))
    for words in ("several", "a few", "a group of", "a row of", "many", "multiple", "a number of", "various"):
        yield words, Item("number", "many")
    for word in (
        "bright", "dark", "light", "pale", "simple", "cartoon", "toy", "pretty", "shiny", "glossy", "round",
        "identical", "matching", "similar", "outlined", "stylised", "stylized", "flat", "colourful", "cute", "tall",
        "vivid", "other",
    ):  # fmt: skip
        yield word, Item("neutral", word, filler=True)


def _nouns() -> Iterator[tuple[str, Item]]:
    for kind, words in KINDS.items():
        for name in (kind, *words.synonyms):
            plural = words.plural if name == kind else _plural(name)
            yield plural, Item("noun", kind, plural=plural != name)
            yield name, Item("noun", kind)
    for name in NEVER_SHOWN:
        yield name, Item("noun", name, known=False)
        if _plural(name) not in NEVER_SHOWN and not name.endswith("s"):
            yield _plural(name), Item("noun", name, plural=True, known=False)


def _plural(name: str) -> str:
    if name.endswith("y") and name[-2] not in "aeiou":
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("s", "sh", "ch", "x")) else "s")


def _places() -> Iterator[tuple[str, Item]]:
    rows = {"upper": "upper", "top": "upper", "middle": "middle", "centre": "middle", "central": "middle",
            "lower": "lower", "bottom": "lower"}  # fmt: skip
    columns = {"left": "left", "right": "right", "centre": "centre", "middle": "centre"}
    for row, y in rows.items():
        for column, x in columns.items():
            if (y, x) == ("middle", "centre"):
                continue
            for tail in ("", " corner", " part", " area", " side", " quadrant", " section"):
                for lead in ("", "in the ", "at the ", "near the ", "on the ", "towards the ", "to the "):
                    yield f"{lead}{row} {column}{tail}", Item("place", f"{y} {x}")
        for lead in ("in", "at", "near", "towards", "on"):
            if y != "middle":
                for centre in ("centre", "middle"):
                    yield f"{lead} the {row} in the {centre}", Item("place", f"{y} centre")
                yield f"{lead} the {row}", Item("place", f"{y} any")
                for tail in ("part", "edge", "half", "third"):
                    yield f"{lead} the {row} {tail}", Item("place", f"{y} any")
    for side in ("left", "right"):
        for lead in ("on", "at", "in", "near", "towards", "to"):
            for tail in ("", " side", " edge", " half", " part", " third"):
                yield f"{lead} the {side}{tail}", Item("place", f"any {side}")
            yield f"{lead} the {side} at mid-height", Item("place", f"middle {side}")
            yield f"{lead} the middle {side}", Item("place", f"middle {side}")
        yield f"halfway up on the {side}", Item("place", f"middle {side}")
    for lead in ("in", "at", "near"):
        for centre in ("centre", "middle", "very centre", "very middle"):
            yield f"{lead} the {centre}", Item("place", "middle centre")


def _relations() -> Iterator[tuple[str, Item]]:
    for side in ("left", "right"):
        for phrase in (
            f"{side} of", f"to the {side} of", f"on the {side} of", f"at the {side} of", f"to the {side} side of",
            f"on the {side} side of", f"further {side} than", f"farther {side} than", f"immediately {side} of",
            f"further to the {side} than", f"farther to the {side} than", f"more to the {side} than",
            f"at the {side} side of",
        ):  # fmt: skip
            yield phrase, Item("relation", f"{side} of")
    for relation, phrases in {
        "above": ("above", "higher than", "higher up than", "further up than", "farther up than", "on top of", "over"),
        "below": ("below", "beneath", "under", "underneath", "lower than", "lower down than",
                  "further down than", "farther down than"),
        "behind": ("behind", "in back of", "partly covered by", "partially covered by", "covered by", "obscured by",
                   "partly hidden by", "partially hidden by", "overlapped by", "covered in part by"),
        "in front of": ("in front of", "covers", "cover", "covering", "overlaps", "overlap", "overlapping", "hides",
                        "hide", "obscures", "obscure"),
    }.items():  # fmt: skip
        for phrase in phrases:
            yield phrase, Item("relation", relation)
