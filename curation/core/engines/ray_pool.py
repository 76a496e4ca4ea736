"""A pool of Ray actors a stage, each of which opens its resources once.

A dead actor costs the shards that it held, which are retried on a fresh actor a bounded number of times; everything
else goes on. A node that is lost takes its actors with it, for which no shard is to blame, and one that joins gets
actors of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import ray

from curation.core.engines.ray_crew import Cluster, Crew, Try, Worker
from curation.core.job import Job, Outcome, committed, failed
from curation.core.stage import Stage
from curation.core.store import Store
from curation.core.under_way import DRAIN_SECONDS, Progress

ATTEMPTS = 3
# Beyond the jobs that run, so many wait in the actor's mailbox, so that no actor idles between shards.
WAITING_PER_ACTOR = 1
_ALIVE_SECONDS = 10.0  # without an outcome, after which it is asked whether Ray is still there
# For an answer to how far a worker is, and for workers to keep what they have when a run is interrupted.
_LOOK_SECONDS = 1.0
_INTERRUPT_SECONDS = DRAIN_SECONDS + 3.0


class RayPool:
    """The actors of a segment's stages."""

    def __init__(self, cluster: Cluster, store: Store, stages: Sequence[Stage]) -> None:
        self._cluster = cluster
        self._store = store
        self._stages = stages
        self._crew = Crew(cluster, store, stages)
        self._out: dict[Any, tuple[Try, Worker, float]] = {}
        self._waiting: list[Try] = []  # for a worker of their own

    def has_capacity(self, stage: int) -> bool:
        workers = self._crew.workers.get(stage)
        if not workers:
            return not self._waits(stage)
        most = self._stages[stage].resources.overlap + WAITING_PER_ACTOR
        free = any(len(w.tries) < most and not any(t.alone for t in w.tries) for w in workers)
        return free and not self._waits(stage)

    def _waits(self, stage: int) -> bool:
        return any(t.job.stage == stage for t in self._waiting)

    def submit(self, job: Job) -> None:
        if not self._crew.workers.get(job.stage):
            self._crew.open(job.stage)
        self._hand_over(Try(job))

    def next(self) -> Outcome | None:
        while True:
            self._crew.look_for_nodes()
            for stage in {t.job.stage for t in self._waiting if not self._crew.workers[t.job.stage]}:
                self._crew.open_again(stage)
                self._hand_over(*self._take_waiting())
            ready, _ = ray.wait([*self._out, *self._crew.opening], num_returns=1, timeout=_ALIVE_SECONDS)
            if not ready:
                self._cluster.reach().must_be_there()  # else nobody would ever answer
            elif ready[0] in self._crew.opening:
                if self._crew.opened(ready[0]) is None:
                    self._hand_over(*self._take_waiting())
                    return None
            elif (outcome := self._outcome(ready[0])) is not None:
                self._hand_over(*self._take_waiting())
                return outcome

    def _outcome(self, ready: Any) -> Outcome | None:
        """What became of a try; None where the job is handed over again."""
        tried, worker, started = self._out.pop(ready)
        try:
            outcome: Outcome = ray.get(ready)
        except ray.exceptions.RayError as error:
            self._cluster.reach().must_be_there()
            again, stage = self._again(tried, worker), self._stages[tried.job.stage]
            if (finished := committed(stage, self._store, tried.job)) is not None:
                return finished
            if again is not None:
                self._hand_over(again)
                return None
            seconds = time.perf_counter() - started
            return failed(stage, self._store, tried.job, error, "ray", seconds, attempts=tried.attempt)
        worker.tries.remove(tried)
        return outcome

    def under_way(self) -> list[Progress]:
        asked = [actor.under_way.remote() for actor in self._crew.actors()]
        answered, _ = ray.wait(asked, num_returns=len(asked), timeout=_LOOK_SECONDS) if asked else ([], [])
        found: list[Progress] = []
        for answer in answered:
            with suppress(ray.exceptions.RayError):  # an actor that has died is noticed by its job
                found += ray.get(answer)
        return found

    def interrupt(self) -> None:
        """Lets workers keep what they have; returns when their jobs have ended, or after some seconds."""
        if self._cluster.reach().ended():
            return
        with suppress(ray.exceptions.RayError):
            for actor in self._crew.actors():
                actor.stop.remote()
            if self._out:
                ray.wait(list(self._out), num_returns=len(self._out), timeout=_INTERRUPT_SECONDS)

    def close(self) -> None:
        if self._cluster.reach().ended():
            return  # the actors go with their raylets
        everyone = self._crew.actors()
        closing = [a.close.remote() for a in everyone] if not self._out else []
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=10)
        for actor in everyone:
            ray.kill(actor)

    def _hand_over(self, *tries: Try) -> None:
        for tried in tries:
            fitting = [w for w in self._crew.workers[tried.job.stage] if w.takes(tried)]
            if not fitting:
                self._waiting.append(tried)
                continue
            worker = min(fitting, key=lambda w: len(w.tries))
            worker.tries.append(tried)
            self._out[worker.actor.run.remote(tried.job)] = (tried, worker, time.perf_counter())

    def _take_waiting(self) -> list[Try]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _again(self, tried: Try, worker: Worker) -> Try | None:
        """The next try of a job whose actor has died; none when it has had all of them."""
        if worker.suspects is None:
            worker.suspects = worker.tries[: self._stages[worker.stage].resources.overlap]
            self._crew.replace(worker)
        if worker.lost or not any(t is tried for t in worker.suspects):
            return tried  # what killed the actor was its node's end, or the try before it, and costs this one nothing
        if len(worker.suspects) > 1:
            return replace(tried, alone=True)  # it is not known yet which of them it was
        return replace(tried, attempt=tried.attempt + 1) if tried.attempt < ATTEMPTS else None
