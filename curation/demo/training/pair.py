"""A pair of statements of which one is true."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """``true`` holds for the scene, ``false`` does not; ``fault`` names what was changed."""

    true: str
    false: str
    fault: str
