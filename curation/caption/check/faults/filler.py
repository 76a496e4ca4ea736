"""Feelings and guesses in place of what is visible. Recorded only: the facts around them may be right."""

from __future__ import annotations

import re

from curation.caption.check.written import without_quotes

_FILLER = re.compile(
    r"\b(?:evok(?:es|ing)|convey(?:s|ing)|exud(?:es|ing)|radiat(?:es|ing)|impart(?:s|ing)|inspir(?:es|ing)|lend(?:s|ing)"
    r"|creat(?:es|ing)|suggest(?:s|ing)|giv(?:es|ing)|add(?:s|ing)(?:\s+to)?|enhanc(?:es|ing)|set(?:s|ting)|giving off"
    r"|reflect(?:s|ing)|capturing|captures)\s+(?:\w+\s+){0,5}?(?:sense|feeling|feel|mood|atmosphere|ambian?ce|aura|emotion"
    r"|vibe|charm|tone|essence|touch|air|spirit|beauty)\b"
    r"|\b(?:overall|general)\s+(?:mood|atmosphere|feel(?:ing)?|tone|vibe|ambian?ce|impression)\b"
    r"|\bsense\s+of\s+(?:wonder|calm|peace|tranquil\w+|serenity|nostalgia|adventure|joy|mystery|harmony|movement|depth"
    r"|community|warmth|elegance|unity|anticipation|excitement|solitude|whimsy)\b"
    r"|\b(?:testament\s+to|feast\s+for\s+the\s+eyes|inviting\s+(?:the\s+)?viewers?|invites?\s+(?:the\s+)?viewers?"
    r"|draws?\s+the\s+(?:viewer|eye)|tells?\s+a\s+story|speaks\s+volumes|a\s+moment\s+of\s+\w+|captured\s+in\s+time)\b",
    re.IGNORECASE,
)


def find_filler(text: str) -> str:
    """The first such passage; empty when there is none."""
    found = _FILLER.search(without_quotes(text))
    return found[0] if found is not None else ""
