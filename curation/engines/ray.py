"""Runs stages in Ray actors: a pool of actors a stage, each opening its resources once.

The only module that imports Ray. A dead actor costs the shard that it held, which is retried on a
fresh actor a bounded number of times; everything else goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray

from curation.errors import LapidaryError
from curation.pipeline import Job, Outcome, Pool, execute, failed
from curation.stage import Resources, Stage, Work
from curation.store import Store

T = TypeVar("T")
R = TypeVar("R")
ATTEMPTS = 3
# One job runs while the next one waits in the actor's mailbox, so that no actor idles between shards.
JOBS_PER_ACTOR = 2


@dataclass
class RayEngine:
    """Connects to ``address``, or starts Ray on this machine at the first job.

    ``cpus`` 0 takes all cores; ``workers`` is the number of actors of a stage that names none.
    """

    address: str | None = None
    cpus: int = 0
    workers: int = 0
    _started: bool = field(default=False, init=False)

    @contextmanager
    def pool(self, store: Store, stages: Sequence[Stage]) -> Iterator[Pool]:
        pool = _RayPool(self, store, stages)
        try:
            yield pool
        finally:
            pool.close()

    def start(self) -> None:
        """Starts or joins Ray; a second call does nothing."""
        if ray.is_initialized():
            return
        if self.address:
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(
                num_cpus=self.cpus or os.cpu_count() or 1,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                object_store_memory=128 * 1024 * 1024,  # shards travel through the store, not through Ray
            )
        self._started = True

    def spread(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """Runs a picklable function on every task, on all nodes; results in any order.

        A task whose worker dies is tried again; what the function raises is raised here.
        """
        self.start()
        todo = iter(tasks)
        room = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        out = [_call.remote(function, task) for task in islice(todo, room)]
        while out:
            ready, out = ray.wait(out, num_returns=1)
            out += [_call.remote(function, task) for task in islice(todo, 1)]
            try:
                found: R = ray.get(ready[0])
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            yield found

    def stop(self) -> None:
        """Stops Ray if this engine started it."""
        if self._started and ray.is_initialized():
            ray.shutdown()
        self._started = False


@ray.remote(max_retries=ATTEMPTS - 1)  # type: ignore[untyped-decorator,unused-ignore]
def _call(function: Callable[[Any], Any], task: Any) -> Any:
    return function(task)


class _StageActor:
    """Holds one stage open."""

    def __init__(self, stage: Stage, store_url: str) -> None:
        self._stage = stage
        self._store = Store(store_url)
        self._opened = ExitStack()
        self._work: Work | None = None
        self._name = f"{ray.util.get_node_ip_address()}:{os.getpid()}"

    def open(self) -> Exception | None:
        """What went wrong is returned, not raised: Ray would wrap it and lose its class."""
        try:
            self._work = self._opened.enter_context(self._stage.open())
        except LapidaryError as error:
            return error
        return None

    def run(self, job: Job) -> Outcome:
        if self._work is None and (error := self.open()) is not None:
            raise error
        if self._work is None:
            raise RuntimeError(f"stage {self._stage.name!r} opened without work to do")
        return execute(self._stage, self._work, self._store, job, self._name)

    def close(self) -> None:
        self._opened.close()


def _as_many_as_fit(resources: Resources) -> int:
    """One worker a core or, where workers hold GPUs, as many as there are GPUs for."""
    if resources.gpus:
        return max(1, int(ray.cluster_resources().get("GPU", 0) // resources.gpus))
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@dataclass
class _Worker:
    """An actor and the jobs in its mailbox, the running one first."""

    actor: Any
    jobs: list[Job] = field(default_factory=list)
    blamed: Job | None = None  # the job that was running when the actor died


class _RayPool:
    def __init__(self, engine: RayEngine, store: Store, stages: Sequence[Stage]) -> None:
        self._engine = engine
        self._store = store
        self._stages = stages
        self._workers: dict[int, list[_Worker]] = {}
        self._out: dict[Any, tuple[Job, _Worker, int, float]] = {}

    def room(self, stage: int) -> bool:
        workers = self._workers.get(stage)
        return workers is None or any(len(w.jobs) < JOBS_PER_ACTOR for w in workers)

    def submit(self, job: Job) -> None:
        if job.stage not in self._workers:
            self._workers[job.stage] = self._open(job.stage)
        self._hand_over(job, attempt=1)

    def next(self) -> Outcome:
        while True:
            ready, _ = ray.wait(list(self._out), num_returns=1)
            job, worker, attempt, started = self._out.pop(ready[0])
            try:
                outcome: Outcome = ray.get(ready[0])
                worker.jobs.remove(job)
                return outcome
            except ray.exceptions.RayError as error:
                if worker.blamed is None:
                    worker.blamed = worker.jobs[0]
                    self._replace(job.stage, worker)
                if job is not worker.blamed or attempt < ATTEMPTS:
                    # A job that only waited behind the one that killed its actor has not used up a try.
                    self._hand_over(job, attempt + (job is worker.blamed))
                    continue
                stage = self._stages[job.stage]
                seconds = time.perf_counter() - started
                return failed(stage, self._store, job, error, "ray", seconds, attempts=attempt)

    def close(self) -> None:
        everyone = [w.actor for workers in self._workers.values() for w in workers]
        closing = [a.close.remote() for a in everyone] if not self._out else []
        if closing:
            ray.wait(closing, num_returns=len(closing), timeout=10)
        for actor in everyone:
            ray.kill(actor)

    def _hand_over(self, job: Job, attempt: int) -> None:
        worker = min(self._workers[job.stage], key=lambda w: len(w.jobs))
        worker.jobs.append(job)
        self._out[worker.actor.run.remote(job)] = (job, worker, attempt, time.perf_counter())

    def _open(self, stage: int) -> list[_Worker]:
        self._engine.start()
        resources = self._stages[stage].resources
        count = resources.workers or self._engine.workers or _as_many_as_fit(resources)
        workers = [self._actor(stage, resources) for _ in range(count)]
        # An actor that cannot open its stage is noticed only by a call.
        for error in ray.get([w.actor.open.remote() for w in workers]):
            if error is not None:
                raise error
        return workers

    def _actor(self, stage: int, resources: Resources) -> _Worker:
        remote = ray.remote(_StageActor)
        # Fractions, because stages of one segment share the cores and mostly wait for the network.
        options = remote.options(num_cpus=0.01, num_gpus=resources.gpus, max_restarts=0)
        return _Worker(options.remote(self._stages[stage], self._store.url))

    def _replace(self, stage: int, dead: _Worker) -> None:
        """A fresh actor in the place of a dead one; its other jobs fail by themselves and come back."""
        workers = self._workers[stage]
        at = next(i for i, w in enumerate(workers) if w is dead)
        workers[at] = self._actor(stage, self._stages[stage].resources)
