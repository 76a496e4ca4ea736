"""A process has one watchdog, which ends what the process started once the process itself is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from curation.core.watchdog import MARK, marked
from tests.support.processes import REPOSITORY

_RUN = """
import os, subprocess, sys, time
from curation.core.watchdog import MARK, watched
with watched():
    outer = os.environ[MARK]
    with watched():
        assert os.environ[MARK] == outer
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    with watched():
        assert os.environ[MARK] == outer
    print(outer, flush=True)
    time.sleep(300)
"""


def test_what_a_killed_process_started_is_ended_and_nothing_else() -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], env={**os.environ, MARK: "other"})
    run = subprocess.Popen([sys.executable, "-c", _RUN], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        assert run.stdout is not None
        mark = run.stdout.readline().strip()
        dogs = subprocess.run(["pgrep", "-f", f"watchdog.py {mark} "], capture_output=True, text=True).stdout.split()
        assert len(dogs) == 1 and len(marked(mark)) == 1
        run.send_signal(signal.SIGKILL)
        run.wait()
        for _ in range(600):
            if not marked(mark):
                break
            time.sleep(0.1)
        assert not marked(mark) and other.poll() is None
    finally:
        for process in (run, other):
            process.kill()
            process.wait()


_INNER = """
import subprocess, sys, time
from curation.core.watchdog import watched
with watched():
    print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]).pid, flush=True)
    time.sleep(300)
"""
_OUTER = f"""
import os, subprocess, sys, time
from curation.core.watchdog import MARK, watched
with watched():
    inner = subprocess.Popen([sys.executable, "-c", {_INNER!r}], stdout=subprocess.PIPE, text=True)
    print(os.environ[MARK], inner.stdout.readline().strip(), flush=True)
    time.sleep(300)
"""


def test_what_a_run_inside_a_killed_run_started_is_ended_too() -> None:
    run = subprocess.Popen([sys.executable, "-c", _OUTER], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    server = 0
    try:
        assert run.stdout is not None
        mark, server_id = run.stdout.readline().split()
        server = int(server_id)
        run.kill()
        run.wait()
        for _ in range(600):
            if not marked(mark) and _ended(server):
                break
            time.sleep(0.1)
        assert not marked(mark) and _ended(server)
    finally:
        run.kill()
        run.wait()
        if server and not _ended(server):
            os.kill(server, signal.SIGKILL)


_FOLDERS = """
import os, sys, tempfile, time
from pathlib import Path
from curation.core.watchdog import MARK, remove_at_end, watched
remove_at_end(sys.argv[1] + "/kept")  # there is no run to end yet
with watched():
    own = Path(tempfile.mkdtemp())
    for folder in ("first", "second", "kept"):
        (Path(sys.argv[1]) / folder).mkdir()
    (Path(sys.argv[1]) / "first" / "log").touch()
    remove_at_end(sys.argv[1] + "/first")
    remove_at_end(sys.argv[1] + "/second")
    print(own, flush=True)
    time.sleep(300)
"""


def test_a_killed_process_leaves_no_temporary_folder_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FOLDERS, str(tmp_path)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        assert run.stdout is not None
        own = Path(run.stdout.readline().strip())
        assert own.is_dir() and len(list(tmp_path.iterdir())) == 3
    finally:
        run.kill()
        run.wait()
    for _ in range(600):
        if not own.parent.exists():
            break
        time.sleep(0.1)
    assert not own.parent.exists() and [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_who_reads_what_a_run_prints_does_not_wait_for_its_watchdog() -> None:
    """The watchdog is stopped by then; with the run's pipe in its hands the reader would never see the end."""
    script = """
import os, signal
from curation.core import watchdog
with watchdog.watched():
    dog = watchdog._own[0][1].pid
    os.kill(dog, signal.SIGSTOP)
    print(dog, flush=True)
"""
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert run.stdout is not None
    dog = int(run.stdout.readline())
    try:
        run.communicate(timeout=60)
    finally:
        os.kill(dog, signal.SIGCONT)


def _ended(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"
