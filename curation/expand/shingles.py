"""How much of a text stands in another one, by the runs of words that they share."""

from __future__ import annotations

from curation.dedupe.across.shared_text import runs_of


def shared(text: str, other: str, length: int) -> float:
    """The share of the text's runs of ``length`` words that the other text has, 0 to 1.

    Case and punctuation do not count. A text of fewer words is one run; without any word it shares nothing.
    """
    own = _runs(text, length)
    return len(own & _runs(other, length)) / len(own) if own else 0.0


def _runs(text: str, length: int) -> frozenset[tuple[str, ...]]:
    words = tuple(word for (word,) in runs_of(text, 1))
    return frozenset(runs_of(text, length) or filter(None, [words]))
