"""Locks a dataset root: one run at a time, on one machine or on several.

A folder is locked by the kernel, which frees it when the process ends, however it ends. An object store has no locks:
there a run writes ``lock.json`` once, and every few seconds ``lock.beat.json`` (a lease with a heartbeat). Whoever has
the lock never writes the first file again, so that it cannot write over the name of a run that has taken it over.

- The file is created by a conditional PUT where the store has it (S3's ``If-None-Match``), so that of two runs that
  start together one is refused. Some servers ignore the condition, others refuse it (OpenStack Swift): the file is read
  again after a moment, and the last writer has it. A run whose write came later after its look than that moment may
  have written over a run that was already sure of the root: it takes its name back, lets two heartbeats pass in which
  the other one writes its own again, and looks anew (Fischer's algorithm, doi:10.1145/7351.7352, with the bound on a
  write measured instead of assumed).
- A heartbeat without the first file is that of a run whose file somebody has removed: it too is given two heartbeats.
- The lease of a process that is known to be dead (same host, same boot, no such process) is taken over at once.
- The lease of another host is taken over when it looks old *and* has not been renewed while it was watched for two
  heartbeats, so that clocks that differ do no harm.
- A lease that was written in the future, because a clock was set back, is watched for twelve heartbeats.
- A run that was stopped (SIGSTOP, a laptop's lid) for longer than a lease may wake up without it. Every heartbeat reads
  the file; a run that finds another's name there stops (``Lock.check``).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from curation.core.errors import LapidaryError, LockLost, RootError, RootInUse
from curation.core.invocation import command_with
from curation.core.owner import BEAT, LOCK, STALE_SECONDS, Owner, beat_of, holder, this_process, written
from curation.core.store import Store, one_line

PENDING = "takedown/pending.json"
"""There while a takedown that was begun has not ended."""
_BEAT_SECONDS = 5.0
_SETTLE_SECONDS = 1.0  # after which a file that was written is read again
_IN_TIME_SECONDS = 1.0  # between a look at the file and the end of its write; no more than what others settle for
_TRIES = 3
_UNKNOWN = (errno.ENOSYS, errno.EOPNOTSUPP)  # a store's "not implemented"
_POLL_SECONDS = 1.0

Say = Callable[[str], None]


class Lock:
    """A root that this process has locked.

    ``worked`` says whether anybody may have written there since, so that something may be left behind.
    """

    worked = True

    def check(self) -> None:
        """Raises ``LockLost`` where another run has taken the lock over."""


@contextlib.contextmanager
def hold(
    store: Store, *, wait: Say | None = None, amid_takedown: bool = False, to_look: bool = False
) -> Iterator[Lock]:
    """Locks a root for this process; ``to_look``: nothing is going to be written.

    Raises ``RootInUse`` when another run has locked it, and ``RootError`` where nothing can be written, or where a
    takedown was interrupted: until it has ended only ``amid_takedown`` may work on the root. With ``wait`` it waits
    until the root is free, and says so once.
    """
    with _held_folder(store, wait) if store.is_local else _held_object_store(store, wait) as lock:
        if not to_look:
            store.sweep()
        if not amid_takedown and store.exists(PENDING):
            raise RootError(
                f"a takedown of {store.url} was interrupted; end it with: {command_with('flows.takedown', store.url)}"
            )
        try:
            yield lock
        finally:
            if lock.worked and not to_look:  # a walk through millions of files takes seconds
                with contextlib.suppress(OSError):
                    store.sweep()  # what workers that were killed in this run left behind


@contextlib.contextmanager
def _held_folder(store: Store, wait: Say | None) -> Iterator[Lock]:
    path = Path(store.path(LOCK))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise _unwritable(store, error) from error

    def locked() -> Lock:
        try:
            # The kernel releases the lock when the process ends, however it ends: there are no stale locks.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _in_use(store, holder(store)) from error
        return Lock()

    with file:
        lock = _patiently(locked, wait)
        try:
            file.truncate(0)
            file.write(written(this_process()))
            file.flush()
        except OSError as error:
            raise _unwritable(store, error) from error
        yield lock


@contextlib.contextmanager
def _held_object_store(store: Store, wait: Say | None) -> Iterator[Lock]:
    lease = _Lease(store, this_process())
    _patiently(lease.take, wait)
    stop = threading.Event()
    beat = threading.Thread(target=lease.renew_until, args=(stop,), daemon=True, name="root-lock")
    beat.start()
    try:
        yield lease
    finally:
        stop.set()
        beat.join()
        lease.give_back()


class _Moment:
    """A moment by two clocks: one may stand still while the machine sleeps, the other may be set."""

    def __init__(self) -> None:
        self._steady, self._set = time.monotonic(), time.time()

    @property
    def is_recent(self) -> bool:
        """Whether what followed was in time."""
        return max(time.monotonic() - self._steady, time.time() - self._set) <= _IN_TIME_SECONDS


class _Lease(Lock):
    """``lock.json`` in an object store."""

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._owner = owner
        self._lost: Owner | None = None

    def check(self) -> None:
        """As ``Lock``; what was finished before stays."""
        if self._lost is not None:
            raise LockLost(
                f"{self._store.url} was taken over by {self._lost}, while this run was stopped or could not reach it; "
                "what was finished is kept, the other run goes on"
            )

    def take(self) -> None:
        """Raises ``RootInUse`` when another run has the root."""
        try:
            if self._store.exists(BEAT) and not self._store.exists(LOCK):
                time.sleep(2 * _BEAT_SECONDS)
            for _ in range(_TRIES):
                if self._taken():
                    return
                time.sleep(2 * _BEAT_SECONDS)
        except RootError:
            raise
        except Exception as error:  # a driver may raise anything of its own
            raise _unwritable(self._store, error) from error
        raise RootError(
            f"cannot lock {self._store.url}: a look at {LOCK} and its write took longer than {_IN_TIME_SECONDS:g} s, "
            f"{_TRIES} times; run nearer to the store, or when it answers faster"
        )

    def renew_until(self, stop: threading.Event) -> None:
        """Renews the lease until then, or until another run has it."""
        while not stop.wait(_BEAT_SECONDS):
            with contextlib.suppress(LapidaryError, OSError):
                found = holder(self._store)
                if found is not None and found.token != self._owner.token:
                    self._lost = found
                    return
                if found is None:  # somebody has removed it
                    looked = _Moment()
                    if self._put() and not looked.is_recent:
                        self._take_back()
                self._store.write(BEAT, beat_of(self._owner))

    def give_back(self) -> None:
        """Removes the files, unless they are another run's."""
        with contextlib.suppress(LapidaryError, OSError):
            found = holder(self._store)
            if self._lost is None and (found is None or found.token == self._owner.token):
                self._store.remove(BEAT)
                if found is not None:
                    self._store.remove(LOCK)

    def _taken(self) -> bool:
        """Writes the file; whether it is ours now, which is not sure where the write came late after the look."""
        looked = _Moment()
        if not self._put():
            looked = self._watch()
            self._store.write(LOCK, self._renewed())
        if not looked.is_recent:
            self._take_back()
            return False
        time.sleep(_SETTLE_SECONDS)
        self._store.write(BEAT, beat_of(self._owner))  # before anything relies on the lock: a run that has it has both
        found = holder(self._store)
        if found is not None and found.token != self._owner.token:
            raise _in_use(self._store, found)
        return found is not None

    def _take_back(self) -> None:
        """Removes the file where it is ours."""
        found = holder(self._store)
        if found is not None and found.token == self._owner.token:
            self._store.remove(LOCK)

    def _put(self) -> bool:
        """Writes the file where there is none; whether there was none."""
        if self._store.exists(LOCK):
            return False
        path, data = self._store.path(LOCK), self._renewed()
        try:
            self._store.filesystem.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except (TypeError, NotImplementedError, ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _UNKNOWN:
                raise
            self._store.write(LOCK, data)  # this driver, or this store, knows no condition
        return True

    def _watch(self) -> _Moment:
        """Returns once the lease in the file is nobody's any more: when it was looked at last.

        Raises ``RootInUse`` where it is somebody's.
        """
        looked = _Moment()
        found = holder(self._store)
        if found is None or found.is_dead:
            return looked
        if found.is_here or 0 < found.runs_out <= STALE_SECONDS:
            raise _in_use(self._store, found)
        # Longer than a lease: it was written in what is the future here, so that only watching tells.
        time.sleep((12 if found.runs_out else 2) * _BEAT_SECONDS)
        looked = _Moment()
        if holder(self._store) != found:
            raise _in_use(self._store, found)
        return looked

    def _renewed(self) -> bytes:
        return written(self._owner).encode()


def _patiently(take: Callable[[], Any], wait: Say | None) -> Any:
    """``take``, again and again where one waits, until the root is free."""
    told = False
    while True:
        try:
            return take()
        except RootInUse as error:
            if wait is None:
                raise
            if not told:
                wait(f"{error.held}; waiting until it is free")
                told = True
        time.sleep(_POLL_SECONDS)


def _in_use(store: Store, owner: Owner | None) -> RootInUse:
    held = f"{store.url} is in use by {owner or 'another run'}"
    until = ""
    if not store.is_local and owner is not None and not owner.is_here:
        free = time.strftime("%H:%M:%S", time.localtime(time.time() + owner.runs_out))
        until = f" (if that run is dead, its lock is free at {free}, in {owner.runs_out:.0f} s)"
    return RootInUse(f"{held}{until}. Wait for it with --wait-for-root, end it, or name another --root", held)


def _unwritable(store: Store, error: Exception) -> RootError:
    return RootError(
        f"cannot write to {store.url}: {one_line(error)}; free space, correct its permissions or name another --root"
    )
