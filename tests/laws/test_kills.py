"""A run killed anywhere ends byte-identical. ``make chaos`` kills at many more points."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from curation.core.store import Store
from tests.laws.conftest import Site
from tests.support.processes import run, started
from tests.support.runs import RESULT, command, counted
from tests.support.toy import fingerprint

QUICK_POINTS = (4, 14, 21, 33)


def _entries(root: Path) -> int:
    return sum(1 for _ in root.glob("manifest/*/*.json"))


def _kill_at(points: tuple[int, ...], engine: str, root: Path, site: Site, home: Path) -> int:
    """Starts the run again and again, killing driver and workers as soon as so many entries are there."""
    killed = 0
    for point in points:
        with started(command(root, engine, site.source, site.settings), home, log=home / "log.txt") as process:
            deadline = time.monotonic() + 120
            while process.poll() is None and _entries(root) < point and time.monotonic() < deadline:
                time.sleep(0.002)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
    return killed


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_run_killed_again_and_again_ends_byte_identical(
    engine: str, site: Site, undisturbed: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    points = QUICK_POINTS if engine == "local" else QUICK_POINTS[1:3]
    if request.config.getoption("--chaos"):
        points = tuple(sorted(random.Random(7).sample(range(1, 45), 20 if engine == "local" else 8)))
    root = tmp_path / "root"
    assert _kill_at(points, engine, root, site, tmp_path) >= len(points) - 1
    done = run(command(root, engine, site.source, site.settings), tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert fingerprint(Store(str(root)), *RESULT) == fingerprint(Store(str(undisturbed)), *RESULT)
    counted(str(root))


def test_killed_workers_cost_nothing_but_time(site: Site, undisturbed: Path, tmp_path: Path) -> None:
    """SIGKILL of Ray's actors, not of the driver: the run itself goes to its end."""
    root = tmp_path / "root"
    killed = 0
    with started(command(root, "ray", site.source, site.settings), tmp_path, log=tmp_path / "log.txt") as process:
        deadline = time.monotonic() + 180
        for table in ("images", "captions"):
            while not list(root.glob(f"manifest/{table}/*.json")) and time.monotonic() < deadline:
                assert process.poll() in (None, 0), (tmp_path / "log.txt").read_text()[-2000:]
                time.sleep(0.005)
            for pid in _actors(process.pid):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        assert process.wait(timeout=180) == 0, (tmp_path / "log.txt").read_text()[-2000:]
    assert killed > 0
    assert fingerprint(Store(str(root)), *RESULT) == fingerprint(Store(str(undisturbed)), *RESULT)


def _actors(session: int) -> list[int]:
    """Ray's actor processes of one session of ours."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            actual = (folder / "cmdline").read_bytes()
            if b"ray::StageActor" in actual and os.getsid(int(folder.name)) == session:
                found.append(int(folder.name))
        except (OSError, ProcessLookupError):
            continue
    return found
