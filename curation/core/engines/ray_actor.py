"""The actor: one stage, held open in a process of its own on some node of the cluster."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path

import ray

from curation.core.cores import use_cores
from curation.core.engines.code import code_digest
from curation.core.engines.ray_reach import node_here
from curation.core.errors import LapidaryError, UsageError
from curation.core.job import Job, Outcome, execute
from curation.core.stage import Stage, Work
from curation.core.store import Store
from curation.core.under_way import Interrupted, Progress, stop, under_way

_PROJECT = Path(__file__).resolve().parents[3]
BESIDE = "beside"  # the threads of an actor that answer while its jobs run


class StageActor:
    """Holds one stage open; runs as many jobs at once, in threads, as the stage's ``overlap`` says."""

    def __init__(self, stage: Stage, store_url: str, code: str) -> None:
        """``code`` is the digest of the driver's code, or nothing where this process cannot have other code."""
        self._stage = stage
        self._code = code
        self._store = Store(store_url)
        self._opened = ExitStack()
        self._work: Work | None = None
        self._opening = threading.Lock()
        node = node_here()
        self._node = node.id if node else ""
        self._address = node.raylet[0] if node else ray.util.get_node_ip_address()
        self._name = f"{self._address}:{os.getpid()}"

    def open(self) -> Exception | None:
        """What went wrong is returned, not raised: Ray would wrap it and lose its class."""
        if self._code and self._code != code_digest():
            return UsageError(
                f"the node {self._address} has other code of this project than the one that runs it "
                f"(it is imported from {_PROJECT}); install the same version on every node"
            )
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

    @ray.method(concurrency_group=BESIDE)  # type: ignore[untyped-decorator,unused-ignore]
    def node(self) -> str:
        """The id of the node that it is on."""
        return self._node

    @ray.method(concurrency_group=BESIDE)  # type: ignore[untyped-decorator,unused-ignore]
    def under_way(self) -> list[Progress]:
        return under_way()

    @ray.method(concurrency_group=BESIDE)  # type: ignore[untyped-decorator,unused-ignore]
    def stop(self) -> None:
        stop()

    def close(self) -> None:
        self._opened.close()
