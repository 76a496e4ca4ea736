"""Shards that workers of this process have in work: how far they are, and that they are to stop.

A stage says how to look at a shard while it works on it; nothing is counted or sent until somebody looks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

DRAIN_SECONDS = 5.0  # for what was begun to end, when a run is interrupted


@dataclass(frozen=True)
class Progress:
    """A shard in work. ``waiting`` are the hosts that it waits for, each with its number of open requests."""

    table: str
    shard: str
    done: int
    total: int
    waiting: Mapping[str, int] = field(default_factory=dict)


class Interrupted(BaseException):
    """The run is being stopped; what the shard has so far is kept. No failure of the shard."""


Look = Callable[[], Progress]
_looks: dict[object, Look] = {}
_lock = threading.Lock()
_stopping = threading.Event()


@contextmanager
def followed(look: Look) -> Iterator[None]:
    """Lets others look at a shard while the block works on it; ``look`` may be called from any thread."""
    place = object()
    with _lock:
        _looks[place] = look
    try:
        yield
    finally:
        with _lock:
            del _looks[place]


def under_way() -> list[Progress]:
    """What this process works on."""
    with _lock:
        looks = list(_looks.values())
    return [look() for look in looks]


def stop() -> None:
    """Asks all work of this process to keep what it has and to end; ``stopping`` says so from here on."""
    _stopping.set()


def stopping() -> bool:
    """Whether the work of this process is to end."""
    return _stopping.is_set()
