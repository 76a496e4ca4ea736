"""The actors of a segment: how many each stage has, on which nodes, and what becomes of them when nodes come and go."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from curation.core.engines.address import answers
from curation.core.engines.code import code_digest
from curation.core.engines.placement import Node, roomiest
from curation.core.engines.ray_actor import BESIDE, StageActor
from curation.core.engines.ray_reach import Reach
from curation.core.errors import LapidaryError, UsageError
from curation.core.job import Job
from curation.core.stage import Stage
from curation.core.store import Store

_TELL_SECONDS = 60.0
_KNOWN_SECONDS = 0.5  # before an actor is sent again to a node that has joined, but that not all nodes have heard of
_NODES_SECONDS = 2.0  # between looks for nodes that have joined
_NEVER_RAN_SECONDS = 20.0  # in which actors of one stage may end before they began, until that is no accident

_CANCELLED = "The actor never ran"  # the last line that Ray says of such an actor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Try:
    """A job that was handed over. ``alone``: it may be what killed an actor, so that nothing runs beside it."""

    job: Job
    attempt: int = 1
    alone: bool = False


@dataclass(eq=False)
class Worker:
    """An actor and what is in its mailbox, the running tries first."""

    actor: Any
    stage: int
    placed: Node | None  # where it was sent
    where: Any  # Ray's promise of the node that it is on
    tries: list[Try] = field(default_factory=list)
    suspects: list[Try] | None = None  # what was running when the actor died
    lost: bool = False  # with its node

    def takes(self, tried: Try) -> bool:
        """Whether this try may join those in the mailbox."""
        return not self.tries if tried.alone else not any(t.alone for t in self.tries)


class Cluster(Protocol):
    """What a pool asks of the engine that has Ray."""

    @property
    def may_gain_nodes(self) -> bool: ...

    def reach(self) -> Reach:
        """Known once Ray has started."""
        ...

    def workers_of(self, stages: Sequence[Stage]) -> list[int]:
        """How many actors each of these stages gets. Starts Ray, and waits for GPUs that may still join."""
        ...

    def allotted(self, stages: Sequence[Stage], nodes: Sequence[Node]) -> list[int]:
        """The same on these nodes, at once. Raises ``UsageError`` where their GPUs do not suffice."""
        ...

    def nodes(self) -> list[Node]: ...


class Crew:
    """``workers`` of each stage that has been opened may be given jobs; those in ``opening`` not yet."""

    def __init__(self, cluster: Cluster, store: Store, stages: Sequence[Stage]) -> None:
        self._cluster = cluster
        self._store = store
        self._stages = stages
        self.workers: dict[int, list[Worker]] = {}
        self.opening: dict[Any, Worker] = {}  # by Ray's promise
        self._known: set[str] = set()  # nodes, those that have gone too
        self._shunned: set[str] = set()  # nodes that are lost, or on which a stage could not open
        self._never_ran: dict[int, float] = {}  # by stage, when an actor first ended before it began
        self._looked = time.monotonic()

    def actors(self) -> list[Any]:
        """Of all stages, those that are not open yet too."""
        everyone = [*(w for workers in list(self.workers.values()) for w in list(workers)), *self.opening.values()]
        return [w.actor for w in everyone]

    def open(self, stage: int) -> None:
        """Returns when all actors of the stage are open, one at least. Raises what keeps one from that."""
        self.workers.setdefault(stage, [])
        while not self.workers[stage]:
            if not any(w.stage == stage for w in self.opening.values()):
                self._begin(stage, self._count(stage, self._cluster.workers_of))
            while opening := [promise for promise, worker in self.opening.items() if worker.stage == stage]:
                ready, _ = ray.wait(opening, timeout=_TELL_SECONDS)
                if ready and (error := self.opened(ready[0])) is not None:
                    raise error
                if not ready:
                    self._cluster.reach().must_be_there()
                    there, named = len(opening) + len(self.workers[stage]), self._stages[stage]
                    found = (named.name, len(opening), there, named.resources.opening)
                    log.warning("workers of %s that are not open yet: %d of %d (%s)", *found)

    def open_again(self, stage: int) -> None:
        """For a stage that has lost all its actors. Raises ``LapidaryError`` where there is no room for any."""
        if not any(w.stage == stage for w in self.opening.values()):
            try:
                self.open(stage)
            except UsageError as error:  # the run is under way: it is not its command that is wrong
                raise LapidaryError(str(error)) from error

    def opened(self, promise: Any) -> LapidaryError | None:
        """Gives an actor that has opened its stage jobs from now on; otherwise returns what kept it from that."""
        worker = self.opening.pop(promise)
        error = self._error_of(promise, worker)
        if error is None and not worker.lost:
            self.workers[worker.stage].append(worker)
        elif error is not None:
            ray.kill(worker.actor)
            if worker.placed is not None:
                self._shunned.add(worker.placed.id)
            log.warning("a worker of %s is left out: %s", self._stages[worker.stage].name, error)
        return error

    def replace(self, dead: Worker) -> None:
        """A fresh actor in the place of a dead one, or what the nodes that are left have room for.

        The jobs of the dead one fail by themselves and come back.
        """
        workers, node = self.workers[dead.stage], self._node_of(dead)
        workers.remove(dead)
        with suppress(ray.exceptions.RayError):
            ray.kill(dead.actor)  # what only seemed dead must not write beside its successor
        if node is None:
            self._fit(dead.stage)
        elif self._is_lost(node):
            self._leave(node, dead)
        else:
            workers.append(self._actor(dead.stage, node))

    def _leave(self, node: Node, worker: Worker) -> None:
        """Does without a node that is lost, which one of its workers has shown."""
        worker.lost = True
        if node.id not in self._shunned:
            log.warning("the node %s is lost; the shards of its workers go to others", node.raylet[0])
            self._shunned.add(node.id)
        for stage in self.workers:
            self._fit(stage)

    def look_for_nodes(self) -> None:
        """Gives nodes that have joined since the last look the actors that there is room for now."""
        if not self._cluster.may_gain_nodes or time.monotonic() < self._looked + _NODES_SECONDS:
            return
        self._looked = time.monotonic()
        self._cluster.reach().must_be_there()
        there = {node.id for node in self._usable()}
        if there - self._known:
            self._known |= there
            for stage in self.workers:
                self._fit(stage)

    def _usable(self) -> list[Node]:
        return [node for node in self._cluster.nodes() if node.id not in self._shunned]

    def _node_of(self, worker: Worker) -> Node | None:
        """The node that a worker was on, as far as it is known."""
        with suppress(ray.exceptions.RayError):
            told, _ = ray.wait([worker.where], timeout=0)
            found = ray.get(told[0]) if told else ""
            return next((node for node in self._cluster.nodes() if node.id == found), worker.placed)
        return worker.placed

    def _is_lost(self, node: Node) -> bool:
        """Ray itself takes some ten seconds to notice, in which the node's raylet no longer answers."""
        return not any(n.id == node.id for n in self._cluster.nodes()) or not answers(*node.raylet)

    def _error_of(self, promise: Any, worker: Worker) -> LapidaryError | None:
        """What kept an actor from opening its stage; none where it was its node's end."""
        try:
            found: LapidaryError | None = ray.get(promise)
        except ray.exceptions.RayError as error:
            self._cluster.reach().must_be_there()
            node = self._node_of(worker)
            unknown = node is not None and isinstance(error, ray.exceptions.ActorUnschedulableError)
            if (unknown or self._may_begin_again(error, worker)) and not (node is not None and self._is_lost(node)):
                time.sleep(_KNOWN_SECONDS)
                worker.lost = True
                self._fit(worker.stage)
                return None
            if node is not None and self._is_lost(node):
                self._leave(node, worker)
                return None
            where, why = node.raylet[0] if node else "a node", _reason_in(str(error))
            return UsageError(
                f"a worker of {self._stages[worker.stage].name} cannot start on {where}: {why}; "
                "every node needs this project and its environment, in the version that runs here"
            )
        return found

    def _may_begin_again(self, error: Exception, worker: Worker) -> bool:
        """Whether an actor ended before it began, for some seconds.

        Ray ends one at once where it still takes its owner for the process, killed a moment ago, whose port it has.
        """
        if not isinstance(error, ray.exceptions.ActorDiedError) or _CANCELLED not in str(error):
            return False
        now = time.monotonic()
        return now < self._never_ran.setdefault(worker.stage, now) + _NEVER_RAN_SECONDS

    def _count(self, stage: int, allotted: Callable[[Sequence[Stage]], list[int]]) -> int:
        """How many actors the stage gets beside all others or, if GPUs are short, beside those that may have work."""
        try:
            return allotted(self._stages)[stage]
        except UsageError:
            first = min([stage, *self.workers])
            if first == 0:
                raise
            return allotted(self._stages[first:])[stage - first]

    def _fit(self, stage: int) -> None:
        """Begins the actors that the stage is short of on the nodes that are there now."""
        with suppress(UsageError):  # GPUs are short: those that are left go on
            wanted = self._count(stage, partial(self._cluster.allotted, nodes=self._usable()))
            opening = sum(w.stage == stage for w in self.opening.values())
            self._begin(stage, wanted - opening - len(self.workers[stage]))

    def _begin(self, stage: int, actors: int) -> None:
        nodes = self._usable()
        if not self._known:
            self._known = {node.id for node in nodes}
        for _ in range(actors):
            there = [*self.workers[stage], *(w for w in self.opening.values() if w.stage == stage)]
            held = Counter(w.placed.id for w in there if w.placed is not None)
            on_gpus = self._stages[stage].resources.gpus > 0  # those Ray itself places where they are
            worker = self._actor(stage, None if on_gpus else roomiest(nodes, held))
            self.opening[worker.actor.open.remote()] = worker

    def _actor(self, stage: int, node: Node | None) -> Worker:
        """Its cores are no demand: stages of one segment share them, and mostly wait for the network.

        Left to itself Ray would put all that demand so little on one node.
        """
        of = self._stages[stage]
        remote = ray.remote(concurrency_groups={BESIDE: 1})(StageActor)
        options: dict[str, Any] = {
            "num_cpus": 0,
            "num_gpus": of.resources.gpus,
            "max_concurrency": of.resources.overlap,
        }
        if node is not None and not of.resources.gpus:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node.id, soft=False)
        code = code_digest() if self._cluster.may_gain_nodes else ""
        actor = remote.options(max_restarts=0, **options).remote(of, self._store.url, code)
        return Worker(actor, stage, node, actor.node.remote())


def _reason_in(said: str) -> str:
    """The line of an error of Ray's that tells why: the last one that is not about every actor that never ran."""
    lines = said.strip().splitlines()
    return next((line for line in reversed(lines) if _CANCELLED not in line), said).strip()[:300]
