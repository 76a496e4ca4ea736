"""How many workers each stage of a segment gets, so that all that hold GPUs find them at the same time.

An engine that asked for more than there is would wait for ever: no GPU is released before the segment ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curation.core.errors import UsageError
from curation.core.stage import Stage


@dataclass(frozen=True)
class Node:
    """A machine of the cluster: its cores, its GPUs, and where (host, port) its raylet listens."""

    id: str
    cpus: float
    gpus: float
    raylet: tuple[str, int]


def roomiest(nodes: Sequence[Node], held: Mapping[str, int]) -> Node | None:
    """The node for one more worker: that with the fewest a core, of which ``held`` has the numbers by node.

    A node that offers no cores, as a head often does, is taken only where all offer none.
    """
    offering = [node for node in nodes if node.cpus] or list(nodes)
    return min(offering, key=lambda n: (held.get(n.id, 0) / (n.cpus or 1.0), n.id), default=None)


def allot(stages: Sequence[Stage], nodes: Sequence[float], *, cpus: int, workers: int = 0) -> list[int]:
    """The number of workers of each stage. ``nodes`` are the GPUs of each machine; a worker takes its from one of them.

    A stage that names no number gets ``workers``; where that is 0, too, one a core or, if its workers hold
    GPUs, as many as there is room for beside the others, at least one. Raises ``UsageError`` where the GPUs
    do not suffice.
    """
    counts = [s.resources.workers or workers or (1 if s.resources.gpus else max(1, cpus)) for s in stages]
    holding = sorted((i for i, s in enumerate(stages) if s.resources.gpus), key=lambda i: -stages[i].resources.gpus)
    free = list(nodes)
    if not all(_take(free, stages[i].resources.gpus) for i in holding for _ in range(counts[i])):
        raise UsageError(_too_few([(stages[i], counts[i]) for i in sorted(holding)], nodes))
    growing = [i for i in holding if not stages[i].resources.workers and not workers]
    while growing:  # in turns, so that none of them takes all that is left
        growing = [i for i in growing if _take(free, stages[i].resources.gpus)]
        for i in growing:
            counts[i] += 1
    return counts


def _take(free: list[float], gpus: float) -> bool:
    """Takes a worker's GPUs from the node that they leave the least of, so that larger workers still find room."""
    fitting = [at for at, left in enumerate(free) if left >= gpus]
    if not fitting:
        return False
    free[min(fitting, key=lambda at: free[at])] -= gpus
    return True


def _too_few(holders: Sequence[tuple[Stage, int]], nodes: Sequence[float]) -> str:
    needed = sum(count * stage.resources.gpus for stage, count in holders)
    demands = ", ".join(f"{s.name} {count} x {s.resources.gpus:g}" for s, count in holders)
    having = [n for n in nodes if n]
    found = f"{sum(having):g}" + (f" ({' + '.join(f'{n:g}' for n in having)} on its nodes)" if having[1:] else "")
    fewer = "lower their workers, " if any(count > 1 for _, count in holders) else ""
    unseen = "" if having else "; if this machine has one, see what nvidia-smi and CUDA_VISIBLE_DEVICES say"
    return (
        f"too few GPUs: workers that run at the same time need {needed:g} (workers x GPUs of each: {demands}), but Ray "
        f'has {found}{unseen}; {fewer}set device to "auto", which shares what there is, or to "cpu" '
        "(keys of caption, scores or llm in the recipe), or use a cluster with more GPUs (--profile cluster)"
    )
