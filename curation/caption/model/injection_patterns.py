"""Reads ``orders.txt``: what orders to a model, and imitations of its chat template, look like."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_CLASS = re.compile(r"([A-Z]+) = (.+)")
_USE = re.compile(r"<([A-Z]{2,})>")
_REST_OF_SENTENCE = r"[^.!?\n]*[.!?]?"


@cache
def patterns() -> tuple[re.Pattern[str], ...]:
    """The patterns of ``orders.txt``, each with the rest of its sentence."""
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    classes: dict[str, str] = {}
    found: list[re.Pattern[str]] = []
    for line in text.splitlines():
        if not line or line == "#" or line.startswith("# "):
            continue
        told = _CLASS.fullmatch(line)
        if told:
            classes[told.group(1)] = "(?:" + told.group(2).replace(" / ", "|") + ")"
        else:
            pattern = _USE.sub(lambda use: classes[use.group(1)], line)
            found.append(re.compile(f"(?:{pattern}){_REST_OF_SENTENCE}", re.I))
    return tuple(found)
