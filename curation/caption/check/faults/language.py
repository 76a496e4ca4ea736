"""Another language or another script than the recipe asks for."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from curation.caption.check.sentences import sentences
from curation.caption.check.wordlists import words
from curation.caption.check.written import without_quotes
from curation.caption.languages import code_of, profile, profiles
from curation.caption.languages.language import Language
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
_LIKE_HAN = ("IDEOGRAPHIC", "VERTICAL IDEOGRAPHIC", "HANGZHOU")
_FOREIGN_LETTER = re.compile(r"[^\W\d_a-zA-ZÀ-ÖØ-öø-ɏ]")

# Measured on captions: English ones of 20 letters and more get at least 0.09 for English, those in eight
# other languages at most 2e-5.
_FEWEST_LETTERS = 20  # of a text that can be judged at all
_SURE_ENOUGH = 0.005  # a caption is in another language when its own has less than this probability
_LONG_SENTENCE = 40  # letters of a sentence that is judged by itself
_LONG_SURE = 0.0005
# English captions hold a word of these in nearly every sentence. Measured: sentences of captions without one get at
# least 0.0046 for English, and at least 0.1 where no word of the second list stands in them either; short
# sentences in eighteen other languages get at most 0.0015, and 0.01.
_TELLING = {
    "en": frozenset(
        [
            "the",
            "and",
            "with",
            "of",
            "which",
            "its",
            "from",
            "their",
            "into",
            "behind",
            "beside",
            "while",
            "each",
            "two",
            "three",
        ]
    )
}
_COMMON = {
    "en": frozenset(
        [
            "a",
            "an",
            "in",
            "on",
            "at",
            "is",
            "are",
            "by",
            "to",
            "for",
            "his",
            "her",
            "no",
            "as",
            "or",
            "it",
            "he",
            "she",
            "they",
            "one",
            "has",
            "over",
            "under",
            "near",
            "that",
            "this",
        ]
    )
}
_SHORT_SENTENCE = 12  # letters
_SHORT_SURE = 0.0015
_NO_COMMON_SURE = 0.02
_WORD = re.compile(r"[^\W\d_]+")
_DENSE = 12  # words for each of which a sentence needs a telling one


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
    if not everything:
        return ""
    letters = sum(c.isalpha() for c in text)
    return "".join(everything[:20]) if len(everything) * 2 > letters else ""


def find_own_script(text: str, language: Language) -> str:
    """The first letters, where fewer than half of all letters outside of quoted writing are in the language's script.

    Names and brands in Latin letters stand in captions of every script.
    """
    if not language.scripts or language.scripts == ("latin",):
        return ""
    own = _allowed(language.scripts)
    letters = [c for c in without_quotes(text) if c.isalpha()]
    if sum(_script(c).startswith(own) for c in letters) * 2 >= len(letters):
        return ""
    return "".join(letters[:20])


def find_language(text: str, language: str) -> str:
    """The language that the text, or a long sentence of it, is in, where that is not ``language``, a code.

    Empty where it is, or where the text is too short to tell.
    """
    if not language:
        return ""
    unquoted = without_quotes(text)
    if language != "en":
        return _other_language(text, unquoted, profile(language))
    if _letters(unquoted) < _FEWEST_LETTERS:
        return ""
    doubtful = [(start, end) for start, end in sentences(unquoted) if not _tells(unquoted[start:end], language)]
    if not doubtful:
        return ""
    guess, probability = _probability(unquoted, language)
    short = _letters(unquoted) < _LONG_SENTENCE
    if guess != language and probability < ((short and _needed(unquoted, language)) or _SURE_ENOUGH):
        return guess
    for start, end in doubtful:
        piece = unquoted[start:end]
        sure = _needed(piece, language)
        if sure and (found := _probability(piece, language))[0] != language and found[1] < sure:
            return f"{found[0]}: {text[start:end][:60]}"
    return ""


def _tells(piece: str, language: str) -> bool:
    """Whether a sentence is plainly in this language, so that no closer look is needed."""
    telling = _TELLING.get(language)
    if telling is None:
        return False
    tokens = _WORD.findall(piece.lower())
    if sum(map(telling.__contains__, tokens)) * _DENSE >= len(tokens):
        return True
    return sum(map(_ordinary().__contains__, tokens)) * 2 >= len(tokens) > 2


@cache
def _ordinary() -> frozenset[str]:
    return words("ordinary") | words("starters")


def _needed(piece: str, language: str) -> float:
    """The probability below which a sentence is in another language; 0 where it is too short to be judged."""
    letters = _letters(piece)
    if language in _TELLING and letters >= _SHORT_SENTENCE:
        tokens = frozenset(_WORD.findall(piece.lower()))
        if tokens.isdisjoint(_TELLING[language]):
            return _NO_COMMON_SURE if tokens.isdisjoint(_COMMON[language]) else _SHORT_SURE
    return _LONG_SURE if letters >= _LONG_SENTENCE else 0.0


def _foreign(text: str, allowed: tuple[str, ...]) -> list[str]:
    return [c for c in _FOREIGN_LETTER.findall(text) if not _script(c).startswith(allowed)]


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    name = unicodedata.name(char, "").removeprefix("HALFWIDTH ")
    if name.startswith(_LIKE_HAN):
        return "CJK"
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


def required(name: str) -> str:
    """The code of the language that a recipe names by code or name; empty for an empty name.

    Raises ``RecipeError`` naming the nearest for a language that is not known.
    """
    return code_of(name, "check.language") if name.strip() else ""


def likeliest(text: str) -> str:
    """The code of the language that a text is most likely in."""
    return str(_identifier().classify(text)[0])


def _other_language(text: str, unquoted: str, language: Language) -> str:
    """As ``find_language`` for another language than English, with what its profile knows of it."""
    for start, end in sentences(unquoted, language):
        piece = unquoted[start:end]
        spoken = frozenset(_WORD.findall(piece.lower()))
        own = len(spoken & language.function_words)
        other, most = _most_function_words(spoken, language.code)
        if own == 0 and most > 1 and language.function_words and language.unit == "words":
            return f"{other}: {text[start:end][:60]}"
        if own > 1 and own > most:
            continue  # plainly in this language
        if found := _identified(piece, language, _LONG_SENTENCE, _LONG_SURE):
            return f"{found}: {text[start:end][:60]}"
    return _identified(unquoted, language, _FEWEST_LETTERS, _SURE_ENOUGH)


def _identified(piece: str, language: Language, fewest: int, sure: float) -> str:
    """The language of a text of ``fewest`` letters, where this one has a probability below ``sure``."""
    if kana := len(_KANA.findall(piece)):
        if language.code == "zh" and kana > 1:
            return "ja"
        if language.code == "ja":
            return ""
    elif language.code == "ja" and _letters(piece) >= _WITHOUT_KANA:
        return "zh"
    never = [c for c in piece.lower() if c in language.never]
    if len(never) > 1 or (never and _letters(piece) < _LONG_SENTENCE):
        guess = _probability(piece, language.code)[0]
        return guess if guess != language.code else f"letters {''.join(never)}"
    if _letters(piece) * (2 if language.unit == "characters" else 1) < fewest:
        return ""
    guess, probability = _probability(piece, language.code)
    return guess if guess != language.code and guess not in language.relatives and probability < sure else ""


def _most_function_words(spoken: frozenset[str], code: str) -> tuple[str, int]:
    """The profile, besides this one, most of whose function words are spoken, and their number."""
    counted = ((len(spoken & other.function_words), other.code) for other in profiles().values() if other.code != code)
    most, other = max(counted, default=(0, ""))
    return other, most


_WITHOUT_KANA = 8  # letters of a text that holds kana if it is Japanese
_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
