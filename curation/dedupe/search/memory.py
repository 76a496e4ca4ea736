"""Measures the free memory, and refuses work that would need more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from curation.core.errors import TooMuchMemory

_IMAGE = 1_800  # bytes while it is decided on with all others, as measured at a million
_WINDOWS = 2 * 34 * 40  # of an image: hashes of five words, as they are read and side by side with its own
_BLOCKS = 2  # as measured with blocks of 170,000: two that are compared hold 1,900 bytes an image of one
_GROUP = Path("/sys/fs/cgroup")


def available() -> int:
    """Bytes that this process may still allocate: of the machine, or of its control group if that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                machine = int(line.split()[1]) * 1024
        limit = (_GROUP / "memory.max").read_text().strip()
        used = int((_GROUP / "memory.current").read_text()) - _reclaimable((_GROUP / "memory.stat").read_text())
    except (OSError, ValueError):
        return machine
    return machine if limit == "max" else min(machine, max(0, int(limit) - used))


def _reclaimable(told: str) -> int:
    """Bytes of files that were read, which the system takes back when they are needed."""
    return next((int(line.split()[1]) for line in told.splitlines() if line.startswith("inactive_file ")), 0)


def readable(size: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def refuse(what: str, because: str, needed: int, allowed: int) -> NoReturn:
    """Raises ``TooMuchMemory``."""
    raise TooMuchMemory(
        f"{what} would take {readable(needed)} ({because}) of the {readable(allowed)} allowed; "
        "lower the distance, allow more memory, or let keepers and clusters be chosen without the pairs"
    )


def to_decide(images: int, *, crops: bool = False) -> int:
    """Bytes that it takes to decide on so many images at once."""
    return images * (_IMAGE + (_WINDOWS if crops else 0))


def at_once(images: int, *, crops: bool = False) -> int | None:
    """Of so many images, how many may be in memory where two such blocks are compared; None if all of them may."""
    free = available()
    return None if to_decide(images, crops=crops) <= free else max(1, free // (_BLOCKS * to_decide(1, crops=crops)))


def must_fit(images: int, *, crops: bool = False) -> None:
    """Raises ``TooMuchMemory`` for so many images that have to be decided on at once."""
    needed, free = to_decide(images, crops=crops), available()
    if needed > free:
        raise TooMuchMemory(
            f"{images:,} images may be near each other: to decide on them together takes {readable(needed)}, and "
            f"{readable(free)} are free; take a machine with more memory, or lower dedupe.confirmed_distance"
        )
