"""A Ray cluster on this machine that belongs to no run: one node, or several, each of which can be killed alone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from tests.support.processes import REPOSITORY, children_of, free_port, program_of, started

RAYLET = "/raylet/raylet "
# Shards travel through the store, not through Ray.
_OBJECT_STORE = 100_000_000  # bytes
_TRIES = 3  # Ray gives a start up after half a minute, which a busy machine may need


@dataclass(frozen=True)
class RayNode:
    """A node that was started."""

    process: Popen[str]
    log: Path

    @property
    def address(self) -> str:
        """What the names of its workers begin with; of a head it is that of the machine."""
        return re.findall(r"Local node IP: (\S+)", self.log.read_text())[0]

    def joins(self) -> bool:
        """Waits until the node is part of its cluster, or has given that up."""
        while "Ray runtime started" not in self.log.read_text():
            if self.process.poll() is not None:
                return False
            time.sleep(0.2)
        return True

    def raylet(self) -> int:
        (found,) = (child for child in children_of(self.process.pid) if RAYLET in program_of(child))
        return found

    def actors(self, doing: str = "") -> int:
        """How many actors of stages are there, or do such a thing at this moment (``.run``)."""
        return sum(f"ray::StageActor{doing}" in program_of(worker) for worker in children_of(self.raylet()))

    def kill(self) -> None:
        """Ends the raylet, and with it all workers of this node, as a machine that loses its power."""
        raylet = self.raylet()
        for one in (raylet, *children_of(raylet), *children_of(self.process.pid), self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self.process.wait(30)


@dataclass
class RayCluster:
    """``address`` is that of its head, for RAY_ADDRESS; ``nodes`` begin with the head."""

    home: Path
    port: int
    environment: dict[str, str]
    stack: contextlib.ExitStack
    nodes: list[RayNode] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *, cpus: int = 1, gpus: int = 0, cwd: Path = REPOSITORY, **environment: str) -> RayNode:
        """One more node, once it has joined. Each has an address of its own on this machine."""
        for _ in range(_TRIES):
            node = self._started(cpus, gpus, cwd, environment)
            if node.joins():
                self.nodes.append(node)
                return node
        raise AssertionError(node.log.read_text())

    def _started(self, cpus: int, gpus: int, cwd: Path, environment: dict[str, str]) -> RayNode:
        at, log = f"127.0.0.{len(self.nodes) + 1}", self.home / f"ray-{len(self.nodes) + 1}.txt"
        words = [str(Path(sys.executable).with_name("ray")), "start", "--block", f"--node-ip-address={at}"]
        words += [f"--num-cpus={cpus}", f"--num-gpus={gpus}", f"--object-store-memory={_OBJECT_STORE}"]
        settings = {**self.environment, **environment}
        if not self.nodes:
            words += ["--head", f"--port={self.port}", "--include-dashboard=false"]
        else:
            words.append(f"--address={self.address}")
            if (Path.home() / ".ray" / "auth_token").is_file():  # the head asks for it
                settings["RAY_AUTH_MODE"] = "token"
        return RayNode(self.stack.enter_context(started(words, self.home, cwd=cwd, log=log, **settings)), log)


@contextlib.contextmanager
def ray_nodes(home: Path, cpus: int = 1, port: int = 0, **environment: str) -> Iterator[RayCluster]:
    """A head with so many CPUs, which others can join; all its processes end with the block."""
    with contextlib.ExitStack() as stack:
        cluster = RayCluster(home, port or free_port(), environment, stack)
        cluster.start(cpus=cpus)
        yield cluster
        for node in reversed(cluster.nodes):  # they end their processes; what is left of their groups is killed
            node.process.terminate()
        for node in reversed(cluster.nodes):
            node.process.wait(60)


@contextlib.contextmanager
def ray_cluster(home: Path, port: int = 0, **environment: str) -> Iterator[str]:
    """The address of one with a single node. ``port`` 0 is any that is free."""
    with ray_nodes(home, 2, port, **environment) as cluster:
        yield cluster.address
