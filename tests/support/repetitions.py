"""Texts that make careless regular expressions slow: one short unit, over and over, behind an opening."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Seconds of this process's own time for one text of the longest allowed length: what is quadratic takes more
# than ten, what is exponential never ends, and what is linear takes less than half a second.
LIMIT = 4.0
OPENINGS = ("", "(", '"', "[", "A. ", "- ", "the sign says ")
ENDINGS = ("", "!x")
UNITS = (
    *("a", "A", " ", "\n", ". ", ", ", "; ", "- ", "!", ".", "(", "[", '" ', '"a" ', "' ", "“a”", '"." ', "#", "_"),
    *("**", "__a", "`a ", "<", "<a ", "<!--", "[a](", "{a} ", "&", "&lt;", "</s>", "AP/", "Red AP/", "A-", "A/"),
    *("A.A ", "Ann Lee/ ", "Ann Lee, ", "AP, ", "A for ", "(AP ", "© ", "Photo by A. ", "Image caption ", "FILE - "),
    *("(file) ", "says the ", "in a letters ", "say it. ", "as an ai ", "creating a ", "I am ", "Sorry "),
)


class TooSlow(Exception):
    """More of this process's time went by than ``LIMIT``."""


def repetitions(length: int, seed: int, most: int) -> Iterator[str]:
    """The plain repetition of every unit, then ``most`` drawn from all openings, pairs of units and endings."""
    rng = random.Random(seed)
    yield from (_repeated("", unit, "", length) for unit in UNITS)
    for _ in range(most):
        unit = "".join(rng.sample(UNITS, rng.choice((1, 1, 2))))
        yield _repeated(rng.choice(OPENINGS), unit, rng.choice(ENDINGS), length)


def _repeated(opening: str, unit: str, ending: str, length: int) -> str:
    return opening + unit * ((length - len(opening) - len(ending)) // len(unit)) + ending


@contextmanager
def limited(text: str) -> Iterator[None]:
    """Raises ``TooSlow`` naming the text when what is done inside takes more than ``LIMIT``."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"{text[:40]!r} … {text[-20:]!r}, {len(text)} characters")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def none_is_slow(read: Callable[[str], object], length: int, *, seed: int = 0, most: int = 60) -> None:
    """Fails with ``TooSlow`` where reading any of the texts takes too long."""
    for text in repetitions(length, seed, most):
        with limited(text):
            read(text)
