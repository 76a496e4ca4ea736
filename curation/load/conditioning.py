"""Weighted subjects as text conditioning, for training code to import together with ``curation.loader``.

    from curation.conditioning import Weighted, token_weights

    subjects = [Weighted(s["start"], s["end"], s["weight"]) for s in sample["json"]["subjects"]]
    found = token_weights(caption, subjects, tokenizer)          # any fast tokenizer of transformers
    states = scaled(text_encoder(ids)[0], [found.weights])       # what the UNet attends to

A subject of weight w gets the factor 1 + strength * w; where subjects overlap, the greatest counts. Spans
are characters of the caption and are widened to whole words. ``curation.load.dialects`` has the prompt syntaxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curation.load.dialects import from_compel, from_weighted, to_compel, to_prefixed, to_weighted
from curation.load.weighted import STRENGTH, Piece, Weighted, factor_of, pieces, whole_words

__all__ = [
    "LENGTH",
    "STRENGTH",
    "Piece",
    "TokenWeights",
    "Weighted",
    "factor_of",
    "from_compel",
    "from_weighted",
    "pieces",
    "scaled",
    "to_compel",
    "to_prefixed",
    "to_weighted",
    "token_weights",
    "weights_of",
]

LENGTH = 77  # tokens that CLIP's text tower takes, start and end included


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """A factor for each token (1.0 for start, end, padding and unweighted ones), and the subjects behind the cut."""

    weights: tuple[float, ...]
    beyond: tuple[Weighted, ...]


def token_weights(
    caption: str, subjects: Sequence[Weighted], tokenizer: Any, strength: float = STRENGTH, length: int = LENGTH
) -> TokenWeights:
    """A factor for each of the ``length`` tokens that a fast tokenizer of transformers makes of the caption.

    Raises ``ValueError`` for a slow tokenizer, which cannot say where its tokens stand.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError("a fast tokenizer is needed: load it with use_fast=True, or use one of the tokenizers library")
    encoded = tokenizer(caption, truncation=True, max_length=length, padding="max_length", return_offsets_mapping=True)
    offsets = [(int(a), int(b)) for a, b in encoded["offset_mapping"]]
    return weights_of(caption, offsets, subjects, strength)


def weights_of(
    caption: str, offsets: Sequence[tuple[int, int]], subjects: Sequence[Weighted], strength: float = STRENGTH
) -> TokenWeights:
    """The same from the tokens' offsets in the caption; tokens without text (start, end, padding) are at (n, n).

    A token that overlaps a subject gets its factor; of several, the greatest. A subject is ``beyond`` the cut when
    a part of it with letters follows the last token.
    """
    spans = [(*whole_words(caption, s.start, s.end), factor_of(s.weight, strength)) for s in subjects]
    last = max((end for start, end in offsets if end > start), default=0)
    weights = []
    for start, end in offsets:
        touching = [f for a, b, f in spans if a < b and start < end and a < end and start < b]
        weights.append(max(touching, default=1.0))
    beyond = tuple(
        s
        for s, (a, b, _) in zip(subjects, spans, strict=True)
        if a < b and any(c.isalnum() for c in caption[max(a, last) : b])
    )
    return TokenWeights(tuple(weights), beyond)


def scaled(states: Any, weights: Sequence[Sequence[float]]) -> Any:
    """A text encoder's last hidden states (batch, tokens, width), each token's multiplied by its factor.

    The mean over tokens and width stays what it was, as in the web UIs, so that weights shift attention without
    scaling the whole prompt; but no prompt is scaled by more than undoes its greatest or its least factor. Needs torch
    tensors; ``weights`` has one row a prompt.
    """
    factors = states.new_tensor([list(row) for row in weights]).unsqueeze(-1)
    weighted = states * factors
    before, after = states.mean(dim=(1, 2), keepdim=True), weighted.mean(dim=(1, 2), keepdim=True)
    # Around a mean of zero the quotient says nothing; then the factors stand as they are. States behind a layer norm
    # have such means, and a quotient may be a hundred, or negative, long before it is none.
    steady = after.abs() > 1e-3 * weighted.abs().mean(dim=(1, 2), keepdim=True)
    back = (before / after.where(steady, states.new_ones(()))).where(steady, states.new_ones(()))
    least, greatest = factors.amin(dim=1, keepdim=True), factors.amax(dim=1, keepdim=True)
    return weighted * back.maximum(1 / greatest).minimum(1 / least.clamp_min(0))
