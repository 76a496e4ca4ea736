"""Rows of many shards in a few files, so that a run over old shards opens no file for each: ``gathered/NAME/``.

    NUMBER-SHA.parquet     rows of some shards, one after the other, with the shard's name in the column ``COLUMN``;
                           its metadata hold a key of each shard: a hash of all that its rows follow from

The rows of a shard count while its key is today's; a file whose bytes do not have the sha256 that its name begins with
does not count at all. What is in no file is read where it stands. So deleting or damaging ``gathered/`` loses nothing
but the time to read that again. Only who holds the root writes here: files are never changed, a few that hold little
become one, and one of which half is out of date goes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.core.errors import LapidaryError, MissingFile
from curation.core.files import Files

FOLDER = "gathered"
COLUMN = "shard of the row"
FEWEST = 16
"""Shards below which nothing is gathered: a listing and a file more would cost what they save."""
_SUFFIX = ".parquet"
_DIGITS = 8
_KEYS = b"shards"
_SHARDS, _ROWS = 1024, 1 << 20  # of a file, about
_SMALL_FILES = 16  # that are not made one yet


@dataclass(frozen=True)
class Part:
    """A file that counts: its name in the root, and the shards of which its rows count; ``whole``: all it holds."""

    file: str
    shards: frozenset[str]
    whole: bool

    def only(self, shards: frozenset[str]) -> Part:
        """The same with those of these shards alone."""
        return self if self.shards <= shards else Part(self.file, self.shards & shards, whole=False)


@dataclass(frozen=True)
class Gathered:
    """What is gathered under a name of shards with today's keys; ``lacking`` are those of which nothing is."""

    store: Files
    name: str
    keys: Mapping[str, str]
    parts: tuple[Part, ...] = ()
    lacking: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()  # files to remove
    number: int = 0

    @classmethod
    def of(cls, store: Files, name: str, keys: Mapping[str, str]) -> Gathered:
        """A look at the folder. ``keys`` are those of all shards that there are."""
        if len(keys) < FEWEST:
            return cls(store, name, keys, lacking=tuple(sorted(keys)))
        parts: list[Part] = []
        stale: list[str] = []
        left = dict(keys)
        files = store.names_below(f"{FOLDER}/{name}")
        for file in files:
            held = _keys_in(store, f"{FOLDER}/{name}/{file}")
            same = {shard for shard, key in held.items() if left.get(shard) == key}
            if len(same) * 2 <= len(held):  # or damaged: nothing is held then
                stale.append(file)
                continue
            parts.append(Part(f"{FOLDER}/{name}/{file}", frozenset(same), len(same) == len(held)))
            for shard in same:
                del left[shard]
        number = max((int(file[:_DIGITS]) for file in files if file[:_DIGITS].isdecimal()), default=0)
        return cls(store, name, keys, tuple(parts), tuple(sorted(left)), tuple(stale), number)

    def rows(self, part: Part) -> pa.Table:
        """The rows of a part that count. Raises ``StoreError``."""
        rows = pq.read_table(pa.BufferReader(self.store.read(part.file)))
        if part.whole:
            return rows
        return rows.filter(pc.is_in(rows[COLUMN], value_set=pa.array(sorted(part.shards), pa.string())))

    def add(self, group: Sequence[tuple[str, pa.Table]]) -> Gathered:
        """The same with a file of these shards and their rows, which have no ``COLUMN``.

        Call it while holding the root. One that cannot be written keeps what it has.
        """
        if len(self.keys) < FEWEST or not group:
            return self
        with suppress(LapidaryError):
            self.store.remove_all([f"{FOLDER}/{self.name}/{file}" for file in self.stale])
            self._put(self.number + 1, {shard: self.keys[shard] for shard, _ in group}, joined(group))
            return Gathered.of(self.store, self.name, self.keys)._merged()
        return self

    def _put(self, number: int, keys: Mapping[str, str], rows: pa.Table) -> None:
        data = _encoded(rows.replace_schema_metadata({_KEYS: json.dumps(dict(keys))}))
        sha256 = hashlib.sha256(data).hexdigest()
        self.store.write(f"{FOLDER}/{self.name}/{number:0{_DIGITS}d}-{sha256}{_SUFFIX}", data)

    def _merged(self) -> Gathered:
        """Makes one file of those that hold little, where there are many of these."""
        small = [part for part in self.parts if len(part.shards) * 2 <= _SHARDS]
        if len(small) <= _SMALL_FILES:
            return self
        tables = [self.rows(part) for part in small]
        if sum(table.num_rows for table in tables) > _ROWS:
            return self
        keys = {shard: self.keys[shard] for part in small for shard in sorted(part.shards)}
        self._put(self.number + 1, keys, pa.concat_tables(tables))
        self.store.remove_all([part.file for part in small])
        return Gathered.of(self.store, self.name, self.keys)


def kept_rows(
    store: Files, name: str, keys: Mapping[str, str], make: Callable[[Sequence[str]], Iterator[tuple[str, pa.Table]]]
) -> Iterator[pa.Table]:
    """The rows of all shards, with ``COLUMN``: those that are gathered, and those that are made now and gathered.

    ``make`` yields shards with their rows. Call it while holding the root. Raises ``StoreError``.
    """
    found = Gathered.of(store, name, keys)
    for part in found.parts:
        yield found.rows(part)
    for group in groups(make(found.lacking)):
        yield joined(group)
        found = found.add(group)


def joined(group: Sequence[tuple[str, pa.Table]]) -> pa.Table:
    """The rows of some shards with the name of each in ``COLUMN``."""
    named = (
        rows.append_column(COLUMN, pa.repeat(pa.scalar(shard, pa.string()), rows.num_rows)) for shard, rows in group
    )
    return pa.concat_tables(named).combine_chunks()


def groups(pieces: Iterable[tuple[str, pa.Table]]) -> Iterator[list[tuple[str, pa.Table]]]:
    """Shards as they go into one file each."""
    group: list[tuple[str, pa.Table]] = []
    held = 0
    for shard, rows in pieces:
        group.append((shard, rows))
        held += rows.num_rows
        if len(group) >= _SHARDS or held >= _ROWS:
            yield group
            group, held = [], 0
    if group:
        yield group


def _encoded(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _keys_in(store: Files, name: str) -> Mapping[str, str]:
    """The keys of the shards in a file; none where it is damaged."""
    with suppress(MissingFile):
        return _keys_once(store.url, name, store)
    return {}


@lru_cache(maxsize=4096)
def _keys_once(url: str, name: str, store: Files) -> Mapping[str, str]:
    # The name has the hash of the content: who has looked once knows it.
    data = store.read(name)
    if hashlib.sha256(data).hexdigest() != name.rpartition("-")[2].removesuffix(_SUFFIX):
        return {}
    with suppress(ValueError, KeyError, TypeError, pa.ArrowException):
        found: dict[str, str] = json.loads((pq.read_schema(pa.BufferReader(data)).metadata or {})[_KEYS])
        return found
    return {}
