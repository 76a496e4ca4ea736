"""A caption that repeats what the model was asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_WORDS = re.compile(r"\w+(?:['’]\w+)*")
_PLACEHOLDER = re.compile(r"\{\{?[^{}]*\}\}?|<[a-z_]+>|</[a-z_]+>")
_RUN = 7  # words in a row that a caption shares with its prompt by chance hardly ever
_TRIGRAMS = 5  # shared trigrams that count only if they are also most of the caption
_IMPERATIVE = re.compile(
    r"(?:\A|(?<=[.!?:;\n]))\s*[\"“'(]?(?:please\s+)?(?:describe|state|start|begin|tell|write|provide|give|generate|create|use|avoid|mention"
    r"|include|name|list|do\s+not|don['’]?t|only|focus|make\s+sure|ensure|remember|your\s+task|be\s+sure|limit|keep"
    r"|answer|respond|reply|return|output|caption)\b[^.!?\n]{0,120}?\b(?:captions?|descriptions?|images?|pictures?|photos?"
    r"|alt[- ]text|words?|sentences?|details?|instructions?|visible|guess|invent|speculate|opinions?|json"
    r"|main\s+objects|task|answer|prompt|preamble)\b",
    re.IGNORECASE,
)


def find_prompt_echo(text: str, prompt: str) -> str:
    """The passage that the prompt speaks in rather than the captioner; empty when there is none."""
    words = _words(text)
    known = _prompt_grams(prompt)
    run = _longest_run(words, known.single, known.runs, _RUN)
    if run:
        return run
    trigrams = [tuple(words[n : n + 3]) for n in range(len(words) - 2)]
    shared = [t for t in trigrams if t in known.trigrams]
    if len(shared) >= _TRIGRAMS and len(shared) * 2 > len(trigrams):
        return " ".join(shared[0])
    order = _IMPERATIVE.search(text)
    return order[0].strip()[:80] if order is not None else ""


@dataclass(frozen=True, slots=True)
class _PromptGrams:
    single: frozenset[str]
    runs: frozenset[tuple[str, ...]]
    trigrams: frozenset[tuple[str, ...]]


@lru_cache(maxsize=32)
def _prompt_grams(prompt: str) -> _PromptGrams:
    # What stands in a placeholder's place is the caption's material, so no run reaches across it.
    pieces = [tuple(_words(p)) for p in _PLACEHOLDER.split(prompt)]
    return _PromptGrams(
        frozenset(w for p in pieces for w in p),
        frozenset(g for p in pieces for g in _grams(p, _RUN)),
        frozenset(g for p in pieces for g in _grams(p, 3)),
    )


def _longest_run(words: list[str], single: frozenset[str], runs: frozenset[tuple[str, ...]], length: int) -> str:
    for n in range(len(words) - length + 1):
        if words[n] in single and tuple(words[n : n + length]) in runs:
            return " ".join(words[n : n + length])
    return ""


def _words(text: str) -> list[str]:
    return [w.lower().replace("’", "'") for w in _WORDS.findall(text)]


def _grams(words: tuple[str, ...], length: int) -> list[tuple[str, ...]]:
    return [words[n : n + length] for n in range(len(words) - length + 1)]
