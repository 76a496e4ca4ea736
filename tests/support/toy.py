"""A toy dataset small enough to see through: numbers in shards, a stage that doubles, one that adds, a sum."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from curation.core.cores import cores
from curation.core.errors import EndpointsGone, ModelError
from curation.core.stage import Reduction, Resources, Shard, Work, setting
from curation.core.store import Store
from schemas.arrow import Record, rows_of, table_of
from schemas.manifest import ShardEntry


@dataclasses.dataclass(frozen=True, slots=True)
class Number(Record):
    table: ClassVar[str] = "numbers"
    sample_id: str
    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class Doubled(Record):
    table: ClassVar[str] = "doubled"
    sample_id: str
    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class Shifted(Record):
    table: ClassVar[str] = "shifted"
    sample_id: str
    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class Ranked(Record):
    table: ClassVar[str] = "ranked"
    sample_id: str
    rank: int


def write_numbers(store: Store, shards: int, rows: int = 5) -> list[str]:
    names = [f"s-{i:05d}" for i in range(shards)]
    for i, name in enumerate(names):
        table = table_of(Number, [Number(f"{i:03d}-{k}", i * rows + k) for k in range(rows)])
        sha, size = store.write_table(Number, name, table)
        store.commit(
            ShardEntry(
                "numbers", name, "source", {}, {store.table_file("numbers", name): sha}, rows, rows, size, 0, "t"
            )
        )
    return names


@dataclasses.dataclass(frozen=True)
class Double:
    """Doubles every number; can be told to misbehave on one shard, by a marker file that says it may."""

    name: ClassVar[str] = "double"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Number,)
    writes: ClassVar[type[Record]] = Doubled
    factor: int = 2
    bad_shard: str = setting("", digest=False)
    fault: str = setting("raise", digest=False)
    marker: str = setting("", digest=False)
    pause: float = setting(0.0, digest=False)
    resources: Resources = setting(Resources(workers=2), digest=False)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._work

    def _work(self, shard: Shard) -> pa.Table:
        time.sleep(self.pause)
        if shard.name == self.bad_shard and (not self.marker or Path(self.marker).exists()):
            if self.marker:
                Path(self.marker).unlink()
            match self.fault:
                case "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "kill behind commit":
                    shard.on_commit.append(lambda: os.kill(os.getpid(), signal.SIGKILL))
                case "gone":
                    raise EndpointsGone("no server answers")
                case _:
                    raise RuntimeError("told to fail")
        return table_of(
            Doubled, [Doubled(n.sample_id, n.value * self.factor) for n in rows_of(Number, shard.read(Number))]
        )


@dataclasses.dataclass(frozen=True)
class Shift:
    """Adds to every doubled number, and publishes a file beside it."""

    name: ClassVar[str] = "shift"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Doubled,)
    writes: ClassVar[type[Record]] = Shifted
    by: int = 1
    resources: Resources = setting(Resources(workers=1), digest=False)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._work

    def _work(self, shard: Shard) -> pa.Table:
        path = shard.scratch(f"files/{shard.name}.txt")
        path.write_text(shard.name)
        shard.publish(f"files/{shard.name}.txt", path)
        return table_of(
            Shifted, [Shifted(d.sample_id, d.value + self.by) for d in rows_of(Doubled, shard.read(Doubled))]
        )


@dataclasses.dataclass(frozen=True)
class Rank:
    """Ranks all shifted numbers together; remembers how often it ran."""

    name: ClassVar[str] = "rank"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Shifted,)
    writes: ClassVar[type[Record]] = Ranked

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        shards = sorted(store.entries("shifted"))
        everything = sorted(
            (r.value, r.sample_id) for s in shards for r in rows_of(Shifted, store.read_table(Shifted, s))
        )
        rank = {sample: at for at, (_, sample) in enumerate(everything)}

        def tables() -> Iterator[tuple[str, pa.Table]]:
            for s in shards:
                rows = rows_of(Shifted, store.read_table(Shifted, s))
                yield s, table_of(Ranked, [Ranked(r.sample_id, rank[r.sample_id]) for r in rows])

        return Reduction(tables(), lambda: {"runs": previous.get("runs", 0) + 1})


def fingerprint(store: Store, *folders: str) -> dict[str, str]:
    """sha256 of every file under these folders of a root."""
    import hashlib

    found: dict[str, str] = {}
    for folder in folders:
        for file in sorted(store.filesystem.find(store.path(folder))):
            name = file.removeprefix(store.path(""))
            found[name] = hashlib.sha256(store.read(name)).hexdigest()
    return found


@dataclasses.dataclass(frozen=True)
class NeverOpens:
    """A stage whose model is not there."""

    name: ClassVar[str] = "never_opens"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Number,)
    writes: ClassVar[type[Record]] = Doubled
    resources: Resources = setting(Resources(workers=1), digest=False)

    @contextmanager
    def open(self) -> Iterator[Work]:
        raise ModelError("no model here")
        yield  # makes this a generator


@dataclasses.dataclass(frozen=True)
class CountCores:
    """Writes how many cores its worker may use."""

    name: ClassVar[str] = "count_cores"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Number,)
    writes: ClassVar[type[Record]] = Doubled
    resources: Resources = setting(Resources(), digest=False)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield lambda shard: table_of(
            Doubled, [Doubled(n.sample_id, cores()) for n in rows_of(Number, shard.read(Number))]
        )


@dataclasses.dataclass(frozen=True)
class Meet:
    """Goes on with a shard only once another one is with the same worker."""

    name: ClassVar[str] = "meet"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Number,)
    writes: ClassVar[type[Record]] = Doubled
    resources: Resources = setting(Resources(workers=1, overlap=2), digest=False)

    @contextmanager
    def open(self) -> Iterator[Work]:
        meeting = threading.Barrier(2)

        def work(shard: Shard) -> pa.Table:
            meeting.wait(30)
            return table_of(Doubled, [Doubled(n.sample_id, n.value) for n in rows_of(Number, shard.read(Number))])

        yield work


@dataclasses.dataclass(frozen=True)
class Gather:
    """Finishes the shards named ``after`` and later only once workers on so many nodes have some; says so in files."""

    name: ClassVar[str] = "gather"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Number,)
    writes: ClassVar[type[Record]] = Doubled
    folder: str = setting("", digest=False)
    nodes: int = setting(1, digest=False)
    after: str = setting("", digest=False)
    resources: Resources = setting(Resources(), digest=False)

    @contextmanager
    def open(self) -> Iterator[Work]:
        yield self._work

    def _work(self, shard: Shard) -> pa.Table:
        from curation.core.engines.ray_reach import node_here

        folder, node = Path(self.folder), node_here()
        if shard.name >= self.after and node is not None:
            (folder / node.id).touch()
            for _ in range(1200):
                if len(list(folder.iterdir())) >= self.nodes:
                    break
                time.sleep(0.1)
            else:
                raise RuntimeError(f"only {[p.name for p in folder.iterdir()]} came")
        return table_of(Doubled, [Doubled(n.sample_id, n.value) for n in rows_of(Number, shard.read(Number))])
