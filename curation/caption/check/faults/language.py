"""Another language or another script than the recipe asks for."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from curation.caption.check.sentences import sentences
from curation.caption.check.wordlists import words
from curation.caption.check.written import without_quotes
from curation.core.errors import RecipeError

# What Python's names of letters begin with; the recipe's spelling is the script's own, in lower case.
_SCRIPTS = {"han": "CJK"} | {
    name: name.upper()
    for name in (
        *("latin", "cyrillic", "greek", "arabic", "hebrew", "hiragana", "katakana", "hangul", "thai", "devanagari"),
        *("bengali", "tamil", "telugu", "gujarati", "gurmukhi", "kannada", "malayalam", "sinhala", "lao", "khmer"),
        *("tibetan", "myanmar", "armenian", "georgian", "ethiopic", "mongolian", "cherokee"),
    )
}
_LIKE_LATIN = ("FEMININE", "MASCULINE", "MICRO", "FULLWIDTH", "MODIFIER", "MATHEMATICAL", "DOUBLE-STRUCK", "SCRIPT")
_FOREIGN_LETTER = re.compile(r"[^\W\d_a-zA-ZÀ-ÖØ-öø-ɏ]")

# Measured on captions: English ones of 20 letters and more get at least 0.09 for English, those in eight
# other languages at most 2e-5.
_FEWEST_LETTERS = 20  # of a text that can be judged at all
_SURE_ENOUGH = 0.005  # a caption is in another language when its own has less than this probability
_SENTENCE_LETTERS = 40  # of a sentence that is judged by itself
_SENTENCE_SURE = 0.0005
_TELLING = {"en": re.compile(r"\b(?:the|and|with|of|which|its|from)\b", re.IGNORECASE)}  # these spare a closer look


def find_script(text: str, scripts: tuple[str, ...]) -> str:
    """Letters of other scripts outside of quoted writing, up to 20 of them; empty when there are none.

    Raises ``RecipeError`` for a script that has no such name.
    """
    allowed = _allowed(scripts)
    if not scripts or text.isascii():
        return ""
    unquoted = _foreign(without_quotes(text), allowed)
    # A lone π or Ω is a sign rather than Greek.
    if len(unquoted) > 1 or (unquoted and not _script(unquoted[0]).startswith("GREEK")):
        return "".join(unquoted[:20])
    everything = _foreign(text, allowed)
    letters = sum(c.isalpha() for c in text)
    return "".join(everything[:20]) if len(everything) * 2 > letters else ""


def find_language(text: str, language: str) -> str:
    """The language that the text, or a long sentence of it, is in, where that is not ``language``.

    Empty where it is, or where the text is too short to tell. Raises ``RecipeError`` for a language that
    the identifier does not know.
    """
    if not language:
        return ""
    _must_be_known(language)
    unquoted = without_quotes(text)
    if _letters(unquoted) < _FEWEST_LETTERS:
        return ""
    guess, probability = _probability(unquoted, language)
    if guess != language and probability < _SURE_ENOUGH:
        return guess
    telling = _TELLING.get(language)
    for start, end in sentences(unquoted):
        piece = unquoted[start:end]
        if _letters(piece) < _SENTENCE_LETTERS or (telling is not None and telling.search(piece)):
            continue
        guess, probability = _probability(piece, language)
        if guess != language and probability < _SENTENCE_SURE:
            return f"{guess}: {text[start:end][:60]}"
    return ""


def _foreign(text: str, allowed: tuple[str, ...]) -> list[str]:
    return [c for c in _FOREIGN_LETTER.findall(text) if not _script(c).startswith(allowed)]


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    name = unicodedata.name(char, "")
    return "LATIN" if name.startswith(_LIKE_LATIN) else name


@cache
def _allowed(scripts: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [s for s in scripts if s not in _SCRIPTS]
    if unknown:
        raise RecipeError(f"check.scripts names {unknown[0]!r}; known scripts are {', '.join(sorted(_SCRIPTS))}")
    return tuple(_SCRIPTS[s] for s in scripts)


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _probability(text: str, language: str) -> tuple[str, float]:
    """The likeliest language, and the probability of this one."""
    ranked = _identifier().rank(text)
    return ranked[0][0], dict(ranked)[language]


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _must_be_known(language: str) -> None:
    known = words("languages")
    if language not in known:
        raise RecipeError(f"check.language is {language!r}; known languages are {', '.join(sorted(known))}")
