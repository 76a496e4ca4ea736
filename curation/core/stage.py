"""A stage: frozen settings that open resources inside the worker and turn a shard into a table::

    @dataclass(frozen=True)
    class CountWords:
        name: ClassVar[str] = "count_words"
        version: ClassVar[int] = 1                      # raise it when the code's answers change
        reads: ClassVar[tuple[type[Record], ...]] = (SourceRow,)
        writes: ClassVar[type[Record]] = WordCount
        resources: Resources = setting(Resources(), digest=False)
        language: str = "en"                            # part of the digest

        @contextmanager
        def open(self) -> Iterator[Work]:
            tokenizer = load(self.language)             # once a worker
            yield lambda shard: count(tokenizer, shard.read(SourceRow))

Fields are settings and travel to workers; what ``open`` opens lives inside one.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import pyarrow as pa

from curation.core.errors import StoreError
from curation.core.store import Store
from curation.core.vouched import read_vouched, sha256_of
from schemas.arrow import Record, schema_of
from schemas.part import Part

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Resources:
    """What one worker of a stage holds. ``memory`` in bytes; ``workers`` 0 lets the engine decide.

    ``overlap`` is how many shards a worker may have in flight at once, for work that mostly waits and can be
    called from several threads: while the last replies of one shard come in, the next one is asked for.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0
    workers: int = 0
    overlap: int = 1

    @property
    def opening(self) -> str:
        """What workers do that are not open yet."""
        return "loading, or waiting for GPUs that other jobs hold" if self.gpus else "loading"


@dataclasses.dataclass
class Shard:
    """A shard on its way through a stage."""

    name: str
    store: Store
    reads: dict[str, str] = dataclasses.field(default_factory=dict)
    writes: dict[str, str] = dataclasses.field(default_factory=dict)
    bytes_out: int = 0
    rows_in: int = 0
    undecided: int = 0
    undecided_why: str = ""
    digest: str = ""  # of the stage that works on it
    on_commit: list[Callable[[], None]] = dataclasses.field(default_factory=list)  # called once it is finished

    def read(self, record: type[Record]) -> pa.Table:
        """This shard of an earlier stage's table. Raises ``StoreError`` where it is not as its entry vouches for."""
        name = self.store.table_file(record.table, self.name)
        vouched = self.reads.get(name)
        return self.store.read_parquet(name) if vouched is None else read_vouched(self.store, name, vouched)

    def leave_undecided(self, rows: int, why: str) -> None:
        """Says that no verdict was reached on some rows, for a reason that passes; their samples have no row here.

        The table is published without them, later stages go on with the others, and the next run does the shard again.
        """
        self.undecided, self.undecided_why = rows, why

    def scratch(self, name: str) -> Path:
        """A local path for a file that belongs to this shard; hand it to ``publish`` when it is whole."""
        return self.store.scratch(name)

    def vouch(self, name: str) -> None:
        """Lets the manifest vouch for a file that was published before and stays as it is. Raises ``StoreError``."""
        fs, path = self.store.filesystem, self.store.path(name)
        try:
            with fs.open(path, "rb") as file:
                self.writes[name] = hashlib.file_digest(file, "sha256").hexdigest()
            self.bytes_out += int(fs.size(path))
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error}") from error

    def publish(self, name: str, path: Path, sha256: str | None = None) -> None:
        """Publishes a file beside the table, and lets the manifest vouch for it.

        ``sha256`` (hex) spares reading the file again, where its writer knows it.
        """
        digest = sha256 or sha256_of(path)
        self.bytes_out += path.stat().st_size
        self.store.publish(name, path)
        self.writes[name] = digest


Work = Callable[[Shard], pa.Table]


class Declared(Protocol):
    """What a stage or a reduce says of itself: its name, its version, the tables that it reads and the one it writes.

    Each may be a ``ClassVar``, or a property where it depends on the settings, such as an optional input.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def reads(self) -> tuple[type[Record], ...]: ...

    @property
    def writes(self) -> type[Record]: ...


@runtime_checkable
class Stage(Declared, Protocol):
    """Reads a shard of some tables, adds the same shard of one table.

    A stage with ``builds_on_earlier = True`` is given a shard whose input or settings have changed with its earlier
    table still in place. Where other settings made that, the stage takes it out before its work begins.
    """

    @property
    def resources(self) -> Resources: ...

    def open(self) -> AbstractContextManager[Work]:
        """Opens what the work needs, inside the worker; closes it at the end."""
        ...


@runtime_checkable
class Warms(Protocol):
    """A stage or a reduce whose libraries and compiled code take seconds to load."""

    def warm(self) -> None:
        """Loads them, so that they are at hand when the work begins. It is not called for work that is finished."""
        ...


@runtime_checkable
class Sweeps(Protocol):
    """A stage whose workers keep files beside a shard while they work on it."""

    def sweep(self, store: Store) -> None:
        """Removes those of finished shards: a worker that died behind its commit has left them."""
        ...


@dataclasses.dataclass
class Reduction:
    """What a reduce yields: the shards of its table, in any order, and its memory for the next run.

    ``unchanged_shards`` are finished shards that it leaves as they are; it does not yield them. Like the state they may
    be known once all others are yielded.
    """

    shards: Iterator[tuple[str, pa.Table]]
    state: Callable[[], dict[str, Any]] = dict
    unchanged_shards: Collection[str] = ()


class Reduce(Declared, Protocol):
    """Sees whole tables through the store and writes all shards of one table.

    One with ``beside`` (records) follows these tables as it does those of ``reads``, and does not name them in its
    digest: a root that has none of them stays finished.
    """

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        """``previous`` is the state of the last finished run with the same settings, else empty."""
        ...


def followed(reduce: Reduce) -> tuple[type[Record], ...]:
    """The records whose change makes a finished reduce run again: those it reads, and those beside."""
    return (*reduce.reads, *getattr(reduce, "beside", ()))


def setting(default: T, *, digest: bool, later: bool = False) -> T:
    """A dataclass field that can be left out of the digest: what changes speed but no byte.

    ``later`` is for a field that a stage did not always have: the digest leaves it out while it has its default, so
    that shards that were made before stay finished.
    """
    value: T = dataclasses.field(default=default, metadata={"digest": digest, "later": later})
    return value


def digest(stage: Stage | Reduce) -> str:
    """A hash of all that a stage's answers depend on: its name, version, settings and record schemas."""
    fields = {
        "name": stage.name,
        "version": stage.version,
        "settings": _deciding(stage),
        "reads": sorted(r.table for r in stage.reads),
        "writes": [(f.name, str(f.type)) for f in schema_of(stage.writes)],
    }
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=_canonical).encode()).hexdigest()


def _deciding(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass that go into a digest."""
    return {
        f.metadata.get("digest_name", f.name): getattr(settings, f.name)  # a renamed field keeps its name in digests
        for f in dataclasses.fields(settings)
        if f.metadata.get("digest", True) and not (f.metadata.get("later") and getattr(settings, f.name) == f.default)
    }


def _canonical(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _deciding(value)
    if isinstance(value, Part):
        return value.deciding(former=True)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a stage's settings are plain data; {value!r} of {type(value)} is not")
