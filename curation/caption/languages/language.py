"""A language profile, and the small notation in which its phrases are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

_GAP = r"[^.!?。！？।؟\n]{0,40}?"
_BLANK, _MAYBE = r"\s{1,3}", r"\s{0,3}"
_STEM = r"\w{0,24}"


@dataclass(frozen=True, eq=False)  # each profile is one object, told apart by identity
class Language:
    r"""What is known of a language.

    Phrases are regular expressions without regard to case, in which a blank stands for white space and `` ?`` for what may be some, ``…`` for up to
    40 characters of the same sentence, and ``*`` at the start or end of a phrase for the rest of a word. Without
    ``*`` a phrase begins and ends with a whole word, in languages that separate words. No phrase has a repetition
    without bound except ``\w*`` and ``\w+`` inside of a word, so that the work grows no faster than the text.
    """

    code: str  # ISO 639, as the identifier of languages has it
    names: tuple[str, ...]  # what people call it, the English name first
    scripts: tuple[str, ...]  # of its letters, as ``check.scripts`` names them
    unit: Literal["words", "characters"] = "words"  # in which texts are measured
    per_word: float = 1.0  # units that say as much as one English word; limits of length are scaled by it
    capitals: Literal["names", "nouns", "none"] = "names"  # what a capital inside a sentence tells
    relatives: frozenset[str] = frozenset()  # codes that the identifier takes short texts of it for
    never: frozenset[str] = frozenset()  # letters of a related language that this one never uses
    function_words: frozenset[str] = frozenset()  # that stand in nearly every sentence
    dangling: frozenset[str] = frozenset()  # words after which more must come
    abbreviations: frozenset[str] = frozenset()  # written with a full stop, here without the last one
    verb_last: bool = False  # whether a verb, and a word such as "named", stands behind what it belongs to
    ordinals: bool = False  # whether a full stop behind a number makes it an ordinal number

    openings: tuple[str, ...] = ()  # at the start of a text, saying only that an image is described
    closings: tuple[str, ...] = ()  # at the end of the first sentence, belonging to such an opening
    refusals: tuple[str, ...] = ()  # that make a sentence a refusal by themselves
    narrator: tuple[str, ...] = ()  # the first person: a caption has no narrator, so that these make it a refusal too
    first_person: tuple[str, ...] = ()  # what may be another person too: with one of ``denials`` or ``tasks`` a refusal
    denials: tuple[str, ...] = ()
    inability: tuple[str, ...] = ()  # without a person; with one of ``tasks`` a refusal
    please: tuple[str, ...] = ()  # with one of ``tasks`` a refusal
    tasks: tuple[str, ...] = ()  # what an assistant is asked for, or asks for
    alt_talk: tuple[str, ...] = ()  # of the alt text; a caption that rests on it is rejected
    talk: tuple[str, ...] = ()  # of the caption or the request; such a sentence is cut off
    labels: tuple[str, ...] = ()  # of a caption, in front of a colon

    titles: frozenset[str] = frozenset()  # words in front of a person's name
    named: tuple[str, ...] = ()  # phrases in front of a name: "named", "called"
    places: tuple[str, ...] = ()  # phrases in front of the name of a place: "in the village of"
    given_names: tuple[str, ...] = ()  # locales of Faker whose given names are common
    prompts: Mapping[str, str] = field(default_factory=dict)  # the texts of the project's prompts, by their names

    def pattern(self, what: str) -> re.Pattern[str]:
        """The phrases of one of the fields as one pattern; it matches nothing where there are none."""
        return _pattern(self.code, getattr(self, what), spaced=self.unit == "words")

    def start_pattern(self, what: str) -> re.Pattern[str]:
        """As ``pattern``, without regard to whether a word ends behind the phrase, for the start of a text."""
        return _pattern(self.code, getattr(self, what), spaced=False)


@cache
def _pattern(code: str, phrases: tuple[str, ...], *, spaced: bool) -> re.Pattern[str]:
    if not phrases:
        return re.compile(r"(?!)")
    return re.compile("|".join(_compiled(p, spaced=spaced) for p in phrases), re.IGNORECASE)


def _compiled(phrase: str, *, spaced: bool) -> str:
    open_end = phrase.endswith("*")
    core = phrase.removeprefix("*").removesuffix("*").removesuffix("\\w")
    core = core.replace("…", _GAP).replace(" ?", _MAYBE).replace(" ", _BLANK)
    before = _STEM if phrase.startswith("*") else ""
    left = r"(?<!\w)" if spaced else ""
    right = r"(?!\w)" if spaced and not open_end else ""
    return f"(?:{left}{before}(?:{core}){right})"


def words(text: str) -> frozenset[str]:
    """The words of a text, separated by white space."""
    return frozenset(text.split())
