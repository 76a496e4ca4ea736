"""Another process that has locked a root."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
