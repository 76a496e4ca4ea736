"""A Ray cluster of one node on this machine that belongs to no run."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import free_port, started


@contextmanager
def ray_cluster(home: Path, port: int = 0, **environment: str) -> Iterator[str]:
    """Its address; all its processes end with the block. ``port`` 0 is any that is free."""
    port = port or free_port()
    ray = Path(sys.executable).with_name("ray")
    words = [ray, "start", "--head", "--block", f"--port={port}", "--num-cpus=2", "--include-dashboard=false"]
    address = f"127.0.0.1:{port}"
    with started(
        [*map(str, words), "--node-ip-address=127.0.0.1"], home, log=home / "ray.txt", **environment
    ) as ray_head:
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in (home / "ray.txt").read_text():
            assert ray_head.poll() is None and time.monotonic() < deadline, (home / "ray.txt").read_text()
            time.sleep(0.2)
        yield address
        ray_head.terminate()  # it ends its processes; what is left of its group is killed
        ray_head.wait(60)
