"""Which weights answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The weights that answer: the model's name, and a revision or content hash that changes with them."""

    name: str
    revision: str


UNKNOWN = ModelIdentity("", "")
"""The identity in a stage before its model is checked."""
