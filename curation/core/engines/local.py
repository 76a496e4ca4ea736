"""Runs every stage in this process, one shard at a time, so that a breakpoint works."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from curation.core.job import Job, Outcome, execute
from curation.core.pipeline import Pool
from curation.core.stage import Stage, Work
from curation.core.store import Store
from curation.core.under_way import Progress, under_way


class LocalEngine:
    """One worker: this process."""

    def check(self, stages: Sequence[Stage]) -> None:
        """Nothing waits here: stages share this process's GPUs, and a model that finds none says so as it opens."""

    def under_way(self) -> list[Progress]:
        return under_way()

    @contextmanager
    def pool(self, store: Store, stages: Sequence[Stage]) -> Iterator[Pool]:
        with ExitStack() as opened:
            yield _LocalPool(store, stages, opened)


class _LocalPool:
    def __init__(self, store: Store, stages: Sequence[Stage], opened: ExitStack) -> None:
        self._store = store
        self._stages = stages
        self._opened = opened
        self._works: dict[int, Work] = {}
        self._finished: deque[Outcome] = deque()

    def has_capacity(self, stage: int) -> bool:
        return not self._finished

    def submit(self, job: Job) -> None:
        stage = self._stages[job.stage]
        if job.stage not in self._works:
            self._works[job.stage] = self._opened.enter_context(stage.open())
        self._finished.append(execute(stage, self._works[job.stage], self._store, job, "local"))

    def next(self) -> Outcome:
        return self._finished.popleft()
