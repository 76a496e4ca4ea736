"""Sentences about the caption, the request or the alt text instead of the picture.

Such a sentence is cut off, since nothing is said of the picture in it. Where the talk is the caption
(thinking aloud, what an alt text says, a list of tags), it rejects.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from curation.caption.check.faults import talk_patterns
from curation.caption.check.finding import Finding
from curation.caption.check.sentences import sentences
from curation.caption.check.written import tidy_lines, without_quotes
from schemas.reasons import Reason

_PRONOUN = re.compile(r"\W*(?:it|they|its|their|he|she|this|these|those|such|both|another)\b", re.IGNORECASE)
_FEWEST = 4  # words of a caption that must be left


def strip_talk(text: str) -> tuple[str, list[Finding]]:
    """The caption alone, and the talk that was around it; a finding rejects where the two cannot be parted."""
    found: list[Finding] = []
    text = tidy_lines(text)
    plain = without_quotes(text)
    low = f" {' '.join(text.lower().split())} "
    rare = {word for spoken in low.split() for word in _rare_in(spoken)}
    if not rare:
        return text, found
    if any(sign in low for sign in talk_patterns.TAG_SIGNS) and (tags := _tag_list(plain)) is not None:
        _note(found, tags, rejects=True)
        return text, found
    parts, short = _sign_words()
    told = {n for word in rare for n, sign in parts.get(word, ()) if sign in low}
    told.update(n for signs in short.values() for n, sign in signs if sign in low)
    looks = [(look, _held(signs, low)) for n, (look, signs) in enumerate(talk_patterns.SIGNS) if n in told]
    return (_without_sentences(text, plain, looks, found) if looks else text), found


def _held(signs: tuple[str, ...], low: str) -> tuple[str, ...]:
    """The signs that a sentence of a text may hold: those of the text, and those that begin or end with a space.

    Around a sentence a space stands for any white space.
    """
    return tuple(sign for sign in signs if sign in low or sign != sign.strip())


@lru_cache(maxsize=1 << 16)
def _rare_in(word: str) -> tuple[str, ...]:
    """The rarest words of signs that a word, between white space, holds; most words hold none."""
    parts, short = _sign_words()
    whole = word.strip(".,;:!?()[]\"'*“”")
    return (*(part for part in parts if part in word), *((whole,) if whole in short else ()))


# Signs by their rarest word, each with the number of its look in ``SIGNS``; -1 for those of lists of tags.
_Signs = dict[str, tuple[tuple[int, str], ...]]


@cache
def _sign_words() -> tuple[_Signs, _Signs]:
    """Signs by their rarest word: those whose word is looked for inside words, and short ones, which must be the word.

    So a text is searched for those signs alone whose rarest word it holds.
    """
    signs = [(-1, sign) for sign in talk_patterns.TAG_SIGNS]
    signs += [(n, sign) for n, (_, found) in enumerate(talk_patterns.SIGNS) for sign in found]
    parts: _Signs = {}
    short: _Signs = {}
    for n, sign in signs:
        word = max(sign.split(), key=_telling)
        where = short if len(word) < 4 and word.isalpha() and word != "iso" else parts
        where[word] = (*where.get(word, ()), (n, sign))
    return parts, short


def _telling(word: str) -> tuple[bool, int]:
    """Orders the words of a sign by how seldom they stand in captions."""
    return word not in _EVERYWHERE, len(word)


_EVERYWHERE = frozenset(("the", "a", "do", "on", "to", "let", "by", "not", "me", "you", "can"))


def _note(found: list[Finding], passage: str, *, rejects: bool = False) -> None:
    found.append(Finding(Reason.TASK_TALK, passage.strip()[:120], rejects))


def _tag_list(plain: str) -> str | None:
    """What shows that the text is a list of tags for an image generator rather than a description."""
    tags = [t[0] for t in talk_patterns.BOORU.finditer(plain)]
    commas = plain.count(",")
    if (len(set(tags)) > 1 and commas >= 2) or len(talk_patterns.SNAKE.findall(plain)) > 1:
        return ", ".join(dict.fromkeys(tags)) or talk_patterns.SNAKE.findall(plain)[0]
    return None


def _without_sentences(text: str, plain: str, looks: list[_Look], found: list[Finding]) -> str:
    spans = sentences(plain)
    kept: list[tuple[int, int]] = []
    cut_before = False
    for start, end in spans:
        sentence = plain[start:end]
        talk, rejects = _talk(sentence, text[start:end], looks)
        rejects = rejects or (bool(talk) and len(plain.split()) - len(sentence.split()) < _FEWEST)
        if talk:
            _note(found, text[start:end], rejects=rejects)
            if rejects:
                return text
            cut_before = True
            continue
        if cut_before and not kept and _PRONOUN.match(sentence):
            _note(found, text[start:end], rejects=True)
            return text
        kept.append((start, end))
    return " ".join(text[a:b] for a, b in kept) if cut_before else text


def _talk(sentence: str, whole: str, looks: list[_Look]) -> tuple[str, bool]:
    """What a sentence talks of instead of the picture, and whether the caption falls with it.

    ``whole`` is the sentence with its quotations.
    """
    low = f" {' '.join(whole.lower().split())} "
    for look, signs in looks:
        if not any(sign in low for sign in signs):
            continue
        talk = look.search(whole if look is talk_patterns.MARK else sentence)
        if talk is None or ((excuse := _EXCUSES.get(look)) is not None and excuse.search(sentence)):
            continue
        return talk[0], look in _FALLS
    return "", False


_Look = tuple[re.Pattern[str], tuple[str, ...]]
_EXCUSES = {
    talk_patterns.TALKS: talk_patterns.PAPER,
    talk_patterns.CAMERA: talk_patterns.DEVICE,
    talk_patterns.MARK: talk_patterns.REAL_MARK,
    talk_patterns.ALOUD: talk_patterns.OFFERS,
}
# Where the talk is the caption, or the caption rests on it.
_FALLS = frozenset((talk_patterns.ALOUD, talk_patterns.ASKER, talk_patterns.ALT))
