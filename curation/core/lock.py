"""Locks a dataset root: one run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from curation.core.errors import LapidaryError, RootError, StoreError
from curation.core.store import Store, one_line

LOCK = "lock.json"
_BEAT_SECONDS = 5.0
_STALE_SECONDS = 60.0


@dataclass(frozen=True)
class Owner:
    """The process that has locked a root."""

    host: str
    pid: int
    since: float
    beat: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, for {time.time() - self.since:.0f} s"


@contextlib.contextmanager
def hold(store: Store) -> Iterator[None]:
    """Locks a root for this process. Raises ``RootError`` when another run has locked it, or nothing can be written."""
    with _hold_folder(store) if store.is_local else _hold_object_store(store):
        store.sweep()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                store.sweep()  # what workers that were killed in this run left behind


@contextlib.contextmanager
def _hold_folder(store: Store) -> Iterator[None]:
    path = Path(store.path(LOCK))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise _unwritable(store, error) from error
    with file:
        try:
            # The kernel releases the lock when the process ends, however it ends: there are no stale locks.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _in_use(store, _holder(store)) from error
        try:
            file.truncate(0)
            file.write(_owner_now())
            file.flush()
        except OSError as error:
            raise _unwritable(store, error) from error
        yield


@contextlib.contextmanager
def _hold_object_store(store: Store) -> Iterator[None]:
    """Writes a heartbeat: object stores have no lock, so two runs that start in the same second may both go on."""
    holder = _holder(store) if store.exists(LOCK) else None
    if holder is not None and time.time() - holder.beat < _STALE_SECONDS:
        raise _in_use(store, holder)
    since = time.time()
    try:
        store.write(LOCK, _owner_now(since).encode())
    except Exception as error:  # a driver may raise anything of its own
        raise _unwritable(store, error) from error
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(store, since, stop), daemon=True, name="root-lock")
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        with contextlib.suppress(LapidaryError, OSError):
            store.remove(LOCK)


def _owner_now(since: float | None = None) -> str:
    now = time.time()
    return json.dumps(asdict(Owner(socket.gethostname(), os.getpid(), now if since is None else since, now)))


def _holder(store: Store) -> Owner | None:
    try:
        return Owner(**json.loads(store.read(LOCK)))
    except (StoreError, ValueError, TypeError):
        return None


def _beat(store: Store, since: float, stop: threading.Event) -> None:
    while not stop.wait(_BEAT_SECONDS):
        with contextlib.suppress(LapidaryError, OSError):
            store.write(LOCK, _owner_now(since).encode())


def _in_use(store: Store, holder: Owner | None) -> RootError:
    return RootError(f"{store.url} is in use by {holder or 'another run'}. Wait for it, end it, or name another --root")


def _unwritable(store: Store, error: Exception) -> RootError:
    return RootError(
        f"cannot write to {store.url}: {one_line(error)}; free space, correct its permissions or name another --root"
    )
