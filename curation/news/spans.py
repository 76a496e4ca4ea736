"""What every recogniser of named entities yields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]`` with its OntoNotes label; ``score`` where the recogniser has one, 0..1."""

    start: int
    end: int
    label: str
    score: float | None = None
