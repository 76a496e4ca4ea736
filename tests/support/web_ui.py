"""A prompt as a Stable Diffusion web UI reads it: comments, networks, AND, BREAK and attention, by its manual."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NUMBER = r"[+-]?[.\d]+"
_TOKENS = re.compile(rf"\\(.?)|([(\[])|:\s*({_NUMBER})\s*\)|([)\]])|(BREAK)|(.)", re.S)


@dataclass
class Read:
    """``prompts``: the parts that AND separates, each with its weight; a part is texts with their factors."""

    networks: list[str] = field(default_factory=list)
    prompts: list[tuple[list[tuple[str, float]], float]] = field(default_factory=list)
    breaks: int = 0


def read_prompt(text: str) -> Read:
    """What the web UI makes of a prompt."""
    read = Read()
    text = re.sub(r"#[^\n]*", "", text)
    read.networks = [m.group() for m in re.finditer(r"<\w+:[^>]+>", text)]
    text = re.sub(r"<\w+:[^>]+>", "", text)
    for part in re.split(r"\bAND\b", text):
        found = re.fullmatch(rf"(.*?)(?:\s*:\s*({_NUMBER}))?\s*", part, re.S)
        assert found is not None
        read.prompts.append((_attention(found.group(1), read), float(found.group(2) or 1.0)))
    return read


def _attention(text: str, read: Read) -> list[tuple[str, float]]:
    found: list[list[object]] = []
    opened: list[tuple[str, int]] = []
    for m in _TOKENS.finditer(text):
        escaped, opening, weight, closing, broken, other = m.groups()
        if escaped is not None:
            # A backslash that escapes none of these is dropped, and the character stands for itself.
            found.append([escaped, 1.0])
        elif opening:
            opened.append((opening, len(found)))
        elif weight is not None and opened and opened[-1][0] == "(":
            _multiply(found, opened.pop()[1], float(weight))
        elif closing and opened and opened[-1][0] == {")": "(", "]": "["}[closing]:
            bracket, at = opened.pop()
            _multiply(found, at, 1.1 if bracket == "(" else 1 / 1.1)
        elif broken and re.search(r"\bBREAK\b", text[max(0, m.start() - 1) : m.end() + 1]):
            read.breaks += 1
        else:
            found.append([(weight and m.group()) or closing or broken or other or "", 1.0])
    return [(str(t), float(str(f))) for t, f in found if t]


def _multiply(found: list[list[object]], start: int, factor: float) -> None:
    for pair in found[start:]:
        pair[1] = float(str(pair[1])) * factor
