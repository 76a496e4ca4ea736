"""A process has one watchdog, which ends what the process started once the process itself is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

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
