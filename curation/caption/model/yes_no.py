"""Reads a yes or no out of a reply, and how sure the model was out of the probabilities of its tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

_MOST_CHARACTERS = 2000  # of a reply that is looked at
_MOST_TOKENS = 8192  # of a reply whose probabilities are looked at
_LETTERS = re.compile(r"[^\W\d_]+")
# An answer may be dressed up: **Yes**, "no", {"answer": "yes"}, Answer: yes.
_ANSWER = re.compile(r"[\W_]*(?:(?:final )?answer[\W_]+(?:is[\W_]+)?)?(yes|no|true|false)\b", re.I)
_WORDS = {"yes": True, "true": True, "no": False, "false": False}


def read_yes_no(text: str) -> bool | None:
    """True for yes, False for no, None for a reply that does not begin with either."""
    found = _ANSWER.match(text[:_MOST_CHARACTERS])
    return None if found is None else _WORDS[found[1].lower()]


def meaning(token: str) -> bool | None:
    """True for a token that says yes, False for one that says no, None for any other."""
    letters = _LETTERS.findall(token)
    return _WORDS.get(letters[0].lower()) if len(letters) == 1 else None


def share_of_yes(tokens: Iterable[tuple[str, float]]) -> float | None:
    """The probability of yes among those of yes and no; None where neither is among these.

    ``tokens``: what might have stood at one place of a reply, each with its natural log-probability.
    """
    sums = {True: 0.0, False: 0.0}
    for token, logprob in tokens:
        said = meaning(token)
        if said is not None and math.isfinite(logprob):
            sums[said] += math.exp(min(0.0, logprob))
    total = sums[True] + sums[False]
    return sums[True] / total if total > 0 else None


def probability_of_yes(logprobs: Any, answer: str = "") -> float | None:
    """The same from ``choices[].logprobs`` of a chat completion; None where the server gives nothing of use.

    It is that of the first token that says yes or no from where the ``answer`` begins: what a model thought stands
    before it, and behind it what it explains. Where the tokens do not show that place, the last such token counts.
    """
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(content, Sequence) or isinstance(content, str):
        return None
    places = [p for p in content[-_MOST_TOKENS:] if isinstance(p, Mapping)]
    said = [(n, p) for n, p in enumerate(places) if meaning(str(p.get("token"))) is not None]
    if not said:
        return None
    first = _beginning(places, answer)
    _, place = said[-1] if first is None else next(((n, p) for n, p in said if n >= first), said[-1])
    tops = place.get("top_logprobs")
    others = tops if isinstance(tops, Sequence) and not isinstance(tops, str) else []
    pairs = {str(t.get("token")): _number(t.get("logprob")) for t in (place, *others) if isinstance(t, Mapping)}
    return share_of_yes(pairs.items())


def _beginning(places: Sequence[Mapping[str, Any]], answer: str) -> int | None:
    """The place at which the answer begins; None where it does not stand among the tokens."""
    tokens = [str(p.get("token")) for p in places]
    start = "".join(tokens).rfind(answer[:_MOST_CHARACTERS]) if answer else -1
    if start < 0:
        return None
    ends = accumulate(map(len, tokens))
    return next((n for n, end in enumerate(ends) if end > start), None)


def _number(value: Any) -> float:
    """A number as a server gives it; not a number where it gives none that can be used."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan
