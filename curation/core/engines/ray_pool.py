"""A pool of Ray actors a stage, each of which opens its resources once.

A dead actor costs the shards that it held, which are retried on a fresh actor a bounded number of times; everything
else goes on.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import ray

from curation.core.cores import use_cores
from curation.core.engines.reach import Reach
from curation.core.errors import LapidaryError, UsageError
from curation.core.job import Job, Outcome, committed, execute, failed
from curation.core.stage import Resources, Stage, Work
from curation.core.store import Store
from curation.core.under_way import DRAIN_SECONDS, Interrupted, Progress, stop, under_way

ATTEMPTS = 3
# Beyond the jobs that run, so many wait in the actor's mailbox, so that no actor idles between shards.
WAITING_PER_ACTOR = 1
_TELL_SECONDS = 60.0
_ALIVE_SECONDS = 10.0  # without an outcome, after which it is asked whether Ray is still there
# For an answer to how far a worker is, and for workers to keep what they have when a run is interrupted.
_LOOK_SECONDS = 1.0
_INTERRUPT_SECONDS = DRAIN_SECONDS + 3.0
_BESIDE = "beside"  # the threads of an actor that answer while its jobs run

log = logging.getLogger(__name__)


class _StageActor:
    """Holds one stage open; runs as many jobs at once, in threads, as the stage's ``overlap`` says."""

    def __init__(self, stage: Stage, store_url: str) -> None:
        self._stage = stage
        self._store = Store(store_url)
        self._opened = ExitStack()
        self._work: Work | None = None
        self._opening = threading.Lock()
        self._name = f"{ray.util.get_node_ip_address()}:{os.getpid()}"

    def open(self) -> Exception | None:
        """What went wrong is returned, not raised: Ray would wrap it and lose its class."""
        use_cores(self._stage.resources.cpus)
        try:
            self._work = self._opened.enter_context(self._stage.open())
        except LapidaryError as error:
            return error
        return None

    def run(self, job: Job) -> Outcome:
        with self._opening:
            if self._work is None and (error := self.open()) is not None:
                raise error
        if self._work is None:
            raise RuntimeError(f"stage {self._stage.name!r} opened without work to do")
        try:
            return execute(self._stage, self._work, self._store, job, self._name)
        except Interrupted as error:
            return Outcome(job.stage, self._stage.writes.table, job.shard, "failed", error=str(error))

    @ray.method(concurrency_group=_BESIDE)  # type: ignore[untyped-decorator,unused-ignore]
    def under_way(self) -> list[Progress]:
        return under_way()

    @ray.method(concurrency_group=_BESIDE)  # type: ignore[untyped-decorator,unused-ignore]
    def stop(self) -> None:
        stop()

    def close(self) -> None:
        self._opened.close()


@dataclass(frozen=True)
class _Try:
    """A job that was handed over. ``alone``: it may be what killed an actor, so that nothing runs beside it."""

    job: Job
    attempt: int = 1
    alone: bool = False


@dataclass
class _Worker:
    """An actor and what is in its mailbox, the running tries first."""

    actor: Any
    tries: list[_Try] = field(default_factory=list)
    suspects: list[_Try] | None = None  # what was running when the actor died

    def takes(self, tried: _Try) -> bool:
        """Whether this try may join those in the mailbox."""
        return not self.tries if tried.alone else not any(t.alone for t in self.tries)


class RayPool:
    """The actors of a segment's stages.

    ``workers_of`` says how many actors each of some stages gets, and starts Ray; ``reach`` is known after that.
    """

    def __init__(
        self,
        workers_of: Callable[[Sequence[Stage]], list[int]],
        reach: Callable[[], Reach],
        store: Store,
        stages: Sequence[Stage],
    ) -> None:
        self._reach = reach
        self._workers_of = workers_of
        self._store = store
        self._stages = stages
        self._workers: dict[int, list[_Worker]] = {}
        self._out: dict[Any, tuple[_Try, _Worker, float]] = {}
        self._waiting: list[_Try] = []  # for a worker of their own

    def has_capacity(self, stage: int) -> bool:
        workers = self._workers.get(stage)
        if workers is None:
            return True
        most = self._stages[stage].resources.overlap + WAITING_PER_ACTOR
        free = any(len(w.tries) < most and not any(t.alone for t in w.tries) for w in workers)
        return free and not any(t.job.stage == stage for t in self._waiting)

    def submit(self, job: Job) -> None:
        if job.stage not in self._workers:
            self._workers[job.stage] = self._open(job.stage)
        self._hand_over(_Try(job))

    def next(self) -> Outcome:
        while True:
            ready, _ = ray.wait(list(self._out), num_returns=1, timeout=_ALIVE_SECONDS)
            if not ready:
                self._reach().must_be_there()  # else nobody would ever answer
                continue
            tried, worker, started = self._out.pop(ready[0])
            try:
                outcome: Outcome = ray.get(ready[0])
                worker.tries.remove(tried)
            except ray.exceptions.RayError as error:
                self._reach().must_be_there()
                again, stage = self._again(tried, worker), self._stages[tried.job.stage]
                if (finished := committed(stage, self._store, tried.job)) is not None:
                    outcome = finished
                elif again is not None:
                    self._hand_over(again)
                    continue
                else:
                    seconds = time.perf_counter() - started
                    outcome = failed(stage, self._store, tried.job, error, "ray", seconds, attempts=tried.attempt)
            self._hand_over(*self._take_waiting())
            return outcome

    def under_way(self) -> list[Progress]:
        asked = [actor.under_way.remote() for actor in self._actors()]
        answered, _ = ray.wait(asked, num_returns=len(asked), timeout=_LOOK_SECONDS) if asked else ([], [])
        found: list[Progress] = []
        for answer in answered:
            with suppress(ray.exceptions.RayError):  # an actor that has died is noticed by its job
                found += ray.get(answer)
        return found

    def interrupt(self) -> None:
        """Lets workers keep what they have; returns when their jobs have ended, or after some seconds."""
        if self._reach().ended():
            return
        with suppress(ray.exceptions.RayError):
            for actor in self._actors():
                actor.stop.remote()
            if self._out:
                ray.wait(list(self._out), num_returns=len(self._out), timeout=_INTERRUPT_SECONDS)

    def _actors(self) -> list[Any]:
        return [w.actor for workers in list(self._workers.values()) for w in list(workers)]

    def close(self) -> None:
        if self._reach().ended():
            return  # the actors go with their raylets
        everyone = self._actors()
        closing = [a.close.remote() for a in everyone] if not self._out else []
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=10)
        for actor in everyone:
            ray.kill(actor)

    def _hand_over(self, *tries: _Try) -> None:
        for tried in tries:
            fitting = [w for w in self._workers[tried.job.stage] if w.takes(tried)]
            if not fitting:
                self._waiting.append(tried)
                continue
            worker = min(fitting, key=lambda w: len(w.tries))
            worker.tries.append(tried)
            self._out[worker.actor.run.remote(tried.job)] = (tried, worker, time.perf_counter())

    def _take_waiting(self) -> list[_Try]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _again(self, tried: _Try, worker: _Worker) -> _Try | None:
        """The next try of a job whose actor has died; none when it has had all of them."""
        overlap = self._stages[tried.job.stage].resources.overlap
        if worker.suspects is None:
            worker.suspects = worker.tries[:overlap]
            self._replace(tried.job.stage, worker)
        if not any(t is tried for t in worker.suspects):
            return tried  # it only waited behind the one that killed the actor, and has not used up a try
        if len(worker.suspects) > 1:
            return replace(tried, alone=True)  # it is not known yet which of them it was
        return replace(tried, attempt=tried.attempt + 1) if tried.attempt < ATTEMPTS else None

    def _open(self, stage: int) -> list[_Worker]:
        resources = self._stages[stage].resources
        workers = [self._actor(stage, resources) for _ in range(self._count(stage))]
        # An actor that cannot open its stage is noticed only by a call.
        opening = [w.actor.open.remote() for w in workers]
        while opening:
            opened, opening = ray.wait(opening, timeout=_TELL_SECONDS)
            try:
                errors = ray.get(opened)
            except ray.exceptions.RayError:
                self._reach().must_be_there()
                raise
            for error in errors:
                if error is not None:
                    raise error
            if not opened:
                self._reach().must_be_there()
                found = (len(opening), len(workers), self._stages[stage].name, resources.opening)
                log.warning("%d of %d workers of %s are not open yet: %s", *found)
        return workers

    def _count(self, stage: int) -> int:
        """How many actors the stage gets beside all others or, if GPUs are short, beside those that may have work."""
        try:
            return self._workers_of(self._stages)[stage]
        except UsageError:
            first = min([stage, *self._workers])
            if first == 0:
                raise
            return self._workers_of(self._stages[first:])[stage - first]

    def _actor(self, stage: int, resources: Resources) -> _Worker:
        remote = ray.remote(concurrency_groups={_BESIDE: 1})(_StageActor)
        # Fractions, because stages of one segment share the cores and mostly wait for the network.
        options = remote.options(
            num_cpus=0.01, num_gpus=resources.gpus, max_restarts=0, max_concurrency=resources.overlap
        )
        return _Worker(options.remote(self._stages[stage], self._store.url))

    def _replace(self, stage: int, dead: _Worker) -> None:
        """A fresh actor in the place of a dead one; its other jobs fail by themselves and come back."""
        workers = self._workers[stage]
        at = next(i for i, w in enumerate(workers) if w is dead)
        workers[at] = self._actor(stage, self._stages[stage].resources)
