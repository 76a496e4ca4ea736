"""What every summary for people needs of a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text on one line, without characters that would steer the terminal: most of what we show is untrusted."""
    return "".join(c if c.isprintable() else " " for c in text)


def plural(count: int, noun: str) -> str:
    """The count with its noun: "1 shard", "2 shards"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
