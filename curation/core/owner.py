"""Who has locked a root, as the root has it: ``lock.json``, and on object stores ``lock.beat.json``, its last word."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from curation.core.errors import MissingFile
from curation.core.store import Store

LOCK = "lock.json"
BEAT = "lock.beat.json"
STALE_SECONDS = 60.0


@dataclass(frozen=True)
class Owner:
    """The process that has locked a root. ``since`` and ``beat`` are seconds since 1970 by its own clock.

    ``machine`` tells process numbers of one machine and boot from those of others; ``started`` tells two processes
    apart that had the same number. Both are empty where the system does not say.
    """

    host: str
    pid: int
    since: float
    beat: float
    token: str = ""
    machine: str = ""
    started: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, for {max(0, time.time() - self.since):.0f} s"

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine, and since its last start."""
        return bool(self.machine) and self.machine == _machine()

    @property
    def is_dead(self) -> bool:
        """Whether the process is known to have ended; False where it cannot be known."""
        return self.is_here and (not self.started or _started(self.pid) != self.started)

    @property
    def runs_out(self) -> float:
        """Seconds until its lease looks old, 0 where it does."""
        return max(0.0, self.beat + STALE_SECONDS - time.time())


def this_process() -> Owner:
    """This process as an owner."""
    now = time.time()
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, now, now, uuid.uuid4().hex, _machine(), _started(pid))


def written(owner: Owner) -> str:
    """An owner as its file has it, with the time of this moment."""
    return json.dumps(asdict(owner) | {"beat": time.time()})


def beat_of(owner: Owner) -> bytes:
    """What the owner says again and again, in a file of its own."""
    return json.dumps({"token": owner.token, "beat": time.time()}).encode()


def _machine() -> str:
    """What process numbers belong to: this host, this boot, this space of process numbers; empty where not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process of this machine started, in the kernel's ticks; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # Fields behind the program's name, which may hold anything. A zombie has ended.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def holder(store: Store) -> Owner | None:
    """Who has a root, or had it last; None where nobody is written down.

    Raises ``StoreError`` where a store does not tell: silence is no free root.
    """
    try:
        owner = Owner(**json.loads(store.read(LOCK)))
    except (MissingFile, ValueError, TypeError):
        return None
    if store.is_local:
        return owner
    try:
        said = json.loads(store.read(BEAT))
        mine = said["token"] == owner.token and float(said["beat"]) > owner.beat
        return replace(owner, beat=float(said["beat"])) if mine else owner
    except (MissingFile, ValueError, TypeError, KeyError):  # it has just begun, or another release wrote it
        return owner
