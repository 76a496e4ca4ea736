"""Text by strangers on its way into a prompt.

``fence`` puts it between two tags that it cannot contain, because no angle bracket survives inside;
with the brackets go the control tokens of every chat template that writes them as ``<…>`` or ``[…]``.
``suspicious`` finds what reads like an order to the model.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from curation.caption.model.injection_patterns import patterns

LIMIT = 1000
# Joiners are letters' business in Persian, Hindi and emoji; all other invisible characters go.
_JOINERS = "\u200c\u200d"
_BRACKETS = {"<": "‹", ">": "›", "[": "(", "]": ")"}
_ROLE = re.compile(r"\b(system|user|assistant|human|model|ai|bot|gpt|instruction|response|input|output)\s*[:：]", re.I)
_MARKERS = re.compile(r"#{2,}|`{2,}|-{3,}|={3,}|\|{2,}|\"{3,}|'{3,}")


def fence(text: str, tag: str = "alt_text", limit: int = LIMIT) -> str:
    """``<tag>text</tag>`` on one line, at most ``limit`` characters of text, cut at a word.

    Inside stands no angle or square bracket (nor a character that Unicode normalisation turns into one),
    no control or invisible character, no line break, no ``role:`` marker and no run of markup signs.
    """
    return f"<{tag}>{defuse(text, limit)}</{tag}>"


def defuse(text: str, limit: int = LIMIT) -> str:
    """What ``fence`` puts between its tags."""
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
    """The passages, each from its first telling word to the end of its sentence, that read like orders to
    a model or imitate a chat template; empty for an ordinary alt text. As they stand in the text, but with
    invisible characters taken out and spaces made single; none twice.
    """
    visible = "".join(" " if c.isspace() else c for c in text[: LIMIT * 20] if not _hidden(c))
    visible = " ".join(unicodedata.normalize("NFKC", visible).split())
    found = [m.group().strip() for pattern in patterns() for m in pattern.finditer(visible)]
    if _smuggles(text[: LIMIT * 20]):
        found.append("hidden characters")
    return list(dict.fromkeys(found))


@cache
def _plain(char: str) -> str:
    """What a character becomes inside a fence: itself, a harmless likeness, a space, or nothing."""
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


def _smuggles(text: str) -> bool:
    """Whether the text hides characters in a number, or of a kind, that no honest text has."""
    tags = sum("\U000e0020" <= c <= "\U000e007f" for c in text)
    if "\U0001f3f4" in text:  # a black flag and six tag characters spell the flags of Scotland and Wales
        tags = max(0, tags - 6)
    overrides = any(c in "\u202d\u202e\x1b\x08" for c in text)
    return tags > 0 or overrides or sum(c in "\u200b\u2060\ufeff" for c in text) > 3
