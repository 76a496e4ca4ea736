"""Looks up earlier decisions of a root by hash, without reading its tables.

A local root keeps the decisions in ``index/``, one file for each run that added shards:

    index/decided/<name>.arrow   the images of those shards in the columns of ``gather.IMAGES``, but with the thumbnails
                                 themselves (if any is known), uncompressed and memory-mapped; its metadata hold the
                                 sha256 of each shard's images and duplicates
    index/phash/                 a ``HashIndex`` of their pHashes; ids are 8 bytes of <name>, then 8 of the row
    index/sums.json              what these files were when they were written (``noted_files``)

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
from curation.dedupe.blocks import Blocks, taken, telling
from curation.dedupe.gather import (
    IMAGES,
    THUMBNAIL,
    colours_of,
    crops_of,
    decided_parts,
    hashes_of,
    parts_of,
    search_rows,
)
from curation.dedupe.noted_files import NotedFiles
from curation.dedupe.search.distinct import Distinct, fixed_array, words_in
from curation.dedupe.search.index import HashIndex
from curation.dedupe.search.kernels import Words, near_each
from curation.dedupe.search.memory import at_once
from curation.dedupe.search.rule import Rule, screening
from curation.dedupe.search.scan import near_rows, view_of
from curation.dedupe.thumbnail_file import ThumbnailFile
from schemas.arrays import Array, Values, whole
from schemas.records import ImageRow

FOLDER = "index"
_INDEX = "phash"
_PLACE = IMAGES.get_field_index("thumbnail")
_STORED, _BARE = IMAGES.set(_PLACE, pa.field("thumbnail", THUMBNAIL)), IMAGES.remove(_PLACE)
DecidedShards = Mapping[str, tuple[str, str]]
"""Shard names, each with the sha256 of its images and of its decisions."""

_FORMAT = "1"
_TEMPORARY = ".tmp-"
_FEW = 16  # earlier images per new one, below which a scan is faster than the index
_RUNS = 24  # index runs from which they are merged
_BATCH = 1024  # hashes looked up at a time
_WRITTEN = 1 << 14  # images written at a time
_SCANNED = 1 << 22  # images compared at a time
_MEMORY = 1 << 28  # bytes for the answers
_LOW = np.uint64(0xFFFFFFFF)


@dataclass
class Earlier:
    """The images of shards with earlier decisions; ``_parts`` holds them by file name.

    A removed image is left out where another image has the same hashes, look and cluster.
    """

    store: Store
    file: ThumbnailFile
    crops: bool = False
    _parts: dict[str, pa.Table] = field(default_factory=dict, init=False, repr=False)
    _shards: set[str] = field(default_factory=set, init=False, repr=False)

    @classmethod
    def of(cls, store: Store, decided: DecidedShards, file: ThumbnailFile, *, crops: bool = False) -> Earlier:
        """Opens the decisions on exactly these shards, and updates the root's index. Raises ``StoreError``."""
        found = cls(store, file, crops)
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
        if read is not None:
            self._add(decided, decided_parts(self.store, read))
            return
        entries = self.store.entries(ImageRow.table).only(sorted(decided))
        for shards in entries.groups(at_once(entries.total("rows_out"), crops=self.crops)):
            group = {shard: decided[shard] for shard in shards}
            self._add(group, parts_of(self.store, shards, self.file, group, crops=self.crops))

    def _add(self, decided: DecidedShards, parts: Iterator[tuple[str, pa.Table]]) -> None:
        tables = [part for _, part in parts]
        if not tables:
            return
        table = telling(pa.concat_tables(tables).combine_chunks(), self.file)
        name = hashlib.sha256(json.dumps(sorted(decided.items())).encode()).hexdigest()[:16]
        if self.store.is_local:
            try:
                table = self._write(name, table, decided)
            except OSError as error:
                raise StoreError(f"cannot write {self._folder}: {error}; free space") from error
        else:
            table = self.file.mapped(table)
        self._parts[name] = table
        self._shards |= decided.keys()

    def near(self, blocks: Blocks, rule: Rule) -> pa.Table:
        """Earlier images that may be near any of these, in either direction; columns of ``IMAGES``, in any order.

        All that are near are among them; thumbnails are not looked at. Windows of images are not in the index: with
        ``crops`` all earlier images are compared.
        """
        if not self._parts:
            return IMAGES.empty_table()
        rule = screening(rule)
        marks = {name: np.zeros(part.num_rows, np.bool_) for name, part in self._parts.items()}
        few = self.store.is_local and not self.crops and len(blocks) * rule.turns * _FEW <= len(self)
        for block in range(len(blocks.tables)):
            young = blocks.distinct(block, rule).rows
            try:
                if few:
                    self._ask(_views(young, rule), rule._replace(turns=1), marks)
                    continue
            except TooMuchMemory:  # a dense bucket: only the scan has bounded memory
                few = False
            self._scan(young, rule, marks)
        found = [_numbered(taken(self._parts[name], np.flatnonzero(mark)), self.file) for name, mark in marks.items()]
        return pa.concat_tables([IMAGES.empty_table(), *found])

    def _ask(self, asked: Words, rule: Rule, marks: Mapping[str, NDArray[np.bool_]]) -> None:
        index = self._index
        for start in range(0, len(asked), _BATCH):
            batch = asked[start : start + _BATCH]
            answers = index.near(np.ascontiguousarray(batch[:, 0]), rule.distance, memory=_MEMORY)
            i = answers.column("i").to_numpy()
            places = _places(whole(answers.column("id")))
            for name, part in self._parts.items():
                own = np.flatnonzero(places[:, 0] == np.uint64(int(name, 16)))
                row = places[own, 1].astype(np.int64)
                marks[name][row[near_each(batch[i[own]], _rows(part, row, rule), rule)]] = True

    def _scan(self, young: Words, rule: Rule, marks: Mapping[str, NDArray[np.bool_]]) -> None:
        for name, part in self._parts.items():
            for start in range(0, part.num_rows, _SCANNED):
                some, mark = part.slice(start, _SCANNED), marks[name][start : start + _SCANNED]
                old = search_rows(hashes_of(some), crops_of(some), colours_of(some), rule)
                # Every near row is linked to one of these rows, so spanning pairs suffice.
                for keys in near_rows(young, old, rule, spanning=True):
                    mark[(keys & _LOW).astype(np.int64)] = True
                for keys in near_rows(old, young, rule, spanning=True) if self.crops else ():
                    mark[(keys >> np.uint64(32)).astype(np.int64)] = True

    @property
    def _folder(self) -> Path:
        return Path(self.store.path(FOLDER))

    @property
    def _index(self) -> HashIndex:
        return HashIndex(self._folder / _INDEX)

    def _open(self, decided: DecidedShards) -> None:
        """Maps the files whose shards are unchanged, and deletes all others."""
        for path, listed, table in _files(self._folder / "decided", _format(self.crops), self._notes):
            if table is not None and listed.items() <= dict(decided).items() and not listed.keys() & self._shards:
                self._parts[path.stem] = table
                self._shards |= listed.keys()
            else:
                _delete(path)
        if not self._parts or not self._answers():
            _delete(self._folder)
            self._parts, self._shards = {}, set()

    def _answers(self) -> bool:
        """Whether the index is as it was left. It then holds each file: a file is noted after its hashes are."""
        try:
            self._index.near(np.empty(0, np.uint64), 0)
            return self._notes.believes_all(_INDEX) and len(self._index) >= len(self)
        except (StoreError, OSError):
            return False

    @property
    def _notes(self) -> NotedFiles:
        return NotedFiles(self._folder)

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
        held = self._folder / _INDEX  # which is not there while no shard has an image
        self._notes.note([*held.glob("*.arrow"), *held.glob("*.json")])
        temporary = path.with_name(_TEMPORARY + path.name)
        made = {"lapidary.decided": _format(self.crops), "shards": json.dumps(dict(decided))}
        known = table.column("thumbnail").null_count < table.num_rows
        schema = (_STORED if known else _BARE).with_metadata(made)
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for start in range(0, table.num_rows, _WRITTEN):
                some = table.slice(start, _WRITTEN)
                told = [self.file.column(whole(some.column(_PLACE)))] if known else []
                columns: list[Values] = [*some.columns[:_PLACE], *told, *some.columns[_PLACE + 1 :]]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        temporary.rename(path)
        self._notes.note([path])
        return _mapped(path)


def _delete(path: Path) -> None:
    """Deletes what lies there, a file or a folder, if anything does. Raises ``StoreError`` where that fails."""
    try:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot delete {path}: {error}; delete the folder {FOLDER} by hand and run again") from error


def _format(crops: bool) -> str:
    return f"{_FORMAT} with crops" if crops else _FORMAT


def _files(
    folder: Path, form: str, notes: NotedFiles
) -> Iterator[tuple[Path, dict[str, tuple[str, str]], pa.Table | None]]:
    """Each file with its shards; the table is None if the file is damaged or of another format."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not notes.believes(path):
            yield path, {}, None
            continue
        try:
            table = _mapped(path)
            metadata = table.schema.metadata or {}
            listed = {s: (images, decided) for s, (images, decided) in json.loads(metadata[b"shards"]).items()}
            ours = metadata[b"lapidary.decided"].decode() == form and table.schema in (_STORED, _BARE)
            int(path.stem, 16)
            yield path, listed, table if ours else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
            yield path, {}, None


def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _numbered(table: pa.Table, file: ThumbnailFile) -> pa.Table:
    """The columns of ``IMAGES``; thumbnails go into the file."""
    kind = IMAGES.field(_PLACE)
    if "thumbnail" not in table.column_names:
        return table.add_column(_PLACE, kind, pa.nulls(table.num_rows, kind.type))
    column = table.column(_PLACE)
    return table if column.type == kind.type else table.set_column(_PLACE, kind, file.add(column))


def _views(rows: Words, rule: Rule) -> Words:
    """Every view of every image as a row of its own."""
    return Distinct.of(np.concatenate([view_of(rows, view, rule) for view in range(rule.turns)])).rows


def _rows(part: pa.Table, row: NDArray[np.int64], rule: Rule) -> Words:
    found = taken(part.select(["phash", "phash256", *(["colours"] if rule.colours else [])]), row)
    return np.concatenate([hashes_of(found), colours_of(found)], axis=1) if rule.colours else hashes_of(found)


def _places(ids: Array) -> Words:
    """(file, row) of each id."""
    return words_in(ids, ">u8").astype(np.uint64)
