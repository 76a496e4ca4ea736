"""Rows that were taken down: they are planned as rejected, without their url, their text and all else that is said.

A root's own tombstones are those of ``lapidary takedown``; ``source.tombstones`` names files of other roots. These are
copied into the root, where later stages find them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import fsspec
import pyarrow as pa
import pyarrow.compute as pc

from curation.core.errors import SourceError, StoreError
from curation.core.store import Store, one_line, shown
from schemas.arrays import Values, strings
from schemas.arrow import Record, schema_of
from schemas.reasons import Reason
from schemas.records import SourceRow
from schemas.tombstones import Tombstone, hashed, hosts_of

OWN = "tombstones.jsonl"
GIVEN = "tombstones.given.jsonl"
_LARGEST = 1 << 30  # bytes of a file
_LONGEST = 8192  # characters of a line
_KEYS = ("sample_id", "source_file", "source_row")


@dataclass(frozen=True)
class Tombstones:
    """The tombstones that hold for a root, by what they know a row by. ``given`` is the sha256 of those of others."""

    by_sample: Mapping[str, Tombstone] = field(default_factory=dict)
    by_url: Mapping[str, Tombstone] = field(default_factory=dict)
    by_host: Mapping[str, Tombstone] = field(default_factory=dict)
    by_bytes: Mapping[str, Tombstone] = field(default_factory=dict)
    given: str = ""

    @classmethod
    def of(cls, stones: Iterable[Tombstone], given: str = "") -> Tombstones:
        """Where several say the same of a row, the first one counts."""
        samples: dict[str, Tombstone] = {}
        urls: dict[str, Tombstone] = {}
        hosts: dict[str, Tombstone] = {}
        contents: dict[str, Tombstone] = {}
        for stone in stones:
            known = (
                *((samples, stone.sample_id), (urls, stone.url_sha256), (hosts, stone.host_sha256)),
                *((contents, stone.original_sha256), (contents, stone.stored_sha256)),
            )
            for index, value in known:
                if value is not None:
                    index.setdefault(value, stone)
        return cls(samples, urls, hosts, contents, given)

    @classmethod
    def of_root(cls, store: Store) -> Tombstones:
        """Those of a root, its own first. Raises ``StoreError`` for a file that is damaged."""
        own, given = (store.read(name) if store.exists(name) else b"" for name in (OWN, GIVEN))
        try:
            return _of_bytes(own, store.path(OWN), given, store.path(GIVEN))
        except SourceError as error:
            raise StoreError(str(error)) from error

    def __bool__(self) -> bool:
        return bool(self.by_sample or self.by_url or self.by_host or self.by_bytes)

    def among(self, rows: pa.Table) -> dict[str, Tombstone]:
        """The rows of a shard of ``rows`` that were taken down, by sample_id."""
        if not self:
            return {}
        urls, contents = rows["url"].to_pylist(), rows["expected_sha256"].to_pylist()
        found: dict[str, Tombstone] = {}
        for sample, url, content in zip(strings(rows["sample_id"]), urls, contents, strict=True):
            stone = self.by_sample.get(sample) or self._of_url(url) or self.by_bytes.get(content or "")
            if stone is not None:
                found[sample] = stone
        return found

    def _of_url(self, url: str | None) -> Tombstone | None:
        if url is None or not (self.by_url or self.by_host):
            return None
        if (stone := self.by_url.get(hashed(url))) is not None:
            return stone
        return next((self.by_host[h] for h in map(hashed, hosts_of(url)) if h in self.by_host), None)


@lru_cache(maxsize=2)  # every shard asks
def _of_bytes(own: bytes, own_path: str, given: bytes, given_path: str) -> Tombstones:
    stones = [*parsed(own, own_path), *parsed(given, given_path)]
    return Tombstones.of(stones, hashlib.sha256(given).hexdigest() if given else "")


def read_own(store: Store) -> list[Tombstone]:
    """The tombstones of a root's own takedowns. Raises ``SourceError``."""
    return parsed(store.read(OWN), store.path(OWN)) if store.exists(OWN) else []


def read_given(urls: Sequence[str]) -> list[Tombstone]:
    """The tombstones in files of other roots, in one order and each once. Raises ``SourceError``."""
    found: dict[Tombstone, None] = {}
    for url in urls:
        try:
            with fsspec.open(url, "rb") as file:
                data = file.read(_LARGEST + 1)
        except Exception as error:  # a driver may raise anything of its own
            raise SourceError(
                f"cannot read the tombstones {shown(url)}: {one_line(error)}; correct source.tombstones, or wait until "
                "it can be reached: without it, what was taken down would be fetched"
            ) from error
        found |= dict.fromkeys(parsed(data, shown(url)))
    return sorted(found, key=Tombstone.to_line)


def parsed(data: bytes, where: str) -> list[Tombstone]:
    """The tombstones of a file's bytes. Raises ``SourceError`` with the line that is none."""
    if len(data) > _LARGEST:
        raise SourceError(f"{where} is larger than {_LARGEST >> 20} MiB; a file of tombstones has a line a sample")
    found = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            if len(line) > _LONGEST:
                raise ValueError(f"it has {len(line)} bytes")
            found.append(Tombstone.from_line(line.decode()))
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"line {number} of {where} is no tombstone ({one_line(error)}); expected a JSON object as "
                "'lapidary takedown' writes it: restore the file"
            ) from error
    return found


def keep_given(store: Store, stones: Sequence[Tombstone]) -> None:
    """Copies the tombstones of other roots into this one. Raises ``StoreError``."""
    data = "".join(stone.to_line() for stone in stones).encode()
    before = store.read(GIVEN) if store.exists(GIVEN) else b""
    if before and not stones:
        store.remove(GIVEN)
    elif data != before:
        store.write(GIVEN, data)


def redacted(record: type[Record], table: pa.Table, found: Mapping[str, Tombstone]) -> pa.Table:
    """The table, of ``rows`` or of what is written beside them, with nothing but the keys of these samples' rows."""
    ids = strings(table["sample_id"])
    hit = pa.array([sample in found for sample in ids], pa.bool_())
    if not found or not hit.true_count:
        return table
    columns: list[Values] = []
    nullable = {column.name: column.nullable for column in schema_of(record)}
    for column in table.schema:  # an older root may lack columns
        values = table[column.name]
        if column.name not in _KEYS:
            nothing = pa.scalar(None if nullable.get(column.name, True) else "", column.type)
            values = pc.if_else(hit, nothing, values)
        columns.append(values)
    made = pa.Table.from_arrays(columns, schema=table.schema)
    if record is SourceRow:
        made = _told(made, "reason", [Reason.TAKEN_DOWN.value if s in found else None for s in ids])
        made = _told(made, "detail", [found[s].detail if s in found else None for s in ids])
    return made.combine_chunks()


def _told(rows: pa.Table, name: str, values: Sequence[str | None]) -> pa.Table:
    at = rows.schema.get_field_index(name)
    told = [new or old for new, old in zip(values, rows[name].to_pylist(), strict=True)]
    return rows.set_column(at, rows.schema.field(at), pa.array(told, pa.string()))
