"""Text by strangers, made safe to put into a prompt.

``fence`` puts the text between two tags that it cannot contain, because every angle or square bracket inside is
replaced. With the brackets go the control tokens of every chat template that writes them as ``<…>`` or ``[…]``.
``suspicious`` finds passages that read like an instruction to the model; ``injection_patterns.txt`` lists them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from curation.caption.signs import Signs

LIMIT = 1000
# Persian, Hindi and emoji need these two joiners; all other invisible characters are removed.
_JOINERS = "\u200c\u200d"
_BRACKETS = {"<": "‹", ">": "›", "[": "(", "]": ")"}
_ROLE = re.compile(r"\b(system|user|assistant|human|model|ai|bot|gpt|instruction|response|input|output)\s*[:：]", re.I)
_MARKERS = re.compile(r"#{2,}|`{2,}|-{3,}|={3,}|\|{2,}|\"{3,}|'{3,}")
_PATTERNS = Path(__file__).with_name("injection_patterns.txt")
_CLASS = re.compile(r"([A-Z]+) = (.+)")
_USE = re.compile(r"<([A-Z]{2,})>")
_SIGNS = "  signs: "
_REST_OF_SENTENCE = r"[^.!?\n]*[.!?]?"


def fence(text: str, tag: str = "alt_text", limit: int = LIMIT) -> str:
    """``<tag>text</tag>`` on one line, with at most ``limit`` characters of text, cut at a word.

    The text inside holds no angle or square bracket (nor a character that Unicode normalisation turns into one),
    no control or invisible character, no line break, no ``role:`` marker and no run of markup signs.
    """
    return f"<{tag}>{defuse(text, limit)}</{tag}>"


def defuse(text: str, limit: int = LIMIT) -> str:
    """The text that ``fence`` puts between its tags."""
    # A few times the limit is enough to look at: 100 kB of alt text must cost no more than 1 kB of it.
    text = "".join(map(_plain, text[: limit * 4]))
    text = _ROLE.sub(r"\1 -", text)
    text = _MARKERS.sub(lambda m: m.group()[0], text)
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[limit // 2 :] else head) + "…"


def suspicious(text: str) -> list[str]:
    """The passages that read like an instruction to a model or imitate a chat template; empty for most alt texts.

    Each passage runs from its first matching word to the end of its sentence, is listed once, and has single
    spaces and no invisible characters.
    """
    text = text[: LIMIT * 20]
    plain = text.isascii() and text.isprintable()  # as most are: nothing is hidden, and each character is itself
    if plain and not _any_signs().in_text(text):
        return []
    visible = text if plain else "".join(" " if c.isspace() else c for c in text if not _hidden(c))
    visible = " ".join(unicodedata.normalize("NFKC", visible).split())
    looks = (look for look in instructions() if look.may_be_in(visible))
    found = [m.group().strip() for look in looks for m in look.pattern.finditer(visible)]
    if not plain and _hides_text(text):
        found.append("hidden characters")
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Instruction:
    """A pattern of ``injection_patterns.txt``, extended to the end of its sentence, and its signs.

    One with letters ``beyond_ascii`` is looked for in every text that holds such.
    """

    pattern: re.Pattern[str]
    signs: Signs
    beyond_ascii: bool

    def may_be_in(self, text: str) -> bool:
        return (self.beyond_ascii and not text.isascii()) or self.signs.in_text(text)


@cache
def instructions() -> tuple[Instruction, ...]:
    """The patterns of ``injection_patterns.txt``."""
    classes: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for line in _PATTERNS.read_text(encoding="utf-8").splitlines():
        if not line or line == "#" or line.startswith("# "):
            continue
        named = _CLASS.fullmatch(line)
        if named:
            classes[named.group(1)] = "(?:" + named.group(2).replace(" / ", "|") + ")"
        elif line.startswith(_SIGNS):
            found[-1] = (found[-1][0], line.removeprefix(_SIGNS).removesuffix("|"))
        else:
            found.append((_USE.sub(lambda use: classes[use.group(1)], line), ""))
    return tuple(
        Instruction(
            re.compile(f"(?:{pattern}){_REST_OF_SENTENCE}", re.I),
            Signs.of(signs),
            any(c.isalpha() and not c.isascii() for c in pattern),
        )
        for pattern, signs in found
    )


@cache
def _any_signs() -> Signs:
    """The signs of all patterns."""
    return Signs.of("|".join(sign for look in instructions() for sign in look.signs))


@cache
def _plain(char: str) -> str:
    """What replaces a character inside a fence: itself, a harmless look-alike, a space, or nothing."""
    if char.isspace() or char in "\x00\x1b":
        return " "
    if _hidden(char):
        return ""
    normal = unicodedata.normalize("NFKD", char)
    if any(b in normal for b in _BRACKETS):
        return "".join(_BRACKETS.get(c, c) for c in normal if not unicodedata.combining(c))
    return char


@cache
def _hidden(char: str) -> bool:
    if char in _JOINERS:
        return False
    supplement = "\U000e0100" <= char <= "\U000e01ef"  # variation selectors that can carry a hidden text
    return supplement or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn")


def _hides_text(text: str) -> bool:
    """Whether the text holds invisible characters in a number, or of a kind, that no honest text has."""
    tags = sum("\U000e0020" <= c <= "\U000e007f" for c in text)
    if "\U0001f3f4" in text:  # a black flag and six tag characters spell the flags of Scotland and Wales
        tags = max(0, tags - 6)
    overrides = any(c in "\u202d\u202e\x1b\x08" for c in text)
    return tags > 0 or overrides or sum(c in "\u200b\u2060\ufeff" for c in text) > 3
