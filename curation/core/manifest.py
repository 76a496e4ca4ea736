"""The entries of a table in its folder ``manifest/TABLE/``: small files as shards are finished, and one that has many.

    SHARD.json                      the entry of one shard, written when it is finished
    compacted/NUMBER-SHA.parquet    the entries of many shards; only the file of the highest number counts
    compacted/NUMBER-SHARD.out      this shard's entry in that file counts no more

A small file counts before the one that has many. That one is made of all there are by whoever holds the root
(``compact``), and published before the small ones are removed: whenever that is killed, each entry is still there once
or twice. Readers look at small files first and at the other one then, so that they miss none meanwhile.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from curation.core import kept_listing
from curation.core.entries import Entries
from curation.core.entry_columns import SCHEMA
from curation.core.errors import MissingFile, StoreError
from curation.core.files import Files
from schemas.manifest import ReduceEntry, ShardEntry, ShardFailure

E = TypeVar("E", ShardEntry, ReduceEntry, ShardFailure)
REDUCE = "_reduce.json"
FAILED = ".failed.json"
FOLDER = "compacted"
LEAST = 1000
"""Small files of a table that are worth another one, where each costs a look at the disk."""
LEAST_ELSEWHERE = 16
"""The same where each costs a request."""
_SUFFIX, _OUT = ".parquet", ".out"
_DIGITS = 8
_ROW_GROUP = 16 * 1024
_TRIES = 3
_PAGE = 1000  # names in one answer of an object store
_PAUSE = 0.5  # seconds before another look


@dataclass(frozen=True)
class Compacted:
    """The folder ``compacted`` of a table: the file that counts, what is out of it, and files that count no more."""

    folder: str
    file: str | None
    out: frozenset[str]
    stale: tuple[str, ...]
    number: int

    @classmethod
    def of(cls, store: Files, table: str, listed: Sequence[str] | None = None) -> Compacted:
        """What the folder holds; ``listed`` are the names in it, where they are known."""
        folder = f"manifest/{table}/{FOLDER}"
        names = store.names_below(folder) if listed is None else sorted(listed)
        files = [name for name in names if name.endswith(_SUFFIX)]
        file = files[-1] if files else None
        prefix = "" if file is None else file[: _DIGITS + 1]
        marks = [name for name in names if name.endswith(_OUT)]
        current = [name for name in marks if file is not None and name.startswith(prefix)]
        numbers = [int(name[:_DIGITS]) for name in (*files, *marks) if name[:_DIGITS].isdecimal()]
        return cls(
            folder,
            file,
            frozenset(name[_DIGITS + 1 :].removesuffix(_OUT) for name in current),
            tuple(sorted({*files[:-1], *marks} - set(current))),
            max(numbers, default=0),
        )

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.file}"

    def mark(self, shard: str) -> str:
        """The file that takes a shard out of the one that counts."""
        assert self.file is not None
        return f"{self.folder}/{self.file[:_DIGITS]}-{shard}{_OUT}"

    def entries(self, store: Files, table: str) -> Entries:
        """Those that count. Raises ``MissingFile`` where another process has just made another file of them."""
        if self.file is None:
            return Entries.of(table, [])
        return Entries(table, _read(store, self.path)).without(self.out)


@dataclass(frozen=True)
class Listed:
    """What lies in the folder of a table: its own files, and what the one of many entries is."""

    names: tuple[str, ...]
    compacted: Compacted

    @classmethod
    def of(cls, store: Files, table: str) -> Listed:
        """A listing; of an object store one request, where the table has as few small files as it should."""
        folder = f"manifest/{table}"
        if store.is_local:
            names = store.names(folder)  # and then the other folder, in which what is gone here stands
            return cls(tuple(names), Compacted.of(store, table, None if FOLDER in names else ()))
        known = kept_listing.names(store.url, lambda: store.names_below(kept_listing.FOLDER))
        found = store.names_below(folder) if known is None else kept_listing.below(known, f"{table}/")
        inner = [name.removeprefix(f"{FOLDER}/") for name in found if name.startswith(f"{FOLDER}/")]
        # Of several answers the first one may be older than a file of many entries, the last one newer.
        whole = known is not None or len(found) < _PAGE  # while the root is held nobody makes another one
        compacted = Compacted.of(store, table, inner if whole else None)
        return cls(tuple(name for name in found if "/" not in name), compacted)

    @property
    def small(self) -> list[str]:
        """The shards whose entry has a file of its own; sorted."""
        return [n[:-5] for n in self.names if n.endswith(".json") and n != REDUCE and not n.endswith(FAILED)]

    @property
    def failed(self) -> list[str]:
        """The files of failed shards; sorted."""
        return [name for name in self.names if name.endswith(FAILED)]


def tables(store: Files) -> frozenset[str]:
    """The tables that the manifest may know shards of: one listing tells that there are none of the others."""
    if store.is_local:
        return frozenset(store.names(kept_listing.FOLDER))
    known = kept_listing.names(store.url, lambda: store.names_below(kept_listing.FOLDER))
    names = store.names(kept_listing.FOLDER) if known is None else known
    return frozenset(name.partition("/")[0] for name in names)


def small_shards(store: Files, table: str) -> list[str]:
    """The shards whose entry has a file of its own; sorted."""
    return Listed.of(store, table).small


def shards(store: Files, table: str) -> list[str]:
    """All finished shards; sorted. Raises ``StoreError``."""

    def look() -> list[str] | None:
        listed = Listed.of(store, table)
        if listed.compacted.file is None:
            return listed.small
        names = listed.compacted.entries(store, table).names()
        return sorted({*listed.small, *names}) if listed.small else names

    return _steady(store, table, look)


def entries(store: Files, table: str) -> Entries:
    """The entries of all finished shards. Raises ``StoreError``."""
    return _steady(store, table, lambda: _entries(store, table, Listed.of(store, table)))


def _entries(store: Files, table: str, listed: Listed) -> Entries | None:
    small = load_all(store, f"manifest/{table}", [f"{shard}.json" for shard in listed.small], ShardEntry.from_json)
    found = listed.compacted.entries(store, table).joined(Entries.of(table, small))
    gone = len(listed.small) - len(small)
    # What was removed since the listing has to be among the others, or else the listing tells of former times.
    return None if gone and not all(name in found for name in listed.small) else found


def state(store: Files, table: str) -> list[Any]:
    """What tells two states of a table apart: a hash of its shards' files and sums, and the names of those that failed.

    Raises ``StoreError``.
    """

    def look() -> list[Any] | None:
        listed = Listed.of(store, table)
        if not listed.small and not listed.compacted.out and listed.compacted.file is not None:
            return [_fingerprint_once(store.url, listed.compacted.path, table, store), listed.failed]
        found = _entries(store, table, listed)
        return None if found is None else [found.fingerprint(), listed.failed]

    return _steady(store, table, look)


@lru_cache(maxsize=128)
def _fingerprint_once(url: str, name: str, table: str, store: Files) -> str:
    return Entries(table, _read(store, name)).fingerprint()


def entry(store: Files, table: str, shard: str) -> ShardEntry | None:
    """The entry of one finished shard; None where it is not finished. Raises ``StoreError``."""
    try:
        return load(store, f"manifest/{table}/{shard}.json", ShardEntry.from_json)
    except MissingFile:
        pass

    def look() -> tuple[ShardEntry | None]:
        compacted = Compacted.of(store, table)
        if compacted.file is None or shard in compacted.out:
            return (None,)
        return (compacted.entries(store, table).get(shard),)

    return _steady(store, table, look)[0]


def take_out(store: Files, table: str, shard: str) -> None:
    """Removes the proof that a shard is finished."""
    for name in marks(store, table, shard):
        store.write(name, b"")
    store.remove(f"manifest/{table}/{shard}.json")


def marks(store: Files, table: str, shard: str) -> list[str]:
    """The empty file to write so that a compacted entry of a shard counts no more; none where it has no such entry."""
    compacted = Compacted.of(store, table)
    return [compacted.mark(shard)] if compacted.file is not None and shard not in compacted.out else []


def compact(store: Files, table: str, least: int | None = None) -> bool:
    """Makes one file of a table's entries where at least so many are small; whether it did.

    Call it while holding the root, and while no worker writes. Raises ``StoreError``.
    """
    least = (LEAST if store.is_local else LEAST_ELSEWHERE) if least is None else least
    listed = Listed.of(store, table)
    small, before = listed.small, listed.compacted
    if len(small) >= least:
        data = _encoded(entries(store, table).rows_of_all())
        sha256 = hashlib.sha256(data).hexdigest()
        store.write(f"{before.folder}/{before.number + 1:0{_DIGITS}d}-{sha256[:16]}{_SUFFIX}", data)
        store.remove_all([f"manifest/{table}/{shard}.json" for shard in small])
        before = Compacted.of(store, table)
    store.remove_all([f"{before.folder}/{name}" for name in before.stale])
    return len(small) >= least


def load(store: Files, name: str, parse: Callable[[bytes | str], E]) -> E:
    """One file of the manifest. Raises ``StoreError`` where it is damaged, ``MissingFile`` where it is not there."""
    # What a reduce has read may be hundreds of MB: its bytes are gone before it is parsed.
    return _parse(store.path(name), store.read(name).decode("utf-8", "surrogatepass"), parse)


def load_all(store: Files, folder: str, names: Sequence[str], parse: Callable[[bytes | str], E]) -> list[E]:
    """These files, but for those that are gone meanwhile. Raises ``StoreError``."""
    found = store.read_all([f"{folder}/{name}" for name in names])
    return [_parse(store.path(name), data, parse) for name, data in found.items()]


def _parse(path: str, data: bytes | str, parse: Callable[[bytes | str], E]) -> E:
    try:
        return parse(data)
    except ValueError as error:
        raise StoreError(f"{path} is damaged ({error}); delete {path} and run again") from error


F = TypeVar("F")


def _steady(store: Files, table: str, look: Callable[[], F | None]) -> F:
    """What a look finds that another process does not disturb. Raises ``StoreError``."""
    for number in range(_TRIES):
        try:
            if (found := look()) is not None:
                return found
        except MissingFile:
            pass
        kept_listing.changed(store.url)
        time.sleep(_PAUSE * number)
    raise StoreError(
        f"{store.path(f'manifest/{table}')} is listed with files that are not there: another process is changing it, "
        "or the store's listings are behind; run again"
    )


def _read(store: Files, name: str) -> pa.Table:
    # The name has the hash of the content, so that a copy in memory is never an old one.
    return _read_once(store.url, name, store)


@lru_cache(maxsize=32)  # more than a product has tables
def _read_once(url: str, name: str, store: Files) -> pa.Table:
    path, data = store.path(name), store.read(name)
    try:
        if hashlib.sha256(data).hexdigest()[:16] != name.rpartition("-")[2].removesuffix(_SUFFIX):
            raise ValueError("its content is not the one that its name has the hash of")
        rows = pq.read_table(pa.BufferReader(data)).cast(SCHEMA)
    except (ValueError, pa.ArrowException) as error:
        raise StoreError(
            f"{path} is damaged ({error}). Restore it from a copy, or delete {path} and run again to have all shards "
            "that it has the entries of done anew"
        ) from error
    return rows.combine_chunks()


def _encoded(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    names = [f.name for f in SCHEMA if pa.types.is_dictionary(f.type)]
    options: Any = {"use_dictionary": names}  # of which the stubs know a bool only
    pq.write_table(rows, sink, compression="zstd", row_group_size=_ROW_GROUP, **options)
    return bytes(sink.getvalue().to_pybytes())
