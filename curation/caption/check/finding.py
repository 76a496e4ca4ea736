"""A fault found in a caption."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.reasons import Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault and the passage that shows it. ``rejects``: the caption cannot be released, even after a repair."""

    reason: Reason
    passage: str
    rejects: bool = True
