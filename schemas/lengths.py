"""The check of ``caption.lengths``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def check_lengths(lengths: Mapping[str, Sequence[tuple[int, float]]], max_tokens: Mapping[str, int]) -> None:
    """Raises ``ValueError`` for a kind that is not in ``max_tokens``, and for impossible lengths."""
    for kind, pairs in lengths.items():
        if kind not in max_tokens:
            raise ValueError(f"caption.lengths names {kind!r}, which is not among caption.kinds {list(max_tokens)}")
        sound = all(words > 0 and 0 <= weight < float("inf") for words, weight in pairs)
        if not sound or not any(weight for _, weight in pairs):
            raise ValueError(
                f"caption.lengths.{kind} is {pairs}; expected pairs of words and weight, such as [[30, 1], [80, 2]]: "
                "at least one word, weights of 0 or more, and a positive sum"
            )
        if (most := max(words for words, _ in pairs)) > max_tokens[kind]:
            raise ValueError(
                f"caption.lengths.{kind} asks for {most} words, but max_tokens of the kind is {max_tokens[kind]}, and "
                "a word takes a token at least; raise max_tokens in caption.kinds"
            )
