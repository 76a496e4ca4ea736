"""Refusals, openings, labels and talk in the words of a language profile.

English has finer means of its own, in the modules beside this one; they run for every language, since models answer
in English too.
"""

from __future__ import annotations

import re
from functools import cache

from curation.caption.check.faults.boilerplate import capitalise
from curation.caption.check.finding import Finding
from curation.caption.check.sentences import sentences
from curation.caption.check.written import without_quotes
from curation.caption.languages.language import Language
from schemas.reasons import Reason

_MOST_OPENINGS = 4  # may follow each other: "Gerne! Hier ist die Beschreibung: Das Bild zeigt"
_BEFORE = re.compile(r"[\s¡¿\"“„«»‘「『*_]*")
_BEHIND = re.compile(r"[\s:：,，、]*")
_STOP = re.compile(r"[\s.!?。！？।؟…\"”“»’」』]*\Z")
_FEWEST_LETTERS = 4  # of a caption that must be left
_QUESTION = re.compile(r"[?？؟]\W*\Z")
_MARKS = re.compile(r"[\u064b-\u0652\u0640]")  # vowel signs and lengthening, which Arabic may leave out


def find_refusal(text: str, language: Language) -> Finding | None:
    """The first sentence outside of quoted writing that declines, regrets or asks for an image."""
    plain = without_quotes(text)
    for start, end in sentences(plain, language):
        if _refuses(plain[start:end], language):
            return Finding(Reason.REFUSAL, text[start:end])
    return None


def strip_opening(text: str, language: Language) -> tuple[str, str]:
    """The text without an opening such as "Das Bild zeigt", capitalised anew, and the opening; empty without one.

    Where the language puts the verb last, the end of the sentence that belongs to the opening goes with it.
    """
    openings = language.start_pattern("openings")
    start = 0
    for _ in range(_MOST_OPENINGS):
        at = _BEFORE.match(text, start)
        found = openings.match(text, at.end() if at is not None else start)
        if found is None or found.end() == start or not _may_end(text, found.end(), language):
            break
        behind = _BEHIND.match(text, found.end())
        start = behind.end() if behind is not None else found.end()
    if not start or sum(map(str.isalpha, text[start:])) < _FEWEST_LETTERS:
        return text, ""
    return _capitalised(_without_closing(text[start:], language), language), text[:start].strip()


def strip_talk(text: str, language: Language) -> tuple[str, list[Finding]]:
    """The text without sentences about the caption or the request; what rests on the alt text rejects."""
    found: list[Finding] = []
    plain = without_quotes(text)
    alt, talk, labels = (language.pattern(what) for what in ("alt_talk", "talk", "labels"))
    kept: list[tuple[int, int]] = []
    for start, end in sentences(plain, language):
        sentence = plain[start:end]
        if (said := alt.search(sentence)) is not None:
            return text, [Finding(Reason.TASK_TALK, said[0])]
        if talk.search(sentence) is not None or _is_label(sentence, labels):
            found.append(Finding(Reason.TASK_TALK, text[start:end][:120], rejects=False))
        else:
            kept.append((start, end))
    if not found:
        return text, []
    if not kept:
        return text, [Finding(Reason.TASK_TALK, found[0].passage)]
    return (" " if language.unit == "words" else "").join(text[a:b] for a, b in kept), found


def _refuses(sentence: str, language: Language) -> bool:
    def says(what: str) -> bool:
        return language.pattern(what).search(sentence) is not None

    sentence = _MARKS.sub("", sentence)
    if says("refusals") or says("narrator"):
        return True
    task = says("tasks")
    if task and _QUESTION.search(sentence):
        return True  # a caption asks nothing
    if says("first_person") and (task or says("denials")):
        return True
    return task and (says("please") or says("inability"))


def _may_end(text: str, end: int, language: Language) -> bool:
    """Whether an opening ends with a whole word."""
    if language.unit == "characters" or end >= len(text):
        return True
    return not (text[end - 1].isalpha() and text[end].isalpha())


def _without_closing(text: str, language: Language) -> str:
    first = next(iter(sentences(text, language)), None)
    if first is None or not language.closings:
        return text
    sentence = text[first[0] : first[1]]
    stop = _STOP.search(sentence)
    body = sentence[: stop.start()] if stop is not None else sentence
    found = _closing(language).search(body)
    if found is None or sum(map(str.isalpha, body[: found.start()])) < _FEWEST_LETTERS:
        return text
    return body[: found.start()].rstrip(" ,、，") + sentence[len(body) :] + text[first[1] :]


@cache
def _closing(language: Language) -> re.Pattern[str]:
    return re.compile(f"(?:{language.start_pattern('closings').pattern})\\Z", re.IGNORECASE)


def _is_label(sentence: str, labels: re.Pattern[str]) -> bool:
    found = labels.match(sentence.lstrip("*_-–—([ "))
    return found is not None and re.match(r"\s*[\])*_]{0,3}\s?[:：]", found.string[found.end() :]) is not None


def _capitalised(text: str, language: Language) -> str:
    text = text.lstrip()
    if language.code == "tr" and text.startswith("i"):  # the only capital that Python does not know
        return "İ" + text[1:]
    return capitalise(text)
