"""Others that lock a root: a process that holds it, and runs that start together."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from curation.core.errors import RootInUse
from curation.core.lock import hold
from curation.core.store import Store

_HOLDER = (
    "import sys, time; from curation.core.lock import hold; from curation.core.store import Store\n"
    "with hold(Store(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(120)\n"
)


@contextmanager
def held_by_another(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds a root; it is killed at the end, if not before."""
    other = subprocess.Popen([sys.executable, "-c", _HOLDER, url], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        yield other
    finally:
        other.kill()
        other.wait()
        assert other.stdout is not None
        other.stdout.close()


def having_it_of(runs: int, url: str) -> list[int]:
    """Which of so many runs (threads) that start together have a root, while all others are refused."""
    start, end = threading.Barrier(runs), threading.Barrier(runs)
    got: list[int] = []

    def run(number: int) -> None:
        start.wait()
        try:
            with hold(Store(url)):
                got.append(number)
                end.wait(120)
        except RootInUse:
            end.wait(120)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got
