"""Ends what a run has started and left behind, however the run ends: ``python -I watchdog.py RUN PARENT FOLDER``.

Servers that a run starts (Prefect's temporary one, Ray's, vLLM) inherit the run's mark in their environment. This
program waits until its parent, the run, is gone, and then ends every process that carries the mark: first by SIGTERM,
after a grace by SIGKILL. It finds them in /proc; on systems without it there is nothing to be done. FOLDER holds the
temporary files of all of them (libraries leave theirs behind in workers that are killed), and goes last, with the
folders elsewhere that are listed in it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

MARK = "LAPIDARY_RUN"
GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_GIVE_UP_SECONDS = 30.0
_ELSEWHERE = "elsewhere"  # a file of FOLDER with the path of another temporary folder on each line


# The mark of this process, its watchdog and its folder for temporary files, once it has one.
_own: list[tuple[str, subprocess.Popen[bytes], str]] = []


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """What this process starts inside ends with it at the latest. A process has one watchdog, however often it asks."""
    if not Path("/proc/self/environ").exists():
        yield
        return
    if not _own:
        run, folder = uuid.uuid4().hex, tempfile.mkdtemp(prefix="lapidary-")
        # No run may end this watchdog: neither its own, nor one that has started this process and carries the mark.
        # It holds no pipe either, or whoever reads the run's output would wait for the watchdog too.
        dog = subprocess.Popen(
            [sys.executable, "-I", __file__, run, str(os.getpid()), folder],
            env={key: value for key, value in os.environ.items() if key != MARK},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _own.append((run, dog, folder))
    # A run that another run starts has a mark of its own, and keeps that of the other in its first environment.
    run, _, folder = _own[0]
    # Ray keeps its sockets where they were: their paths must stay short.
    now = {MARK: run, "TMPDIR": folder, "RAY_TMPDIR": os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()}
    before = {name: os.environ.get(name) for name in now}
    os.environ.update(now)
    tempfile.tempdir = None  # it is read from the environment again
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        tempfile.tempdir = None


def remove_at_end(folder: str) -> None:
    """Has the watchdog of this process, where it has one, remove a folder that lies elsewhere."""
    if _own and folder and "\n" not in folder:
        with contextlib.suppress(OSError), (Path(_own[0][2]) / _ELSEWHERE).open("a") as listed:
            listed.write(f"{folder}\n")


def marked(run: str) -> list[int]:
    """Processes whose environment carries the mark of this run, the run itself left out by its death."""
    wanted = f"{MARK}={run}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in place.read_bytes().split(b"\0"):
                found.append(int(place.parent.name))
    return found


def main(run: str, parent: int, folder: str) -> None:
    """Waits for the parent's end, then ends what it left and removes its temporary files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's business
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    started = time.monotonic()
    number = signal.SIGTERM
    while (left := marked(run)) and time.monotonic() - started < _GIVE_UP_SECONDS:
        for process in left:
            with contextlib.suppress(OSError):
                os.kill(process, number)
        if time.monotonic() - started > GRACE_SECONDS:
            number = signal.SIGKILL
        time.sleep(_LOOK_SECONDS)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for other in (Path(folder) / _ELSEWHERE).read_text().splitlines():
            shutil.rmtree(other, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
