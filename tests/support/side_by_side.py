"""All tests in parts, three at a time: python -m tests.support.side_by_side [--without-vllm] [PYTEST-OPTION …]

Each part is a pytest of its own, so that nothing is shared but the machine: each test keeps its ports, folders and Ray.
The lines that tell of progress are shown as they come; everything else of a part follows in one block at its end.
The exit code is 0 when that of every part is, otherwise 1.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.processes import REPOSITORY

AT_A_TIME = 3  # on two cores: much of the time of many tests is spent waiting
# The laws first, then what no list names, the longer folders and the shorter ones: what begins last should not last
# long. Each is a part of its own.
HALVED = "tests/laws"
LONGEST = ("tests/curation/caption", "tests/flows")
SHORTER = ("tests/curation/core", "tests/curation/demo", "tests/curation/fetch", "tests/curation/load")
_PROGRESS = re.compile(rb"^(tests/\S+ )?[.a-zA-Z]*\s*\[ *\d+%\]$")
_MARK = re.compile(r"^(?:@|pytestmark = \[?|.*marks=\[?)pytest\.mark\.vllm\b", re.MULTILINE)
_LAST_WORDS = 10.0  # seconds
_NOTHING = 5  # pytest's exit code where no test was chosen, as options may do to a part


@dataclass(frozen=True)
class Part:
    """Some of the tests, as pytest's words."""

    name: str
    words: tuple[str, ...]


def parts(*, vllm: bool) -> list[Part]:
    """Parts that hold every test once. Those that ask a real vLLM are one part, which starts it once."""
    found = [Part("vllm", ("-m", "vllm", *_asking_vllm()))] if vllm else []
    named = (HALVED, *LONGEST, *SHORTER)
    found += [
        *(_half(HALVED, 0), _half(HALVED, 1)),
        _part("tests/curation", without=[f for f in named if f.startswith("tests/curation")]),
        _part("tests", without=("tests/curation", *(f for f in named if not f.startswith("tests/curation")))),
        *(_part(folder) for folder in LONGEST),
    ]
    return [*found, *(_part(folder) for folder in SHORTER)]


def _part(folder: str, without: Sequence[str] = ()) -> Part:
    name = f"{folder}, the rest" if without else folder
    return Part(name, ("-m", "not vllm", folder, *(f"--ignore={place}" for place in without)))


def _half(folder: str, half: int) -> Part:
    """Every second file of a folder."""
    files = sorted(str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / folder).rglob("test_*.py"))
    return Part(f"{folder}, half {'ab'[half]}", ("-m", "not vllm", *files[half::2]))


def _asking_vllm() -> list[str]:
    """Files with tests that ask it, by their text: collecting all tests to ask for marks takes most of a minute."""
    files = sorted((REPOSITORY / "tests").rglob("test_*.py"))
    return [str(file.relative_to(REPOSITORY)) for file in files if _MARK.search(file.read_text(encoding="utf-8"))]


class _Running:
    """The parts that are to be done, and what those that are done have said."""

    def __init__(self, waiting: Sequence[Part], options: Sequence[str]) -> None:
        self._waiting = deque(waiting)
        self._options = options
        self._shown = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self.passed: set[str] = set()
        self.told: list[str] = []

    def work(self) -> None:
        """Takes parts until none is left."""
        while True:
            try:
                part = self._waiting.popleft()
            except IndexError:
                return
            self._run(part)

    def end(self, number: signal.Signals | None) -> None:
        """No further part begins; those that run get a signal. At Ctrl-C they have had it from the terminal."""
        self._waiting.clear()
        for process in list(self._processes) if number is not None else ():
            process.send_signal(number)

    def _run(self, part: Part) -> None:
        began, kept = time.monotonic(), bytearray()
        cache = f"cache_dir=.pytest_cache/{re.sub(r'[^a-z]+', '-', part.name)}"
        words = [sys.executable, "-m", "pytest", "-o", cache, *self._options, *part.words]
        process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._processes.add(process)
        reading = threading.Thread(target=self._read, args=(process, kept), daemon=True)
        reading.start()
        code = process.wait()
        reading.join(_LAST_WORDS)  # what outlives a part may still hold its output
        self._processes.discard(process)
        passed = code == 0 or (code == _NOTHING and bool(self._options))
        if passed:
            self.passed.add(part.name)
        told = f"{part.name}: {'passed' if passed else f'exit code {code}'}, {time.monotonic() - began:.0f} s"
        self.told.append(told)
        self._show(bytes(kept) + f">>> {told}\n\n".encode())

    def _read(self, process: subprocess.Popen[bytes], kept: bytearray) -> None:
        """Shows the lines of progress as they come, and keeps the others."""
        assert process.stdout is not None
        for line in process.stdout:
            if _PROGRESS.match(line.rstrip()):
                self._show(line)
            else:
                kept += line

    def _show(self, data: bytes) -> None:
        with self._shown:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def run(waiting: Sequence[Part], options: Sequence[str]) -> int:
    """Runs the parts with pytest's ``options``; 0 when each of them was run and has passed, otherwise 1."""
    running = _Running(waiting, options)
    workers = [threading.Thread(target=running.work) for _ in range(AT_A_TIME)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        running.end(None)
        raise
    except SystemExit:
        running.end(signal.SIGINT)
        raise
    failed = [part.name for part in waiting if part.name not in running.passed]
    print("\n".join([*running.told, "", f"failed: {', '.join(failed)}" if failed else "all passed"]))
    return int(bool(failed))


def main(words: Sequence[str]) -> int:
    """The exit code for these words of the command line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # which ends the parts, too
    options = [word for word in words if word != "--without-vllm"]
    return run(parts(vllm="--without-vllm" not in words), options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
