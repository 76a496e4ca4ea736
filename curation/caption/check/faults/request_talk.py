"""A sentence that speaks of the request, the rules or the upload instead of what is in the picture.

No list holds every wording of a refusal, but all of them speak of the same few things: who asks and who
answers, asking and describing, regret, rules, inability, technical faults. A sentence of a caption may name
one or two of them, among words for things that can be seen; a refusal has hardly any of those.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from curation.caption.check.sentences import sentences
from curation.caption.check.wordlists import talk

_TOKEN = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
# What a word tells for a refusal. Pictures, negations and faults can be seen or said of what is seen.
_WEIGHT = {
    "person": 1.5, "regret": 1.5, "rules": 1.2, "request": 1.2, "fault": 0.8, "inability": 0.7, "image": 0.5,
    "function": 0.0,
}  # fmt: skip
_SEEN = -1.2  # of every other word
_ENOUGH = 1.9
_ENOUGH_ALONE = 1.5  # where no other word stands beside


def find_request_talk(text: str) -> tuple[int, int] | None:
    """Start and end of the first such sentence; quotations must have been blanked out."""
    return next(((start, end) for start, end in sentences(text) if _talks(text[start:end])), None)


def _talks(sentence: str) -> bool:
    total, told = 0.0, set()
    seen: set[str] = set()
    strange = False
    for token in _TOKEN.findall(sentence):
        word = token.lower().replace("’", "'")
        what = _tells(word)
        if what is None:
            total += _SEEN
            strange = True
        elif word not in seen:
            total += _WEIGHT[what]
            told.add(what)
        seen.add(word)
    told -= {"image", "function"}
    if strange:
        return len(told) > 1 and total >= _ENOUGH
    return not told <= {"inability", "person"} and total >= _ENOUGH_ALONE


@lru_cache(maxsize=1 << 16)
def _tells(word: str) -> str | None:
    return talk().get(word) or next((w for s, w in _stems() if word.startswith(s)), None)


@cache
def _stems() -> tuple[tuple[str, str], ...]:
    """Longest first."""
    found = ((s.removesuffix("*"), w) for s, w in talk().items() if s.endswith("*"))
    return tuple(sorted(found, key=lambda one: -len(one[0])))
