"""The shipped deployment, with the ordinary command line, on a real Prefect server and a process worker."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from curation.demo.web import DemoWeb
from tests.support.processes import REPOSITORY, free_port, run, started, wait_for_http
from tests.support.runs import counted, quick

PREFECT = str(Path(sys.executable).with_name("prefect"))


@pytest.mark.slow
def test_the_nightly_deployment_runs_on_a_worker_and_its_release_can_be_read(tmp_path: Path) -> None:
    port = free_port()
    with DemoWeb(seed=4, scenes=20, without=("slow", "slow drip", "endless")) as web:
        web.write(tmp_path / "source")
        fields = {
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "LAPIDARY_HOME": str(REPOSITORY),
            "LAPIDARY_SOURCE": f"{tmp_path}/source/part-*.parquet",
            "LAPIDARY_ROOT": f"{tmp_path}/root",
        }
        server = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        with started(server, tmp_path, log=tmp_path / "server.log", **fields) as serving:
            wait_for_http(f"http://127.0.0.1:{port}/api/health", serving)

            def prefect(*words: str) -> str:
                done = run([PREFECT, "--no-prompt", *words], tmp_path, timeout=120, **fields)
                assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
                return done.stdout

            prefect("work-pool", "create", "local", "--type", "process")
            prefect("deploy", "--all", "--prefect-file", "infra/prefect.yaml")
            deployed = json.loads(prefect("deployment", "inspect", "refine-laion/nightly", "--output", "json"))
            assert deployed["schedules"][0]["schedule"]["cron"] == "0 3 * * *"
            assert deployed["parameters"]["root"] == f"{tmp_path}/root"
            worker = [PREFECT, "worker", "start", "--pool", "local", "--run-once"]
            settings = json.dumps(quick(web.host_port))
            asked = ["--param", f"settings={settings}", "--param", 'engine="local"']
            prefect("deployment", "run", "refine-laion/nightly", *asked)
            with started(worker, tmp_path, log=tmp_path / "worker.log", **fields) as working:
                assert working.wait(timeout=240) == 0, (tmp_path / "worker.log").read_text()[-3000:]
            runs = json.loads(prefect("flow-run", "ls", "--output", "json"))
            assert [r["state"]["type"] for r in runs if r["state"]["type"] != "SCHEDULED"] == ["COMPLETED"], (
                tmp_path / "worker.log"
            ).read_text()[-3000:]
            artifacts = prefect("artifact", "ls")
            assert "funnel" in artifacts and "images" in artifacts
    assert counted(f"{tmp_path}/root").kept > 0
    assert list((tmp_path / "root" / "release").glob("train-*.tar"))
    shutil.rmtree(tmp_path / "prefect", ignore_errors=True)
