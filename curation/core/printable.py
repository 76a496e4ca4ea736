"""Text made fit for a line that people read: of a terminal, a log or an error message."""

from __future__ import annotations


def printable(text: str) -> str:
    """Untrusted text with a blank for each line break and for each character that would steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def plural(count: int, noun: str) -> str:
    """The count with its noun: "1 shard", "2 shards"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def first_words(text: str, most: int = 200) -> str:
    """The beginning of the text on one line, with single blanks, cut at a word; ``…`` shows that it was cut."""
    line = " ".join(printable(text[: 20 * most]).split())
    if len(line) <= most:
        return line
    head = line[: most - 1]
    return (head.rpartition(" ")[0] if " " in head[most // 2 :] else head) + "…"
