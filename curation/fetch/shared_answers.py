"""What hosts' files said, shared by all workers of a machine, so that a host is asked once a run.

    hosts.sqlite     origin and what was asked -> the bytes of both files, and when they were asked for
    hosts.lock       a byte of it for each origin: whoever holds it asks, the others wait and read the answer

A worker that is killed lets go of its bytes. Only answers stand there: a failure says nothing for other workers or for
the run that goes on with a killed one. Where the disk can hold neither file each worker asks for itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

NAMES = ("hosts.sqlite", "hosts.sqlite-wal", "hosts.sqlite-shm", "hosts.lock")
_WAIT = 20.0  # seconds for another writer, which takes milliseconds
_CREATE = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, at REAL, robots BLOB, tdmrep BLOB)"
_LOCK = struct.Struct("hhqqi4x")  # struct flock of Linux


@dataclass(frozen=True, slots=True)
class Said:
    """The bytes of a host's robots.txt and tdmrep.json, none where there is no file; ``at`` in seconds of UTC."""

    robots: bytes
    tdmrep: bytes
    at: float


class SharedAnswers:
    """Safe to call from many threads; ``asks`` says who asks for what, since hosts may answer others otherwise."""

    def __init__(self, folder: Path, asks: str, clock: Callable[[], float] = time.time) -> None:
        """Raises ``OSError`` or ``sqlite3.Error`` where the folder cannot hold the files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.clock = clock
        self._asks = asks
        self._reading = threading.Lock()
        # Both are closed once no thread holds them any more.
        self._lock_file = (folder / NAMES[3]).open("ab+", buffering=0)
        self._database = sqlite3.connect(
            folder / NAMES[0], timeout=_WAIT, check_same_thread=False, isolation_level=None
        )
        # What a killed worker wrote stays whole; what a power cut takes is asked for again.
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=OFF", _CREATE):
            self._database.execute(statement)

    @classmethod
    def open(cls, folder: Path, asks: str) -> Self | None:
        """None where the folder cannot hold the files."""
        for wait in (0.05, 0.2, 1.0, 0.0):
            try:
                return cls(folder, asks)
            except sqlite3.OperationalError:
                time.sleep(wait)  # another worker is making the database
            except (OSError, sqlite3.Error):
                return None
        return None

    @contextmanager
    def alone(self, origin: str) -> Iterator[None]:
        """Waits until nobody else on this machine asks the origin, in whatever process or thread."""
        place = int.from_bytes(self._key(origin)[:7], "big")
        self._flock(fcntl.F_WRLCK, place)
        try:
            yield
        finally:
            self._flock(fcntl.F_UNLCK, place)

    def get(self, origin: str, newest: float) -> Said | None:
        """What the origin said at most so many seconds ago."""
        try:
            with self._reading:
                query = "SELECT robots, tdmrep, at FROM answers WHERE key = ?"
                found = self._database.execute(query, (self._key(origin),)).fetchone()
            if found is None or not 0 <= self.clock() - found[2] < newest:
                return None
            return Said(zlib.decompress(found[0]), zlib.decompress(found[1]), found[2])
        except (sqlite3.Error, zlib.error, TypeError):
            return None

    def put(self, origin: str, robots: bytes, tdmrep: bytes) -> None:
        """Keeps an answer, where it can be kept."""
        row = (self._key(origin), self.clock(), zlib.compress(robots), zlib.compress(tdmrep))
        with contextlib.suppress(sqlite3.Error), self._reading:
            self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", row)

    def _key(self, origin: str) -> bytes:
        return hashlib.blake2b(f"{self._asks} {origin}".encode(), digest_size=16).digest()

    def _flock(self, kind: int, place: int) -> None:
        """Where the file system has no such locks, workers may ask at once, and nothing else is lost."""
        with contextlib.suppress(OSError):
            if sys.platform == "linux":
                # A lock of the open file: those of POSIX would not part the workers of one process.
                fcntl.fcntl(self._lock_file, fcntl.F_OFD_SETLKW, _LOCK.pack(kind, os.SEEK_SET, place, 1, 0))
            else:
                fcntl.lockf(self._lock_file, fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX, 1, place)


def remove(folder: Path) -> None:
    """Removes the answers: the run that shared them is over."""
    for name in NAMES:
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()
