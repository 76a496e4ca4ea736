"""Which caption of a sample is drawn, and in which form: by (seed, epoch, sample_id) alone."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DROPPED = "dropped"
"""The kind of a caption that was dropped; its text is empty."""
PREFERRED = "preferred"
"""The caption that the recipe prefers, whatever its kind: the .txt of a sample."""


@dataclass(frozen=True)
class Captions:
    """How captions are drawn. ``weights`` of kinds are 0 or more, with a positive sum.

    ``dropout`` is the share of captions that are dropped, for guidance without a classifier. The tags (parts between
    commas) of the kinds ``shuffle_tags`` come in another order each epoch, but for the first ``keep_tags``.
    Raises ``ValueError`` for what cannot be drawn.
    """

    weights: Mapping[str, float]
    seed: int = 0
    dropout: float = 0.0
    shuffle_tags: frozenset[str] = frozenset()
    keep_tags: int = 1

    def __post_init__(self) -> None:
        if any(w < 0 for w in self.weights.values()) or not sum(self.weights.values()) > 0:
            raise ValueError(f"captions are weights of 0 or more with a positive sum, not {dict(self.weights)}")
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout is {self.dropout}; a share from 0 to 1 was expected")
        if self.keep_tags < 0:
            raise ValueError(f"keep_tags is {self.keep_tags}; 0 or more was expected")

    @property
    def preferred_alone(self) -> bool:
        """Whether the caption of every sample is the preferred one as it is."""
        asked = {kind for kind, weight in self.weights.items() if weight > 0}
        return asked == {PREFERRED} and not self.dropout and not self.shuffle_tags

    def draw(self, annotation: Mapping[str, Any], epoch: int) -> tuple[str, str]:
        """The caption of a sample in an epoch, and its kind, from the sample's .json."""
        name = annotation["sample_id"]
        if self.dropout and fraction(self.seed, epoch, f"dropout:{name}") < self.dropout:
            return "", DROPPED
        text, kind = draw_caption(annotation, self.weights, self.seed, epoch)
        if kind in self.shuffle_tags:
            return self._shuffled(text, f"{self.seed}:{epoch}:tags:{name}"), kind
        return text, kind

    def _shuffled(self, text: str, chance: str) -> str:
        tags = [tag.strip() for tag in text.split(",")]
        rest = tags[self.keep_tags :]
        random.Random(chance).shuffle(rest)  # noqa: S311  # an order, not a secret
        return ", ".join(tags[: self.keep_tags] + rest)


def draw_caption(annotation: Mapping[str, Any], weights: Mapping[str, float], seed: int, epoch: int) -> tuple[str, str]:
    """The caption of a sample in an epoch, and its kind, from the sample's .json."""
    preferred = (str(annotation["caption"]), str(annotation["caption_kind"]))
    there: dict[str, tuple[str, str]] = {k: (t, k) for k, t in annotation.get("captions", {}).items()}
    if str(annotation["alt_text"]).strip():
        there["alt_text"] = (str(annotation["alt_text"]), "alt_text")
    there.setdefault(preferred[1], preferred)  # news has one kind only, which is not named twice
    there[PREFERRED] = preferred
    possible = [(kind, weight) for kind, weight in sorted(weights.items()) if weight > 0 and kind in there]
    point = fraction(seed, epoch, annotation["sample_id"]) * sum(weight for _, weight in possible)
    for kind, weight in possible:
        point -= weight
        if point < 0:
            return there[kind]
    return there[possible[-1][0]] if possible else preferred


def fraction(seed: int, epoch: int, sample_id: str) -> float:
    """A number from 0 to below 1, the same in every run."""
    digest = hashlib.sha256(f"{seed}:{epoch}:{sample_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2.0**48
