"""What a look at a caption found."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.reasons import Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault with the passage that shows it. ``rejects``: the caption cannot be released with or without it."""

    reason: Reason
    passage: str
    rejects: bool = True
