"""Runs a program that must not outlive us: ``python -I supervisor.py COMMAND …``, with a pipe as standard input.

When the pipe closes, because its other end was closed or its owner was killed in whatever way, the program
and all that it started are ended, orphans included; likewise what the program leaves behind when it ends
by itself. The exit code is the program's. Standard library only: it starts in milliseconds anywhere.

Two processes supervise the program, each in a session of its own, and each ends everything when the other is
killed: a Ray worker, for example, kills its children with SIGKILL as it exits, but not their children.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.2
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(command: Sequence[str]) -> int:
    """Runs the command until it ends or the pipe closes."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans come to us, where they can be found
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # only the pipe ends us
    outer = os.getpid()
    inner = os.fork()
    if inner == 0:
        os.setsid()
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        os._exit(_supervise(command, outer))
    code = _code(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
    _end_descendants()
    return code


def _supervise(command: Sequence[str], outer: int) -> int:
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_in_child)
    while program.poll() is None:
        readable, _, _ = select.select([0], [], [], _LOOK_SECONDS)
        if os.getppid() != outer or (readable and not os.read(0, 1024)):
            program.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(GRACE_SECONDS)
            break
    _end_descendants()
    return _code(program.wait())


def _code(ended: int) -> int:
    """The exit code as shells give it: 128 plus the signal for a program that a signal ended."""
    return 128 - ended if ended < 0 else ended


def _in_child() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # in case this supervisor is killed itself


def _prctl(option: int, value: int) -> None:
    """Linux only; elsewhere the pipe alone has to suffice."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_descendants() -> None:
    while found := _descendants():
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
        _reap()


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _descendants() -> list[int]:
    """Living processes below this one; zombies do not count."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything; state and parent stand behind it.
            state, parent = entry.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state not in "ZX":
                children.setdefault(int(parent), []).append(int(entry.parent.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
