"""Tags: a caption that is a list of short lower-case tags, separated by commas."""

from __future__ import annotations

import json
import re
from typing import Any

from curation.caption.check.counts import length
from curation.caption.check.draft import scaled
from curation.caption.check.faults.wrapping import unwrap
from curation.caption.check.finding import Finding
from curation.caption.check.sentences import sentence_ends
from curation.caption.check.written import without_quotes
from curation.caption.languages.language import Language
from schemas.reasons import Reason

_MOST_WORDS = 5  # of a tag, in English words
_FEWEST_OF_A_SENTENCE = 3  # words of a lone tag with a full stop that is a sentence rather than a tag
_FENCE = re.compile(r"(?:```|~~~)(?:[\w+-]{0,20}[ \t]*\n)?")
_LABEL = re.compile(
    r"\A[\W_]{0,8}(?:(?:sure|certainly|of course|ok(?:ay)?|yes)[!,.][ \t]{0,4}\s?)?"
    r"(?:here (?:are|is|comes?)\b[^:,\n]{0,60}"
    r"|(?:[a-z]+ ){0,3}(?:tags?|key ?words?|labels?|captions?|output|answer)(?: \([^()\n]{0,30}\))?)"
    r"[*_]{0,3}[ \t]{0,4}:[ \t*_]{0,8}",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^[ \t]*(?:[-*+•‣▪–—●○◦·✓✔➤►→]|\(?\d{1,3}[.)])[ \t]+(?=\S)", re.MULTILINE)
_INLINE_BULLET = re.compile(r"(?<!\S)(?:[•‣▪●◦➤►]|\(?\d{1,3}[.)])[ \t]+(?=\S)")
_HASHTAGS = re.compile(r"\A\s*(?:#[^\s#,;]+\s+)+#[^\s#,;]+[.\s]*\Z")
_SEPARATOR = re.compile(r"[,，、;；،\n|]")
_MARKS = '*`#~"“”«»„「」[](){} \t'
_STOPS = ".。．…!！?？।؟"
_AND = re.compile(r"(?:and|&)\s+", re.IGNORECASE)
_VERB = (
    r"(?:runs|sits|stands|lies|walks|holds|wears|hangs|rests|looks|shows|reads|says|covers|plays|rides|flies|sleeps|"
    r"faces|leans|grows|carries|eats|drinks|depicts|features|contains|appears|seems|fills|surrounds|floats)"
)
# A finite verb behind its subject makes a sentence, however short: "the sky is blue", "a dog runs".
_CLAUSE = re.compile(
    r"\b(?:is|are|was|were|has|have)\b|\Athere['’]s\b"
    rf"|\A(?:(?:and|but|while)\s+)?(?:an?|the|this|that|he|she|it|one)\s+(?:[\w-]+\s+){{0,2}}{_VERB}\b",
    re.IGNORECASE,
)


def unwrap_list(text: str) -> tuple[str, Finding | None]:
    """The tags out of a JSON list, or an object that holds one list or text, in a code fence or not."""
    bare = _FENCE.sub("", text).strip() if "```" in text or "~~~" in text else text.strip()
    if not bare.startswith(("[", "{")):
        return (text, None) if bare == text.strip() else (bare, Finding(Reason.MARKUP, text[:20], rejects=False))
    try:
        value: Any = json.loads(bare)
    except (ValueError, RecursionError):
        return text, None
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        return text, None
    return value, Finding(Reason.MARKUP, f"JSON: {' '.join(bare.split())[:40]}", rejects=False)


def strip_label(text: str) -> tuple[str, str]:
    """The tags without a label in front of them ("Tags:", "Here are the tags:"), and that label."""
    label = _LABEL.match(text)
    return (text[label.end() :].strip(), label[0].strip()) if label else (text, "")


def mend_tags(text: str) -> tuple[list[str], list[Finding]]:
    """The tags of a list as the model spelled them, each once, without marks; findings say what was taken out.

    Tags may stand on lines or behind bullets or numbers. The order stays.
    """
    found: list[Finding] = []
    if _HASHTAGS.match(text):
        text = "\n".join(text.split())
    plain = _BULLET.sub("\n", text)
    if len(_INLINE_BULLET.findall(plain)) > 1:
        plain = _INLINE_BULLET.sub("\n", plain)
    tags, seen, again = [], set(), ""
    marked = plain != text
    for piece in _pieces(plain):
        tag = _one_tag(piece)
        marked = marked or any(mark in piece for mark in "*`#_")
        if not any(c.isalnum() for c in tag):
            continue
        if tag.lower() in seen:
            again = again or tag
            continue
        seen.add(tag.lower())
        tags.append(tag)
    if marked:
        found.append(Finding(Reason.MARKUP, "list marks", rejects=False))
    if again:
        found.append(Finding(Reason.REPETITION, again, rejects=False))
    return tags, found


def find_prose(text: str, tags: list[str], language: Language) -> str:
    """What shows that a reply is prose: a sentence, or a tag of too many words. Empty for a list of tags.

    ``text`` is the reply, and ``tags`` its tags as the model spelled them.
    """
    most = scaled(_MOST_WORDS, language)
    for tag in tags:
        if (words := length(tag, language)) > most:
            return f"{words} {language.unit} in one tag, most {most}: {tag}"
        if any(end < len(tag) for end in sentence_ends(tag, language)):
            return f"sentences: {tag}"
        if language.code == "en" and _CLAUSE.search(without_quotes(tag)):
            return f"a sentence: {tag}"
    stopped = text.rstrip().endswith(tuple(_STOPS))
    if len(tags) == 1 and stopped and length(tags[0], language) >= scaled(_FEWEST_OF_A_SENTENCE, language):
        return f"a sentence: {tags[0]}"
    return ""


def _pieces(text: str) -> list[str]:
    """The text between separators; those in quoted writing separate nothing."""
    pieces, at = [], 0
    for mark in _SEPARATOR.finditer(without_quotes(text)):
        pieces.append(text[at : mark.start()])
        at = mark.end()
    return [*pieces, text[at:]]


def _one_tag(piece: str) -> str:
    """A tag without the marks around it, in one line and without separators."""
    tag = _SEPARATOR.sub(" ", piece).replace("_", " ")
    for pair in ("()", "[]", "{}"):
        if tag.count(pair[0]) != tag.count(pair[1]):  # a list such as "a) dog b) ball", or half of a pair
            tag = tag.replace(pair[0], " ").replace(pair[1], " ")
    before = None
    while tag != before:  # marks stand around marks: "**1. Red ball.**"
        before = tag
        tag = unwrap(_BULLET.sub("", tag).strip())
        tag = _AND.sub("", tag, count=1) if _AND.match(tag) else tag
        tag = _without_marks(tag.rstrip(_STOPS + ":"))
    return " ".join(tag.split())


def _without_marks(tag: str) -> str:
    """Without marks at the ends, except those that have their partner in the tag: 'a sign "open"'."""
    quoted = without_quotes(tag) != tag or ("(" in tag and ")" in tag)
    return tag.strip("*`#~ \t") if quoted else tag.strip(_MARKS)
