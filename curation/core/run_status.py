"""How a run is doing, told by its root: from another terminal, or from another machine.

A run keeps ``runs/RUN.progress`` beside its record while it works, and removes it at its end. One that a killed run
left behind goes when the next run of the root begins.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from curation.core.errors import LapidaryError, RootError
from curation.core.owner import Owner, holder
from curation.core.printable import plural, printable
from curation.core.store import Store
from curation.core.under_way import Progress

SUFFIX = ".progress"
_MOST_HOSTS = 3
_STAMP = len("20260101T000000")
_SILENT_SECONDS = 90.0  # after which a run of another machine that has said nothing may be dead


@dataclass(frozen=True)
class TableProgress:
    """How far a run is with a table. ``rate`` in rows a second, ``left`` in seconds where it is known.

    ``working`` are shards in work, ``done`` of their ``begun`` rows are finished; ``waiting`` are the hosts that they
    wait for, each with its number of open requests.
    """

    table: str
    shards: int
    total: int | None
    rows: int
    skipped: int
    failed: int
    rate: float
    left: float | None
    working: int = 0
    done: int = 0
    begun: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)
    finished: bool = False

    def text(self) -> str:
        """For people, without the table's name."""
        of = f"/{self.total}" if self.total is not None and not self.finished else ""
        parts = [f"{self.shards}{of} {'shard' if (self.total if of else self.shards) == 1 else 'shards'}"]
        if self.rows:
            parts.append(plural(self.rows, "row"))
        if self.working:
            parts.append(self.in_work())
        if self.rows or self.done:
            parts.append(self.rate_text())
        if self.skipped:
            parts.append(f"{self.skipped} already finished")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.left is not None:
            parts.append(self.left_text())
        return ", ".join(parts)

    def left_text(self) -> str:
        """The time that is left; empty while that is not known."""
        return "" if self.left is None else f"about {self.left:,.0f} s left"

    def rate_text(self) -> str:
        """The rate; empty before the first row."""
        if not self.rows and not self.done:
            return ""
        return f"{self.rate:,.0f} rows/s" if self.rate >= 10 else f"{self.rate:.1f} rows/s"

    def in_work(self) -> str:
        """The shards in work: rows, and the hosts that they wait for."""
        if not self.working:
            return ""
        hosts = Counter(self.waiting)
        text = f"{self.done:,} of {plural(self.begun, 'row')} of {plural(self.working, 'shard')}"
        shown = ", ".join(f"{printable(host)[:60]} ({count})" for host, count in hosts.most_common(_MOST_HOSTS))
        more = len(hosts) - _MOST_HOSTS
        return text + (f", waiting for {shown}" if shown else "") + (f" and {more:,} more" if more > 0 else "")


def within(shards: Sequence[Progress]) -> dict[str, Any]:
    """The fields of ``TableProgress`` that tell of shards in work."""
    hosts: Counter[str] = Counter()
    for shard in shards:
        hosts.update(shard.waiting)
    done, begun = sum(s.done for s in shards), sum(s.total for s in shards)
    return {"working": len(shards), "done": done, "begun": begun, "waiting": dict(hosts)}


@dataclass(frozen=True)
class Failure:
    """A shard that failed."""

    table: str
    shard: str
    error: str


@dataclass(frozen=True)
class RunStatus:
    """The last run of a root. ``state``: running, silent, killed, or how it ended, as ``RunRecord`` has it.

    ``silent`` is a run of another machine that has said nothing for a while. ``seconds`` since its start, ``at`` when
    it last said something, in seconds since 1970.
    """

    run_id: str
    command: str
    state: str
    detail: str
    seconds: float
    at: float
    owner: Owner | None
    tables: tuple[TableProgress, ...]
    failures: tuple[Failure, ...]


def publish(store: Store, run_id: str, tables: Sequence[TableProgress]) -> None:
    """Says how far a run is. Raises ``StoreError``."""
    said = {"at": time.time(), "tables": [asdict(table) for table in tables]}
    store.write(f"runs/{run_id}{SUFFIX}", json.dumps(said, sort_keys=True).encode())


def forget(store: Store) -> None:
    """Removes what runs have published; call it only while holding the root."""
    for name in store.names("runs", SUFFIX):
        with contextlib.suppress(LapidaryError, OSError):
            store.remove(f"runs/{name}")


def was_interrupted(store: Store) -> bool:
    """Whether the last run of a root did not go to its end, so that the next one goes on with it.

    A record that is none is for people to look at and stops no run.
    """
    try:
        record = _last_record(store)
        return record is not None and record["status"] not in ("completed", "failed shards")
    except (ValueError, KeyError, TypeError):
        return False


def _last_record(store: Store) -> dict[str, Any] | None:
    records = store.names("runs", ".json")
    if not records:
        return None
    # Names begin with the second in which the run started.
    same = [name for name in records if name[:_STAMP] == records[-1][:_STAMP]]
    found: dict[str, Any] = max(
        (json.loads(store.read(f"runs/{name}")) for name in same), key=lambda record: float(record["started"])
    )
    return found


def status(store: Store) -> RunStatus:
    """How the last run of a root is doing. Raises ``RootError`` where there was none."""
    record = _last_record(store)
    if record is None:
        raise RootError(f"{store.url} has no runs; name the root of a dataset that a run was started for")
    run_id = str(record["run_id"])
    at, tables = _published(store, run_id)
    owner = holder(store) if record["status"] == "running" else None
    now = time.time()
    ended = record["started"] + record["seconds"]
    return RunStatus(
        run_id=run_id,
        command=str(record["command"]),
        state=_state(str(record["status"]), owner, now - max(at, ended)),
        detail=str(record["detail"]),
        seconds=(now - record["started"]) if record["status"] == "running" else record["seconds"],
        at=max(at, ended),
        owner=owner,
        tables=tables or _counted(record),
        failures=tuple(_failures(store)),
    )


def _state(recorded: str, owner: Owner | None, silent: float) -> str:
    """What a run that says it is running is."""
    if recorded != "running":
        return recorded
    if owner is None or owner.is_dead:
        return "killed"
    return "silent" if not owner.is_here and silent > _SILENT_SECONDS else "running"


def _published(store: Store, run_id: str) -> tuple[float, tuple[TableProgress, ...]]:
    name = f"runs/{run_id}{SUFFIX}"
    try:
        said: dict[str, Any] = json.loads(store.read(name)) if store.exists(name) else {"at": 0.0, "tables": []}
        return float(said["at"]), tuple(TableProgress(**table) for table in said["tables"])
    except (LapidaryError, ValueError, TypeError, KeyError):  # it was removed just now, or another release wrote it
        return 0.0, ()


def _counted(record: Mapping[str, Any]) -> tuple[TableProgress, ...]:
    """What a record says of tables: their shards alone."""
    done, skipped, failed = record["done"], record["skipped"], record["failed"]
    counted = {*skipped, *done, *failed}
    # Records of earlier versions have no order.
    names = [name for name in dict.fromkeys([*record.get("tables", ()), *sorted(counted)]) if name in counted]
    return tuple(
        TableProgress(
            *(name, done.get(name, 0) + skipped.get(name, 0) + len(failed.get(name, ())), None, 0),
            *(skipped.get(name, 0), len(failed.get(name, ())), 0.0, None),
            finished=True,
        )
        for name in names
    )


def _failures(store: Store) -> Sequence[Failure]:
    tables = store.names("manifest")
    return [Failure(t, f.shard, f.error) for t in tables for f in store.failures(t).values()]
