"""Whole flows whose servers are killed or that are stopped: a clear end, nothing left, and the next run ends the same.

A run has servers that it does not see: Ray's raylet, by which it reaches its workers, and Prefect's temporary server.
``make chaos`` kills them at more moments, kills those of a cluster and stops whole runs.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from curation.core.store import Store
from curation.core.watchdog import marked
from tests.laws.conftest import Site
from tests.support.processes import free_port, mark_of, program_of, python, run, started, until
from tests.support.ray_cluster import RAYLET, ray_cluster
from tests.support.runs import RESULT, counted
from tests.support.toy import fingerprint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
PREFECT = "prefect.server.api.server"
TABLES = ("signals", "images", "captions")  # whose shards Ray's workers make; there are six of each
# All that is under way when a run is stopped is too late when it goes on.
STOPPED_SECONDS = 4.0
HURRIED = ("--set", "download.timeout=3", "--set", "download.retries=8")
LOOKS = 6000  # tenths of a second


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """When something is killed: as soon as a table has so many entries."""
    if "moment" in metafunc.fixturenames:
        chance = random.Random(5)
        chaos = metafunc.config.getoption("--chaos", default=False)
        every = [(table, entries) for table in TABLES for entries in range(1, 4)]
        moments = sorted(chance.sample(every, 5)) if chaos else [("images", 2)]
        metafunc.parametrize("moment", moments, ids=[f"{table}-{n}" for table, n in moments])


def words(site: Site, root: Path, *more: str) -> list[str]:
    settings = [word for setting in site.settings for word in ("--set", setting)]
    return python("flows.refine_laion", "--source", site.source, "--root", str(root), *settings, *more)


def under_way(process: subprocess.Popen[str], root: Path, moment: tuple[str, int], log: Path) -> str:
    """Waits for the moment; the mark that all carry that the run has started."""
    table, entries = moment
    until(lambda: process.poll() is not None or len(list(root.glob(f"manifest/{table}/*.json"))) >= entries, LOOKS)
    assert process.poll() is None, log.read_text()[-2000:]
    mark = mark_of(process.pid)
    assert mark
    return mark


def kill(mark: str, program: str) -> None:
    found = [process for process in marked(mark) if program in program_of(process)]
    assert found, f"no {program} runs"
    for process in found:
        os.kill(process, signal.SIGKILL)


def ended_in_one_line(process: subprocess.Popen[str], log: Path, said: str) -> None:
    """The run has failed with an error of one line and how to go on; what is there of the root is shown after it."""
    code = process.wait(timeout=600)
    lines = log.read_text().splitlines()
    assert code == 1, lines[-20:]
    assert not [line for line in lines if line.startswith(("Traceback", "nanobind"))], lines
    (at,) = [n for n, line in enumerate(lines) if line.startswith("error: ")]
    assert said in lines[at], lines[at]
    assert "Resume with the same command" in lines[at + 1] and "flows.refine_laion" in lines[at + 2]


def goes_on(site: Site, command: list[str], root: Path, undisturbed: Path, home: Path, **environment: str) -> None:
    """The same command, run again, ends as the run that nobody disturbed did; nothing unfinished is left."""
    done = run(command, home, timeout=600, **environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    ends_the_same(root, undisturbed)


def ends_the_same(root: Path, undisturbed: Path) -> None:
    assert fingerprint(Store(str(root)), *RESULT) == fingerprint(Store(str(undisturbed)), *RESULT)
    counted(str(root))
    assert not list(root.rglob(".tmp-*")) and not list((root / "unfinished").rglob("*.*"))


@pytest.mark.ray
def test_a_run_whose_raylet_is_killed_says_so_and_goes_on_by_the_next(
    moment: tuple[str, int], site: Site, undisturbed: Path, tmp_path: Path
) -> None:
    root, log = tmp_path / "root", tmp_path / "log.txt"
    with started(words(site, root), tmp_path, log=log) as process:
        mark = under_way(process, root, moment, log)
        kill(mark, RAYLET)
        ended_in_one_line(process, log, "Ray's process on this machine (raylet) ended")
        until(lambda: not marked(mark))
    goes_on(site, words(site, root), root, undisturbed, tmp_path)


@pytest.mark.chaos
@pytest.mark.ray
def test_a_run_on_a_cluster_whose_raylet_is_killed_says_so_and_goes_on_once_it_is_back(
    site: Site, undisturbed: Path, tmp_path: Path
) -> None:
    root, log, port = tmp_path / "root", tmp_path / "log.txt", free_port()
    command = words(site, root, "--profile", "cluster")
    with (
        ray_cluster(tmp_path, port) as address,
        started(command, tmp_path, log=log, RAY_ADDRESS=address) as process,
    ):
        mark = under_way(process, root, ("images", 2), log)
        raylet = [int(p.name) for p in Path("/proc").glob("[0-9]*") if _is_raylet_of(int(p.name), port)]
        assert len(raylet) == 1
        os.kill(raylet[0], signal.SIGKILL)
        ended_in_one_line(process, log, "Ray's process on this machine (raylet) ended")
        until(lambda: not marked(mark))
    refused = run(command, tmp_path, RAY_ADDRESS=address)
    assert refused.returncode == 2 and address in refused.stderr.splitlines()[-1], refused.stderr[-2000:]
    with ray_cluster(tmp_path, port) as address:
        goes_on(site, command, root, undisturbed, tmp_path, RAY_ADDRESS=address)


def _is_raylet_of(process: int, port: int) -> bool:
    program = program_of(process)
    # Ray may write another address of this machine than the one that it was given.
    return RAYLET in program and re.search(rf"--gcs-address=\S+:{port}\b", program) is not None


def test_a_run_whose_prefect_server_is_killed_says_so_and_goes_on_by_the_next(
    moment: tuple[str, int], site: Site, undisturbed: Path, tmp_path: Path
) -> None:
    root, log = tmp_path / "root", tmp_path / "log.txt"
    command = words(site, root, "--engine", "local")
    with started(command, tmp_path, log=log) as process:
        mark = under_way(process, root, moment, log)
        kill(mark, PREFECT)
        ended_in_one_line(process, log, "Prefect's temporary server ended while the run was under way")
        until(lambda: not marked(mark))
    goes_on(site, command, root, undisturbed, tmp_path)


@pytest.mark.chaos
@pytest.mark.ray
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_run_that_is_stopped_for_longer_than_a_time_out_goes_on(
    engine: str, moment: tuple[str, int], site: Site, undisturbed: Path, tmp_path: Path
) -> None:
    """As the lid of a laptop does: driver, workers and servers sleep, while the web goes on."""
    root, log = tmp_path / "root", tmp_path / "log.txt"
    with started(words(site, root, "--engine", engine, *HURRIED), tmp_path, log=log) as process:
        mark = under_way(process, root, moment, log)
        stopped = [process.pid, *marked(mark)]
        for one in stopped:
            os.kill(one, signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)
        for one in reversed(stopped):
            os.kill(one, signal.SIGCONT)
        assert process.wait(timeout=600) == 0, log.read_text()[-2000:]
        until(lambda: not marked(mark))
    ends_the_same(root, undisturbed)


@pytest.mark.ray
@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.chaos)])
def test_a_run_whose_driver_alone_is_killed_leaves_nobody_behind_and_goes_on_by_the_next(
    engine: str, moment: tuple[str, int], site: Site, undisturbed: Path, tmp_path: Path
) -> None:
    root, log = tmp_path / "root", tmp_path / "log.txt"
    command = words(site, root, "--engine", engine)
    with started(command, tmp_path, log=log) as process:
        mark = under_way(process, root, moment, log)
        process.kill()
        process.wait()
        until(lambda: not marked(mark))
    goes_on(site, command, root, undisturbed, tmp_path)
