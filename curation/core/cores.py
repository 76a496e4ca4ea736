"""How many cores this process may keep busy: all that it may run on, or its share where workers run side by side."""

from __future__ import annotations

import os

_share: list[int] = []


def cores() -> int:
    """At least 1. In a worker of an engine that runs several on one machine, the cores that its stage holds."""
    if _share:
        return _share[0]
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_cores(count: float) -> None:
    """From here on this process has so many cores for itself; a part of a core counts as one."""
    _share[:] = [max(1, int(count))]
