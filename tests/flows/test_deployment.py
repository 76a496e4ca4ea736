"""The shipped deployments, with the ordinary command line, on a real Prefect server and a process worker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curation.core.lock import hold
from curation.core.owner import holder
from curation.core.store import Store
from curation.demo.web import DemoWeb
from tests.support.processes import REPOSITORY, free_port, run, started, wait_for_http
from tests.support.runs import counted, quick

PREFECT = str(Path(sys.executable).with_name("prefect"))


@dataclass(frozen=True)
class Prefect:
    """A server, and the variables of whoever uses it."""

    home: Path
    fields: dict[str, str]

    def __call__(self, *words: str) -> str:
        done = run([PREFECT, "--no-prompt", *words], self.home, timeout=180, **self.fields)
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def log(self) -> str:
        return (self.home / "worker.log").read_text()[-3000:]

    def events(self, prefix: str) -> list[dict[str, Any]]:
        asked = urllib.request.Request(
            f"{self.fields['PREFECT_API_URL']}/events/filter",
            json.dumps({"filter": {"event": {"prefix": [prefix]}}}).encode(),
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # the server stores them a moment later
            with opener.open(asked, timeout=30) as reply:
                found: list[dict[str, Any]] = json.load(reply)["events"]
            if found:
                return found
            time.sleep(0.2)
        return []

    def states(self) -> list[str]:
        runs = json.loads(self("flow-run", "ls", "--output", "json"))
        return [r["state"]["type"] for r in runs if r["state"]["type"] != "SCHEDULED"]


@contextmanager
def served(home: Path) -> Iterator[Prefect]:
    port = free_port()
    fields = {
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "LAPIDARY_HOME": str(REPOSITORY),
        "LAPIDARY_SOURCE": f"{home}/source/part-*.parquet",
        "LAPIDARY_ROOT": f"{home}/root",
    }
    server = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with started(server, home, log=home / "server.log", **fields) as serving:
        wait_for_http(f"http://127.0.0.1:{port}/api/health", serving)
        yield Prefect(home, fields)


def kill_in_mid_run(prefect: Prefect, root: Path, worker: list[str]) -> dict[Path, int]:
    """Kills the worker, and the run that it has started; what was finished by then, with its time.

    The run is in a session of its own: killed alone, a worker leaves it to go on to its end.
    """
    with started(worker, prefect.home, log=prefect.home / "worker.log", **prefect.fields) as working:
        deadline = time.monotonic() + 240
        while len(list(root.glob("manifest/images/*.json"))) < 1 and time.monotonic() < deadline:
            assert working.poll() is None, prefect.log()
            time.sleep(0.02)
        os.killpg(working.pid, signal.SIGKILL)
        owner = holder(Store(str(root)))
        assert owner is not None and not owner.is_dead
        os.kill(owner.pid, signal.SIGKILL)
    with hold(Store(str(root)), wait=lambda line: None):  # free once the kernel has ended all of its threads
        assert owner.is_dead
        return {entry: entry.stat().st_mtime_ns for entry in root.glob("manifest/*/*.json")}


@pytest.mark.slow
def test_the_nightly_deployment_goes_on_where_a_killed_worker_left_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with DemoWeb(seed=4, scenes=20, without=("slow", "slow drip", "endless")) as web, served(tmp_path) as prefect:
        web.write(tmp_path / "source")
        prefect("work-pool", "create", "local", "--type", "process")
        prefect("deploy", "--all", "--prefect-file", "infra/prefect.yaml")
        deployed = json.loads(prefect("deployment", "inspect", "refine-laion/nightly", "--output", "json"))
        assert deployed["schedules"][0]["schedule"]["cron"] == "0 3 * * *"
        assert deployed["parameters"]["root"] == str(root)
        worker = [PREFECT, "worker", "start", "--pool", "local", "--run-once"]
        asked = ["--param", f"settings={json.dumps(quick(web.host_port))}", "--param", 'engine="local"']
        prefect("deployment", "run", "refine-laion/nightly", *asked)
        finished = kill_in_mid_run(prefect, root, worker)
        assert finished and not list(root.glob("release/*.tar"))
        prefect("deployment", "run", "refine-laion/nightly", *asked)
        with started(worker, tmp_path, log=tmp_path / "worker.log", **prefect.fields) as working:
            assert working.wait(timeout=240) == 0, prefect.log()
        assert "COMPLETED" in prefect.states(), prefect.log()
        artifacts = prefect("artifact", "ls")
        assert "funnel" in artifacts and "images" in artifacts and "page" in artifacts
        (event,) = prefect.events("lapidary.")
        assert event["event"] == "lapidary.run.completed"
        assert event["payload"]["root"] == str(root) and event["payload"]["kept"] > 0
    assert {entry: entry.stat().st_mtime_ns for entry in finished} == finished, "nothing was done twice"
    assert counted(str(root)).kept > 0
    assert list((root / "release").glob("train-*.tar"))
    shutil.rmtree(tmp_path / "prefect", ignore_errors=True)
