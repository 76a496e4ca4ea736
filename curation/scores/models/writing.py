"""The script, the language and the words of a text that was read from a picture."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache
from typing import Any

_FEWEST_LETTERS = 20  # of a text whose language can be guessed at all
_SURE = 0.5  # lowest probability of a language that is told
_WITHOUT_SPACES = ("han", "hiragana", "katakana", "thai", "lao", "khmer", "myanmar")
_RUN = re.compile(r"\w+(?:['’.-]\w+)*")


def script_of(text: str) -> str | None:
    """The script of most letters, in small letters, such as latin or han; None without letters."""
    counts = Counter(s for s in map(_script, text) if s)
    return min(counts, key=lambda s: (-counts[s], s)) if counts else None


def language_of(text: str) -> str | None:
    """The code (ISO 639-1) of the likely language, guessed by py3langid; None for too few letters, or a close call."""
    plain = " ".join(text.split())
    if sum(c.isalpha() for c in plain) < _FEWEST_LETTERS:
        return None
    # Signs are often in capitals, which the model has seen little of.
    language, probability = _identifier().classify(plain.lower())
    return str(language) if probability >= _SURE else None


def words_in(text: str) -> int:
    """Words; of scripts that set no spaces, characters."""
    count = 0
    for run in _RUN.findall(text):
        alone = sum(_script(c) in _WITHOUT_SPACES for c in run)
        count += alone + (alone < len(run))
    return count


@cache
def _script(character: str) -> str:
    if not character.isalpha():
        return ""
    first = unicodedata.name(character, "").partition(" ")[0].lower()
    return {"cjk": "han", "fullwidth": "latin", "halfwidth": "katakana"}.get(first, first)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
