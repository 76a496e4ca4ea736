"""Target lengths of captions: how many words a prompt asks for, drawn for each sample by the recipe's weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from curation.caption.prompts.questions import Question
from curation.core.errors import RecipeError

_STEPS = 2**64


def targeted(questions: Iterable[Question], lengths: Mapping[str, Sequence[tuple[int, float]]]) -> tuple[Question, ...]:
    """The questions with the target lengths of their kinds.

    Raises ``RecipeError`` where a prompt has ``{words}`` and its kind no lengths, and where it is the other way round.
    """
    found = tuple(replace(q, lengths=tuple(lengths.get(q.kind, ()))) for q in questions)
    for question in found:
        if question.prompt.asks_words and not question.lengths:
            raise RecipeError(
                f"caption.kinds: the prompt {question.prompt.name!r} of {question.kind!r} has {{words}}, but "
                f"caption.lengths has no {question.kind!r}; add caption.lengths.{question.kind} = [[40, 1], [80, 1]]"
            )
        if question.lengths and not question.prompt.asks_words:
            raise RecipeError(
                f"caption.lengths names {question.kind!r}, but its prompt {question.prompt.name!r} has no {{words}}; "
                "take the prompt sized, or add the placeholder to a prompt file of your own"
            )
    return found


def draw_words(lengths: Sequence[tuple[int, float]], seed: int, kind: str, sample_id: str) -> int | None:
    """The target length of a sample in words, by weight; None without lengths.

    It depends on the arguments alone, and the kinds of a sample are drawn independently.
    """
    if not lengths:
        return None
    digest = hashlib.sha256(f"words:{seed}:{kind}:{sample_id}".encode()).digest()
    point = int.from_bytes(digest[:8]) / _STEPS * sum(weight for _, weight in lengths)
    for words, weight in lengths:
        point -= weight
        if point < 0:
            return words
    return next(words for words, weight in reversed(lengths) if weight > 0)  # rounding left the point at the end
