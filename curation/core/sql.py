"""SQL quoting, for statements that are made from declarations."""

from __future__ import annotations

from collections.abc import Iterable


def literal(text: str) -> str:
    """A string as SQL spells it."""
    return "'" + str(text).replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """A list of strings as SQL spells it."""
    return "[" + ", ".join(map(literal, texts)) + "]"


def name(identifier: str) -> str:
    """An identifier as SQL spells it."""
    return '"' + identifier.replace('"', '""') + '"'
