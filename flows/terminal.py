"""What every summary for people needs of a terminal."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """The count with its noun: "1 shard", "2 shards"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
