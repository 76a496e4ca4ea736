"""A dataset root on any fsspec URL: tables, images, manifest. Data first, entry last.

On a local disk a file is written under a temporary name in the same folder and renamed; on an object
store one PUT does the same. A reader therefore never sees half a file, and a killed writer leaves at
most a temporary file, which ``sweep`` removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.errors import RootError, StoreError
from schemas.arrow import Record
from schemas.manifest import ReduceEntry, ShardEntry, ShardFailure

E = TypeVar("E", ShardEntry, ReduceEntry, ShardFailure)
_TEMPORARY = ".tmp-"
_PASSWORD = re.compile(r"//[^/@:]*:[^/@]*@")
_REDUCE = "_reduce.json"
_FAILED = ".failed.json"


@dataclass(frozen=True)
class Store:
    """Opened by its URL alone, so that it travels to workers as its URL alone.

    Raises ``RootError`` for a URL that nothing here can open.
    """

    url: str
    _fs: Any = field(init=False, repr=False, compare=False, hash=False)
    _root: str = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        # Workers write from other processes: a listing that this one kept would hide what they finished.
        try:
            fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except Exception as error:  # a driver may raise anything of its own, a time-out of its first request too
            raise RootError(
                f"cannot open {shown(self.url)}: {one_line(error)}; name a folder, or a URL that fsspec knows and has "
                "the package for: pip install 'lapidary-curation[remote]' brings those for s3:// and http(s)://"
            ) from error
        object.__setattr__(self, "_fs", fs)
        object.__setattr__(self, "_root", root.rstrip("/"))

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.url,)

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder of this machine."""
        return "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))

    @property
    def filesystem(self) -> Any:
        """The fsspec filesystem under the root."""
        return self._fs

    def path(self, name: str) -> str:
        """Where ``name`` lies on the filesystem: an absolute path for a folder, a key for an object store."""
        return f"{self._root}/{name}"

    def exists(self, name: str) -> bool:
        return bool(self._fs.exists(self.path(name)))

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a file, or of its part [start, end). Raises ``StoreError``."""
        try:
            return bytes(self._fs.cat_file(self.path(name), start=start, end=end))
        except OSError as error:
            raise StoreError(f"cannot read {self.path(name)}: {error}") from error

    def write(self, name: str, data: bytes) -> str:
        """Publishes a file whole or not at all; returns the sha256 of its bytes. Raises ``StoreError``."""
        target = self.path(name)
        try:
            if self.is_local:
                temporary = self._temporary(target)
                try:
                    temporary.write_bytes(data)
                    temporary.replace(target)
                finally:
                    temporary.unlink(missing_ok=True)
            else:
                self._fs.pipe_file(target, data)
        except OSError as error:
            raise StoreError(f"cannot write {target}: {error}; free space or name another --root") from error
        return hashlib.sha256(data).hexdigest()

    def publish(self, name: str, source: Path) -> None:
        """Moves a finished local file to its place, whole or not at all. Raises ``StoreError``."""
        target = self.path(name)
        try:
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
            else:
                self._fs.put_file(str(source), target)
                source.unlink()
        except OSError as error:
            raise StoreError(f"cannot write {target}: {error}; free space or name another --root") from error

    def scratch(self, name: str) -> Path:
        """A local path to write ``name`` at before ``publish``: in its own folder where that is local."""
        if self.is_local:
            return self._temporary(self.path(name))
        import tempfile

        return Path(tempfile.mkdtemp(prefix="lapidary-")) / f"{_TEMPORARY}{uuid.uuid4().hex}"

    def remove(self, name: str) -> None:
        """Deletes a file; one that is not there is no error."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self.path(name))

    def move(self, name: str, to: str) -> None:
        """Gives a file another name in the root. Raises ``StoreError``."""
        source, target = self.path(name), self.path(to)
        try:
            if self.is_local:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                Path(source).replace(target)
            else:
                self._fs.mv(source, target)
        except OSError as error:
            raise StoreError(f"cannot move {source} to {target}: {error}") from error

    def names(self, folder: str, suffix: str = "") -> list[str]:
        """Names (not paths) of the files in a folder of the root, sorted; none when it is not there."""
        try:
            found = self._fs.ls(self.path(folder), detail=False)
        except FileNotFoundError:
            return []
        names = (str(f).rstrip("/").rsplit("/", 1)[-1] for f in found)
        return sorted(n for n in names if n.endswith(suffix) and not n.startswith(_TEMPORARY))

    # Tables

    @staticmethod
    def table_file(table: str, shard: str) -> str:
        return f"tables/{table}/{shard}.parquet"

    @staticmethod
    def images_file(shard: str) -> str:
        return f"images/{shard}.tar"

    @staticmethod
    def stored_file(shard: str) -> str:
        """What is known of every image in ``images_file(shard)``; only shards that were redone have it."""
        return f"images/{shard}.stored.parquet"

    def read_parquet(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A Parquet file, or some columns of it. Raises ``StoreError``."""
        data = self.read(name)
        return pq.read_table(pa.BufferReader(data), columns=None if columns is None else list(columns))

    def read_table(self, record: type[Record], shard: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One shard of a table, or some columns of it. Raises ``StoreError``."""
        return self.read_parquet(self.table_file(record.table, shard), columns)

    def write_table(self, record: type[Record], shard: str, table: pa.Table) -> tuple[str, int]:
        """Publishes a shard of a table; returns the sha256 and the number of its bytes."""
        data = encoded(table)
        return self.write(self.table_file(record.table, shard), data), len(data)

    def rewrite_table(self, record: type[Record], shard: str, table: pa.Table, before: str | None) -> tuple[str, int]:
        """``write_table`` over a finished shard whose bytes have the sha256 ``before``.

        Where they become others its entry goes first: at no instant does one vouch for bytes that are not there.
        """
        data = encoded(table)
        if before is not None and hashlib.sha256(data).hexdigest() != before:
            self.retire(record.table, shard)
        return self.write(self.table_file(record.table, shard), data), len(data)

    # Manifest

    def shards(self, table: str) -> list[str]:
        """Names of a table's finished shards, whatever settings made them; sorted."""
        names = self.names(f"manifest/{table}", ".json")
        return [n.removesuffix(".json") for n in names if n != _REDUCE and not n.endswith(_FAILED)]

    def count(self, table: str) -> int:
        """How many shards of a table are finished."""
        return len(self.shards(table))

    def entry(self, table: str, shard: str) -> ShardEntry | None:
        """The entry of one finished shard of a table; None where it is not finished."""
        name = f"manifest/{table}/{shard}.json"
        return self._entry(name, ShardEntry.from_json) if self.exists(name) else None

    def entries(self, table: str) -> dict[str, ShardEntry]:
        """All finished shards of a table by name, whatever settings made them."""
        found_names = (f"{shard}.json" for shard in self.shards(table))
        found = self._load_all(f"manifest/{table}", found_names, ShardEntry.from_json)
        return {e.shard: e for e in found}

    def failures(self, table: str) -> dict[str, ShardFailure]:
        """All failed shards of a table by name."""
        found = self._load_all(f"manifest/{table}", self.names(f"manifest/{table}", _FAILED), ShardFailure.from_json)
        return {f.shard: f for f in found}

    def commit(self, entry: ShardEntry) -> None:
        """Publishes an entry, after everything that it vouches for, and clears an earlier failure."""
        self.write(f"manifest/{entry.table}/{entry.shard}.json", entry.to_json())
        self.remove(f"manifest/{entry.table}/{entry.shard}{_FAILED}")

    def commit_failure(self, failure: ShardFailure) -> None:
        self.write(f"manifest/{failure.table}/{failure.shard}{_FAILED}", failure.to_json())

    def forget_failure(self, table: str, shard: str) -> None:
        """Removes the record of a failed shard."""
        self.remove(f"manifest/{table}/{shard}{_FAILED}")

    def retire(self, table: str, shard: str) -> None:
        """Takes a shard out of a table: its proof first, then its data."""
        self.remove(f"manifest/{table}/{shard}.json")
        self.remove(f"manifest/{table}/{shard}{_FAILED}")
        self.remove(self.table_file(table, shard))

    def reduce_entry(self, table: str) -> ReduceEntry | None:
        """The last finished reduce of a table."""
        name = f"manifest/{table}/{_REDUCE}"
        return self._entry(name, ReduceEntry.from_json) if self.exists(name) else None

    def commit_reduce(self, entry: ReduceEntry) -> None:
        self.write(f"manifest/{entry.table}/{_REDUCE}", entry.to_json())

    def sweep(self) -> int:
        """Removes what killed writers left behind; call it only while holding the root. Returns how many."""
        if not self.is_local:
            return 0  # an object store shows a file only once it is whole
        leftovers = list(Path(self._root).rglob(f"{_TEMPORARY}*")) if Path(self._root).is_dir() else []
        for leftover in leftovers:
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        return len(leftovers)

    def _load_all(self, folder: str, names: Any, parse: Callable[[bytes], E]) -> list[E]:
        names = list(names)
        if self.is_local:
            return [self._entry(f"{folder}/{n}", parse) for n in names]
        # One request each, but all at once: an object store answers a listing of 10,000 in seconds.
        found = self._fs.cat([self.path(f"{folder}/{n}") for n in names]) if names else {}
        return [self._parse(path, data, parse) for path, data in found.items()]

    def _entry(self, name: str, parse: Callable[[bytes], E]) -> E:
        return self._parse(self.path(name), self.read(name), parse)

    @staticmethod
    def _parse(path: str, data: bytes, parse: Callable[[bytes], E]) -> E:
        try:
            return parse(data)
        except ValueError as error:
            raise StoreError(f"{path} is damaged ({error}); delete it and run again") from error

    def _temporary(self, target: str) -> Path:
        path = Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")


def shown(url: str) -> str:
    """A root's URL as it may be printed: on one line, without user name and password."""
    return _PASSWORD.sub("//", " ".join(url.split()))


def one_line(error: BaseException) -> str:
    """What an error says, on one line of at most 300 characters; its kind where it says nothing."""
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__


def encoded(table: pa.Table) -> bytes:
    """A shard's Parquet: the same rows give the same bytes on every machine."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=64 * 1024, use_dictionary=True)
    return bytes(sink.getvalue().to_pybytes())


def untouched(last: ReduceEntry | None, present: Mapping[str, ShardEntry]) -> set[str]:
    """The shards that are as the last finished reduce of their table left them, of all that are ``present``."""
    if last is None:
        return set()
    left = ((shard, {Store.table_file(last.table, shard): sha}) for shard, sha in last.shards.items())
    return {shard for shard, writes in left if shard in present and present[shard].writes == writes}
