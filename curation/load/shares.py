"""Divide samples among ranks and workers: how many each gets, and which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from curation.core.errors import RootError
from curation.load.shards import Part

Even = Literal["repeat", "drop", "none"]


def share(samples: int, world_size: int, rank: int, even: Even) -> tuple[int, int]:
    """The first sample of a rank and how many it reads, counted on from the end to the beginning again.

    ``repeat``: every rank reads the same number, and every sample is read; at most ``world_size - 1`` are read
    twice. ``drop``: every rank reads the same number, and none is read twice; at most ``world_size - 1`` are left
    out. ``none``: every sample is read once, and ranks differ by one. Raises ``RootError`` where ``drop`` would
    leave nothing to read.
    """
    whole, rest = divmod(samples, world_size)
    match even:
        case "repeat":
            each = whole + (rest > 0)
            return (rank * each % samples if samples else 0), each
        case "drop":
            if not whole and samples:
                raise RootError(
                    f'{samples} samples are too few for {world_size} ranks with even="drop"; use even="repeat" or '
                    "fewer ranks"
                )
            return rank * whole, whole
        case "none":
            return rank * whole + min(rank, rest), whole + (rank < rest)


def part_of(first: int, count: int, workers: int, worker: int) -> tuple[int, int]:
    """The same for a worker: neighbouring samples of its rank's. Workers of one number read equally many in all
    ranks that read equally many, so that batches, which workers make, are equally many, too."""
    whole, rest = divmod(count, workers)
    return first + worker * whole + min(worker, rest), whole + (worker < rest)


def parts(urls: Sequence[str], counts: Sequence[int], first: int, count: int) -> list[Part]:
    """Where ``count`` samples from the ``first`` on lie, counted on from the end to the beginning again."""
    found: list[Part] = []
    total = sum(counts)
    at = first % total if total else 0
    while count > 0 and total:
        start = 0
        for url, size in zip(urls, counts, strict=True):
            take = min(start + size - at, count)
            if start <= at < start + size and take > 0:
                found.append(Part(url, at - start, take))
                at, count = at + take, count - take
            start += size
        at %= total
    return found
