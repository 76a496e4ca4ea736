"""A server under our care comes up, comes back, and is gone as soon as we are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from curation.caption.model import supervisor
from curation.caption.model.chat import ChatRequest, ModelIdentity
from curation.caption.model.open import check_model
from curation.caption.model.server import ServerModel
from curation.caption.model.vllm_server import VllmServer, command_of, free_port, healthy
from curation.core.errors import EndpointsGone, ModelError
from schemas.chat import Captioning, Serve
from tests.support.vllm import processes_of

# Answers /health after a while, and has a child and an orphan, as an engine has.
STANDIN = """
import http.server, subprocess, sys, time
port, wait, mark = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
sleep = [sys.executable, "-c", "import time; time.sleep(600)", mark]
subprocess.Popen(sleep)
subprocess.Popen(sleep, start_new_session=True)
print("loading weights", flush=True)
time.sleep(wait)
if len(sys.argv) > 4:
    raise ValueError(sys.argv[4])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def standin(folder: Path, *more: str, wait: float = 0.2, **settings: float) -> Iterator[tuple[VllmServer, str]]:
    """A server that has not been started yet, and the mark of all its processes."""
    port, mark = free_port(), f"standin-{folder.name}"
    command = [sys.executable, "-c", STANDIN, str(port), str(wait), mark, *more]
    server = VllmServer(command, port, folder / "logs" / "server.log", **settings)  # type: ignore[arg-type]
    try:
        yield server, mark
    finally:
        server.close()


def api_process(server: VllmServer, mark: str) -> int:
    port = server.url.split(":")[-1].removesuffix("/v1")
    (pid,) = [p for p in processes_of(mark) if f" {port} " in cmdline(p) and "supervisor.py" not in cmdline(p)]
    return pid


def cmdline(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_it_is_ready_when_start_returns_and_all_of_it_is_gone_when_close_does(tmp_path: Path) -> None:
    with standin(tmp_path) as (server, mark):
        server.start()
        port = int(server.url.split(":")[-1].removesuffix("/v1"))
        assert healthy(port)
        assert len(processes_of(mark)) == 5  # two supervisors, server, child, orphan
        server.close()
        assert processes_of(mark) == []
        assert not healthy(port)
    assert "loading weights" in server.log_file.read_text()


def test_a_killed_server_comes_back_a_bounded_number_of_times(tmp_path: Path) -> None:
    with standin(tmp_path, restarts=1) as (server, mark):
        server.start()
        port = int(server.url.split(":")[-1].removesuffix("/v1"))
        for expected in (1, 1):
            os.kill(api_process(server, mark), signal.SIGKILL)
            until(lambda: not healthy(port))
            until(lambda: server.gone or healthy(port))
            assert server.restarted == expected
        assert server.gone and "died 2 times, last with exit code 137" in server.gone
        until(lambda: processes_of(mark) == [])


def test_a_server_that_cannot_start_says_why_at_once(tmp_path: Path) -> None:
    with standin(tmp_path, "no module named paper") as (server, mark):
        with pytest.raises(ModelError, match="ValueError: no module named paper") as error:
            server.start()
        assert "\n" not in str(error.value) and str(server.log_file) in str(error.value)
        assert processes_of(mark) == []


def test_a_server_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with standin(tmp_path, wait=60, start_timeout=1.0) as (server, mark):
        with pytest.raises(ModelError, match="start_timeout"):
            server.start()
        assert processes_of(mark) == []


def test_it_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    port, mark = free_port(), f"standin-{tmp_path.name}"
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\nfrom curation.caption.model.vllm_server import VllmServer\n"
            "code, port, mark, log = sys.argv[1:]\n"
            "VllmServer([sys.executable, '-c', code, port, '0', mark], int(port), Path(log)).start()\n"
            "time.sleep(600)",
            *(STANDIN, str(port), mark, str(tmp_path / "log")),
        ]
    )
    try:
        until(lambda: healthy(port))
        assert len(processes_of(mark)) >= 5
    finally:
        owner.kill()
        owner.wait()
    until(lambda: processes_of(mark) == [], supervisor.GRACE_SECONDS + 10)


def test_a_program_that_ends_by_itself_leaves_nothing_and_its_exit_code(tmp_path: Path) -> None:
    mark = f"standin-{tmp_path.name}"
    command = [sys.executable, "-c", STANDIN, "1", "0", mark, "over"]
    words = [sys.executable, "-I", supervisor.__file__, *command]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.wait(20) == 1
    assert processes_of(mark) == []


@pytest.mark.parametrize("which", [0, 1])
def test_either_supervisor_ends_everything_when_the_other_is_killed(tmp_path: Path, which: int) -> None:
    """Ray kills its workers' children with SIGKILL as they exit."""
    port, mark = free_port(), f"standin-{tmp_path.name}"
    words = [sys.executable, "-I", supervisor.__file__, sys.executable, "-c", STANDIN, str(port), "0", mark]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as outer:
        until(lambda: healthy(port))
        (inner,) = (p for p in processes_of(mark) if "supervisor.py" in cmdline(p) and p != outer.pid)
        os.kill((outer.pid, inner)[which], signal.SIGKILL)
        until(lambda: processes_of(mark) == [], supervisor.GRACE_SECONDS + 10)


def test_when_the_server_is_given_up_the_run_ends_in_one_line_without_waiting(tmp_path: Path) -> None:
    with standin(tmp_path, restarts=0) as (server, mark):
        server.start()
        os.kill(api_process(server, mark), signal.SIGKILL)
        until(lambda: server.gone)
        model = ServerModel([server.url], ModelIdentity("m", "r"), timeout=5, patience=3600, gone=lambda: server.gone)
        with pytest.raises(EndpointsGone, match=r"died 1 times.*all finished replies are kept"):
            list(model.complete([ChatRequest("a", "Hello")]))  # its patience is longer than the test's time limit
        model.close()


def test_the_command_says_what_the_recipe_says() -> None:
    serve = Serve(python="/venv/bin/python", tensor_parallel=2, arguments=["--max-model-len=4096"])
    command = command_of(serve, "Qwen/Model", "Qwen/Model", "abc", 8000)
    assert command[0] == "/venv/bin/python"
    assert command[command.index("--revision") + 1] == "abc"
    assert command[command.index("--tensor-parallel-size") + 1] == "2"
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "--structured-outputs-config" in command and command[-1] == "--max-model-len=4096"


@pytest.mark.parametrize(
    ("python", "said"), [("no/such/python", "is not an executable file"), (sys.executable, "has no vLLM")]
)
def test_an_environment_without_vllm_is_refused_before_work(python: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as error:
        check_model(Captioning(backend="server", model="demo", serve=Serve(python=python)))
    assert "\n" not in str(error.value)
