"""Programs that tests start and always end: by pid, with their children, within a bound."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from curation.core.watchdog import MARK

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a program under test: its own Prefect home, nothing that phones home."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "RAY_"))}
    return {
        **kept,
        "PYTHONPATH": str(REPOSITORY),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray's workers give way to everybody else, and on a busy machine would never come to their work.
        "RAY_worker_niceness": "0",
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        **more,
    }


def run(
    words: Sequence[str], home: Path, *, timeout: float = 300, cwd: Path = REPOSITORY, **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; its process group is killed when it takes longer than ``timeout`` seconds."""
    with started(words, home, cwd=cwd, **more) as process:
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


@contextlib.contextmanager
def started(
    words: Sequence[str], home: Path, *, cwd: Path = REPOSITORY, log: Path | None = None, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """A program in a process group of its own, killed with its children at the end."""
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(log.open("w")) if log else subprocess.PIPE
        process = subprocess.Popen(
            # A shell's background jobs ignore Ctrl-C, and so would all that they start.
            ["env", "--default-signal=INT", *words],
            cwd=cwd,
            env=environment(home, **more),
            stdout=out,
            stderr=subprocess.STDOUT if log else subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)


def wait_for_http(url: str, process: subprocess.Popen[str], seconds: float = 90) -> None:
    """Waits until a server answers. Raises ``AssertionError`` when it ends or takes too long."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        with contextlib.suppress(OSError), opener.open(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.25)
    raise AssertionError(f"{url} did not answer within {seconds} s")


def until(holds: Callable[[], bool], looks: int = 1200) -> None:
    """Looks every tenth of a second, so many times. Raises ``AssertionError`` where it does not come to pass."""
    for _ in range(looks):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to pass")


def children_of(parent: int) -> list[int]:
    """Processes that this one has started and that are there."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((place / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(place.name))
    return found


def mark_of(parent: int) -> str:
    """The mark of a run that a child of this process carries: its watchdog ends all that carry it."""
    for child in children_of(parent):
        variables: list[bytes] = []
        with contextlib.suppress(OSError):
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        for variable in variables:
            name, _, value = variable.decode(errors="replace").partition("=")
            if name == MARK:
                return value
    return ""


def program_of(process: int) -> str:
    """The words that a process was started with; none where it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def python(module: str, *words: str) -> list[str]:
    return [sys.executable, "-m", module, *words]
