"""What every summary for people needs of a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text on one line, without characters that would steer the terminal: most of what we show is untrusted."""
    return "".join(c if c.isprintable() else " " for c in text)
