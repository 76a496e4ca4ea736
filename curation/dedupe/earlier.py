"""Looks up earlier decisions of a root by hash, without reading its tables.

A local root keeps the decisions in ``index/``, one file for each run that added shards:

    index/decided/<name>.arrow   the images of those shards in the columns of ``gather.IMAGES``, uncompressed and
                                 memory-mapped; its metadata hold the sha256 of each shard's images and duplicates
    index/phash/                 a ``HashIndex`` of their pHashes; ids are 8 bytes of <name>, then 8 of the row

The index is written first, then the file, whole or not at all. So every image that a file names is in the index;
index entries that belong to no file are ignored. A file is dropped when a table of one of its shards has changed, and
its shards are added again. Deleting ``index/`` loses nothing but the time to make it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.core.errors import StoreError, TooMuchMemory
from curation.core.store import Store
from curation.dedupe.gather import (
    IMAGES,
    Images,
    crops_of,
    decided_parts,
    hashes_of,
    looks_of,
    parts_of,
    search_rows,
)
from curation.dedupe.search.distinct import Distinct, fixed_array, words_in
from curation.dedupe.search.index import HashIndex
from curation.dedupe.search.kernels import Words, near_each
from curation.dedupe.search.rule import Rule
from curation.dedupe.search.scan import near_rows, view_of
from schemas.arrays import Array, whole

FOLDER = "index"
DecidedShards = Mapping[str, tuple[str, str]]
"""Shard names, each with the sha256 of its images and of its decisions."""

_FORMAT = "1"
_TEMPORARY = ".tmp-"
_FEW = 16  # earlier images per new one, below which a scan is faster than the index
_RUNS = 24  # index runs from which they are merged
_BATCH = 1024  # hashes looked up at a time
_MEMORY = 1 << 28  # bytes for the answers
_LOW = np.uint64(0xFFFFFFFF)


@dataclass
class Earlier:
    """The images of shards with earlier decisions; ``_parts`` holds them by file name.

    A removed image is left out where another image has the same hashes, look and cluster.
    """

    store: Store
    crops: bool = False
    _parts: dict[str, pa.Table] = field(default_factory=dict, init=False, repr=False)
    _shards: set[str] = field(default_factory=set, init=False, repr=False)

    @classmethod
    def of(cls, store: Store, decided: DecidedShards, *, crops: bool = False) -> Earlier:
        """Opens the decisions on exactly these shards, and updates the root's index. Raises ``StoreError``."""
        found = cls(store, crops)
        if store.is_local:
            found._open(decided)
        found.add({shard: shas for shard, shas in decided.items() if shard not in found._shards})
        return found

    def __len__(self) -> int:
        return sum(part.num_rows for part in self._parts.values())

    def add(self, decided: DecidedShards, read: Sequence[tuple[str, pa.Table]] | None = None) -> None:
        """Adds the decisions on more shards, read from their tables. Raises ``StoreError``.

        ``read`` are the images of exactly these shards, sorted by name, if they are in memory already.
        """
        if not decided:
            return
        if read is None:
            parts = parts_of(self.store, sorted(decided), decided, crops=self.crops)
        else:
            parts = decided_parts(self.store, read)
        table = _telling(pa.concat_tables([part for _, part in parts]).combine_chunks())
        name = hashlib.sha256(json.dumps(sorted(decided.items())).encode()).hexdigest()[:16]
        if self.store.is_local:
            try:
                table = self._write(name, table, decided)
            except OSError as error:
                raise StoreError(f"cannot write {self._folder}: {error}; free space") from error
        self._parts[name] = table
        self._shards |= decided.keys()

    def near(self, images: Images, rule: Rule) -> pa.Table:
        """Earlier images that are near any of these, in either direction; columns of ``IMAGES``, in any order.

        Windows of images are not in the index: with ``crops`` all earlier images are compared.
        """
        asked = len(images.ids) * rule.turns
        try:
            few = self.store.is_local and not self.crops and asked * _FEW <= len(self)
            found = self._ask(_views(images, rule), rule._replace(turns=1)) if few else self._scan(images, rule)
        except TooMuchMemory:  # a dense bucket: only the scan has bounded memory
            found = self._scan(images, rule)
        return pa.concat_tables([IMAGES.empty_table(), *(self._parts[name].take(places) for name, places in found)])

    def _ask(self, asked: Words, rule: Rule) -> list[tuple[str, NDArray[np.int64]]]:
        index = self._index
        marks = {name: np.zeros(part.num_rows, np.bool_) for name, part in self._parts.items()}
        for start in range(0, len(asked), _BATCH):
            batch = asked[start : start + _BATCH]
            answers = index.near(np.ascontiguousarray(batch[:, 0]), rule.distance, memory=_MEMORY)
            i = answers.column("i").to_numpy()
            places = _places(whole(answers.column("id")))
            for name, part in self._parts.items():
                own = np.flatnonzero(places[:, 0] == np.uint64(int(name, 16)))
                row = places[own, 1].astype(np.int64)
                marks[name][row[near_each(batch[i[own]], _rows(part, row, rule), rule)]] = True
        return [(name, np.flatnonzero(mark)) for name, mark in marks.items()]

    def _scan(self, images: Images, rule: Rule) -> list[tuple[str, NDArray[np.int64]]]:
        young = Distinct.of(images.rows(rule)).rows
        found = []
        for name, part in self._parts.items():
            mark = np.zeros(part.num_rows, np.bool_)
            old = search_rows(hashes_of(part), crops_of(part), looks_of(part), rule)
            # Every near row is linked to one of these rows, so spanning pairs suffice.
            for keys in near_rows(young, old, rule, spanning=True):
                mark[(keys & _LOW).astype(np.int64)] = True
            for keys in near_rows(old, young, rule, spanning=True) if self.crops else ():
                mark[(keys >> np.uint64(32)).astype(np.int64)] = True
            found.append((name, np.flatnonzero(mark)))
        return found

    @property
    def _folder(self) -> Path:
        return Path(self.store.path(FOLDER))

    @property
    def _index(self) -> HashIndex:
        return HashIndex(self._folder / "phash")

    def _open(self, decided: DecidedShards) -> None:
        """Maps the files whose shards are unchanged, and deletes all others."""
        for path, listed, table in _files(self._folder / "decided", _format(self.crops)):
            if table is not None and listed.items() <= dict(decided).items() and not listed.keys() & self._shards:
                self._parts[path.stem] = table
                self._shards |= listed.keys()
            else:
                path.unlink()
        if not self._parts or not self._answers():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._parts, self._shards = {}, set()

    def _answers(self) -> bool:
        """Whether the index can be read and holds every image."""
        try:
            self._index.near(np.empty(0, np.uint64), 0)
            return len(self._index) >= len(self)
        except (StoreError, OSError):
            return False

    def _write(self, name: str, table: pa.Table, decided: DecidedShards) -> pa.Table:
        """Publishes a part; returns it mapped."""
        ids = np.empty((table.num_rows, 2), ">u8")
        ids[:, 0], ids[:, 1] = int(name, 16), np.arange(table.num_rows)
        index, path = self._index, self._folder / "decided" / f"{name}.arrow"
        index.add(whole(table.column("phash")), fixed_array(ids))
        if index.runs > _RUNS:
            with contextlib.suppress(TooMuchMemory):  # more runs only make a look-up slower
                index.compact()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(_TEMPORARY + path.name)
        made = {"lapidary.decided": _format(self.crops), "shards": json.dumps(dict(decided))}
        schema = IMAGES.with_metadata(made)
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_table(table)
        temporary.rename(path)
        return _mapped(path)


def _format(crops: bool) -> str:
    return f"{_FORMAT} with crops" if crops else _FORMAT


def _files(folder: Path, form: str) -> Iterator[tuple[Path, dict[str, tuple[str, str]], pa.Table | None]]:
    """Each file with its shards; the table is None if the file is damaged or of another format."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            table = _mapped(path)
            metadata = table.schema.metadata or {}
            listed = {s: (images, decided) for s, (images, decided) in json.loads(metadata[b"shards"]).items()}
            ours = metadata[b"lapidary.decided"].decode() == form and table.schema.equals(IMAGES)
            int(path.stem, 16)
            yield path, listed, table if ours else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
            yield path, {}, None


def _mapped(path: Path) -> pa.Table:
    """The images of a file, in the columns of ``IMAGES``; nulls where it is older than colours or thumbnails."""
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    for name in ("colours", "thumbnail"):
        if name not in table.column_names:
            place, field = IMAGES.get_field_index(name), IMAGES.field(name)
            table = table.add_column(place, field, pa.nulls(table.num_rows, field.type))
    return table


def _telling(table: pa.Table) -> pa.Table:
    """Drops removed images that repeat another one: equal hashes in the same cluster."""
    keeper = table.column("keeper").to_numpy()
    names = whole(table.column("cluster")).dictionary_encode().indices.to_numpy()
    seen = np.concatenate([hashes_of(table), crops_of(table), looks_of(table)], axis=1)
    key = (Distinct.of(seen).row.astype(np.int64) << 32) | names
    order = np.lexsort((~keeper, key))
    stays = keeper.copy()
    stays[order[np.unique(key[order], return_index=True)[1]]] = True
    return table.filter(pa.array(stays)).combine_chunks()


def _views(images: Images, rule: Rule) -> Words:
    """Every view of every image as a row of its own."""
    rows = images.rows(rule)
    return Distinct.of(np.concatenate([view_of(rows, view, rule) for view in range(rule.turns)])).rows


def _rows(part: pa.Table, row: NDArray[np.int64], rule: Rule) -> Words:
    taken = part.select(["phash", "phash256", *(["colours", "thumbnail"] if rule.colours else [])]).take(row)
    return np.concatenate([hashes_of(taken), looks_of(taken)], axis=1) if rule.colours else hashes_of(taken)


def _places(ids: Array) -> Words:
    """(file, row) of each id."""
    return words_in(ids, ">u8").astype(np.uint64)
