"""Runs stages in Ray, on this machine or a cluster. This module and those beside it named ray_* alone import Ray."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# Ray would start its workers 15 steps nicer than the command: on a machine with other work they got next to nothing,
# while the driver waited for them. Who wants a run to give way starts all of it with `nice`.
os.environ.setdefault("RAY_worker_niceness", "0")
# `ray start` asks for the token of ~/.ray wherever there is one; who joins such a cluster must say that it has it,
# before Ray is imported. Said later it would reach the servers that this process starts, and not the process itself.
if "ray" not in sys.modules and (Path.home() / ".ray" / "auth_token").is_file():
    os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray

from curation.core.engines.address import check_listening
from curation.core.engines.placement import Node, allot
from curation.core.engines.ray_pool import RayPool
from curation.core.engines.ray_reach import Reach, nodes_there
from curation.core.errors import UsageError
from curation.core.pipeline import Pool
from curation.core.stage import Stage
from curation.core.store import Store
from curation.core.under_way import Progress
from curation.core.watchdog import remove_at_end

# A cluster's nodes may still be joining when a run begins.
_JOIN_SECONDS = 60.0

log = logging.getLogger(__name__)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps this process's handlers of SIGINT and SIGTERM, which Ray replaces by one that aborts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class RayEngine:
    """Connects to ``address``, or starts Ray on this machine at the first job.

    ``cpus`` 0 takes all cores; ``workers`` is the number of actors of a stage that names none.
    """

    address: str | None = None
    cpus: int = 0
    workers: int = 0
    _started: bool = field(default=False, init=False)
    _pool: RayPool | None = field(default=None, init=False)
    _reach: Reach = field(default=Reach(), init=False)
    _session: str = field(default="", init=False)  # the folder of logs and sockets that Ray would leave behind

    @contextmanager
    def pool(self, store: Store, stages: Sequence[Stage]) -> Iterator[Pool]:
        self._pool = pool = RayPool(self, store, stages)
        try:
            yield pool
        except KeyboardInterrupt:
            pool.interrupt()
            raise
        except SystemError as error:  # so Ray hands an interrupt on that comes as its wait returns
            if not isinstance(error.__cause__, KeyboardInterrupt):
                raise
            pool.interrupt()
            raise KeyboardInterrupt from error
        finally:
            self._pool = None
            pool.close()

    def under_way(self) -> list[Progress]:
        pool = self._pool
        return [] if pool is None else pool.under_way()

    def check(self, stages: Sequence[Stage]) -> None:
        if any(s.resources.gpus for s in stages):
            self.workers_of(stages)

    def workers_of(self, stages: Sequence[Stage]) -> list[int]:
        """How many actors each stage of a segment gets. Raises ``UsageError`` for GPUs that the cluster does not have.

        Ray itself would wait for them without a word. Those that other jobs hold count: they come free some day.
        """
        self.start()
        deadline = time.monotonic() + (_JOIN_SECONDS if self.address else 0.0)
        while True:
            try:
                return self.allotted(stages, self.nodes())
            except UsageError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(1.0)

    def allotted(self, stages: Sequence[Stage], nodes: Sequence[Node]) -> list[int]:
        """The same on these nodes, without waiting for others."""
        cpus = int(sum(node.cpus for node in nodes))
        return allot(stages, [node.gpus for node in nodes], cpus=cpus, workers=self.workers)

    def nodes(self) -> list[Node]:
        return nodes_there()

    def reach(self) -> Reach:
        return self._reach

    @property
    def may_gain_nodes(self) -> bool:
        return self.address is not None

    def start(self) -> None:
        """Starts or joins Ray; a second call only looks whether it is still there.

        Raises ``UsageError`` for a cluster that is not there, and ``LapidaryError`` for one that is gone.
        """
        if ray.is_initialized():
            self._reach.must_be_there()
            return
        if self.address:
            check_listening(os.environ.get("RAY_ADDRESS", ""))
        try:
            with _own_signals():
                self._init()
        except Exception as error:  # Ray's refusals have no class in common: OSError, ValueError, RaySystemError …
            why = " ".join(str(error).split())[:300] or type(error).__name__
            raise UsageError(
                f"Ray cannot start: {why}; mend that (a shorter RAY_TMPDIR, room in /dev/shm, more open files), or run "
                "in this process with --engine local"
            ) from error
        self._started, self._reach = True, Reach.of_this_process()

    def _init(self) -> None:
        if self.address:
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
            return
        context = ray.init(
            address="local",  # not a cluster that somebody else runs on this machine
            num_cpus=self.cpus or os.cpu_count() or 1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=128 * 1024 * 1024,  # shards travel through the store, not through Ray
        )
        self._session = str(context.address_info.get("session_dir") or "")
        remove_at_end(self._session)

    def stop(self) -> None:
        """Stops Ray if this engine started it, and removes what it left in the folder for temporary files."""
        if self._started and ray.is_initialized() and not self._reach.without_head():
            ray.shutdown()
        if self._session:
            shutil.rmtree(self._session, ignore_errors=True)
        self._started, self._reach, self._session = False, Reach(), ""
