"""The files of a root without the samples that go: tables, tars of images, replies, features."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.caption.model.ledger import FOLDER as REPLIES
from curation.core.errors import StoreError
from curation.core.manifest import marks
from curation.core.store import Store, encoded
from curation.core.tar import blank_member
from curation.features.shard_file import FeaturesWriter
from curation.fetch.process_row import BESIDE
from curation.fetch.retrieved import retrieved_file
from curation.load.features import FOLDER as FEATURES
from curation.load.features import FOLDERS, SUFFIX, VISUAL, FeaturesFile, hash_of
from curation.release.placing import fingerprint
from curation.sources.tombstones import redacted
from curation.takedown.changes import Changes
from schemas.arrays import strings
from schemas.arrow import Record
from schemas.features import CaptionFeatures
from schemas.news import NewsArticle
from schemas.records import GoneRow, ImageRow, Placement, Released, SourceColumns, SourceRow
from schemas.tombstones import Tombstone
from schemas.visual import VisualFeatures

_REDACTED: Mapping[str, type[Record]] = {r.table: r for r in (SourceRow, SourceColumns, NewsArticle)}
_OF_RELEASE = frozenset({Placement.table, Released.table, CaptionFeatures.table, VisualFeatures.table})
_UNTOUCHED = frozenset({GoneRow.table})  # says of a row that it is gone, and nothing else
_REPLY_KEYS = ("reply_key", "reply_keys")
_CHUNK = 1 << 22
_STATES: Sequence[tuple[str, type[Record], str]] = (
    (FEATURES, CaptionFeatures, "caption_sha256"),
    (VISUAL, VisualFeatures, "look_sha256"),
)
_NOTHING = hash_of("")


def source_shard(changes: Changes, shard: str, stones: Mapping[str, Tombstone]) -> None:
    """All files of a shard of the source without these samples; ``rows`` keeps their numbers and ids."""
    store = changes.store
    keys: set[str] = set()
    for table in store.names("tables"):
        name = store.table_file(table, shard)
        if table in _OF_RELEASE or table in _UNTOUCHED or not store.exists(name):
            continue
        rows = _table(changes, name, stones, _REDACTED.get(table))
        keys.update(_reply_keys(rows))
    offsets: dict[int, int] = {}
    for name in (store.table_file(ImageRow.table, shard), store.stored_file(shard)):
        if store.exists(name):
            offsets |= _places(store.read_parquet(name), stones)
    beside = (file_of(shard) for file_of in BESIDE.values())
    for name in (store.stored_file(shard), retrieved_file(shard), *beside):
        if store.exists(name):
            _table(changes, name, stones, None)
    _images(changes, shard, offsets)
    _replies(changes, shard, keys)


def release_shard(changes: Changes, shard: str, stones: Mapping[str, Tombstone]) -> tuple[str, str] | None:
    """What a shard of the release is made from, without these samples; its tar is exported anew from that.

    Returns the fingerprint of its samples before and after; None where none is left, and all of its files go.
    """
    store = changes.store
    name = store.table_file(Placement.table, shard)
    before = store.read(name)
    table = pq.read_table(pa.BufferReader(before))
    ids = strings(table["sample_id"])
    left = table.filter(_stays(table, stones))
    if not left.num_rows:
        for gone in (Placement.table, Released.table, CaptionFeatures.table, VisualFeatures.table):
            for mark in marks(store, gone, shard):
                changes.put(mark, b"", None)
            changes.remove(f"manifest/{gone}/{shard}.json")
            changes.remove(store.table_file(gone, shard))
        for gone in (f"{shard}.tar", f"metadata/{shard}.parquet", *states_of(shard)):
            changes.remove(f"release/{gone}")
        return None
    at = left.schema.get_field_index("position")
    numbers = pa.array(np.arange(left.num_rows), left.schema.field(at).type)
    left = left.set_column(at, left.schema.field(at), numbers).combine_chunks()
    changes.put(name, encoded(left), before)
    changes.rows[name] = left.num_rows
    for folder, record, key in _STATES:
        states = store.table_file(record.table, shard)
        if store.exists(states):
            kept = _table(changes, states, stones, None)
            _features(changes, shard, folder, strings(kept[key]))
    return fingerprint(ids), fingerprint(strings(left["sample_id"]))


def _table(changes: Changes, name: str, stones: Mapping[str, Tombstone], record: type[Record] | None) -> pa.Table:
    """Without the samples' rows or, of a table of ``record``, with nothing but their keys. Returns what is left."""
    before = changes.store.read(name)
    table = pq.read_table(pa.BufferReader(before))
    if "sample_id" not in table.column_names:
        return table
    left = table.filter(_stays(table, stones)) if record is None else redacted(record, table, stones)
    if left.num_rows < table.num_rows or (record is not None and not left.equals(table)):
        changes.put(name, encoded(left.combine_chunks()), before)
        changes.rows[name] = left.num_rows
    return left


def _stays(table: pa.Table, stones: Mapping[str, Tombstone]) -> pa.BooleanArray:
    return pa.array([sample not in stones for sample in strings(table["sample_id"])], pa.bool_())


def _places(images: pa.Table, stones: Mapping[str, Tombstone]) -> dict[int, int]:
    """Offset -> size of the samples' images in their shard's tar."""
    columns = (images["sample_id"].to_pylist(), images["offset"].to_pylist(), images["size"].to_pylist())
    rows = zip(*columns, strict=True)
    return {at: size for sample, at, size in rows if sample in stones and at is not None and size is not None}


def _images(changes: Changes, shard: str, places: Mapping[int, int]) -> None:
    """The tar of images with zeros in place of these members: no offset of another image changes."""
    store, name = changes.store, Store.images_file(shard)
    if not places or not store.exists(name):
        return
    path = store.scratch(f"{name}.new")
    try:
        try:
            with store.filesystem.open(store.path(name), "rb") as file, path.open("wb") as copy:
                shutil.copyfileobj(file, copy, _CHUNK)
        except OSError as error:
            raise StoreError(f"cannot copy {store.path(name)}: {error}; free space") from error
        with path.open("r+b") as file:
            before = hashlib.file_digest(file, "sha256").hexdigest()
            for offset, size in sorted(places.items()):
                blank_member(file, offset, size)
        changes.put_file(name, path, before, 0)
    finally:
        path.unlink(missing_ok=True)


def _reply_keys(rows: pa.Table) -> Iterator[str]:
    for column in (c for c in _REPLY_KEYS if c in rows.column_names):
        for value in rows[column].to_pylist():
            yield from (value if isinstance(value, list) else [value] if value else [])


def _replies(changes: Changes, shard: str, keys: Collection[str]) -> None:
    """The journals of a shard with those replies alone that the samples that stay refer to.

    A reply does not say whose it is: what no table refers to (replies of former settings, or of a shard that was not
    finished) may be of a sample that goes, and goes with it.
    """
    store = changes.store
    names = [f"{REPLIES}/{shard}.jsonl"]
    names += [f"{REPLIES}/{shard}/{name}" for name in store.names(f"{REPLIES}/{shard}", ".jsonl")]
    for name in names:
        if not store.exists(name):
            continue
        before = store.read(name)
        left = b"".join(_lines_left(before, keys))
        if left:
            changes.put(name, left, before)
        else:
            changes.remove(name)


def _lines_left(journal: bytes, keys: Collection[str]) -> Iterator[bytes]:
    for line in journal.split(b"\n"):
        try:
            replies: list[dict[str, Any]] = json.loads(line)
            kept = [reply for reply in replies if reply["key"] in keys]
        except (ValueError, TypeError, KeyError):
            continue  # torn, and read by nobody
        if len(kept) == len(replies):
            yield line + b"\n"
        elif kept:
            yield json.dumps(kept).encode() + b"\n"


def states_of(shard: str) -> list[str]:
    """The files of states that may stand beside a release's tar."""
    return [f"{folder}/{shard}{SUFFIX}" for folder in FOLDERS]


def _features(changes: Changes, shard: str, folder: str, kept: Collection[str]) -> None:
    """The hidden states of a release shard's captions or looks without those that no sample has any more."""
    store, name = changes.store, f"release/{folder}/{shard}{SUFFIX}"
    if not store.exists(name):
        return
    before = store.read(name)
    was, becomes = changes.shas[store.table_file(Placement.table, shard)]
    wanted = set(map(bytes.fromhex, kept))
    path = write_features(store, name, lambda key, image: key in wanted, {was: becomes})
    try:
        changes.put_file(name, path, hashlib.sha256(before).hexdigest(), path.stat().st_size - len(before))
    finally:
        path.unlink(missing_ok=True)


def write_features(store: Store, name: str, stays: Callable[[bytes, bytes], bool], renamed: Mapping[str, str]) -> Path:
    """A file of features with the states alone that stay, and those of the empty prompt.

    ``stays`` is asked about the hash of each caption or look, with the sha256 of a look's image. Values of its
    metadata are replaced as ``renamed`` says. Returns where it was written.
    """
    file = FeaturesFile(str(store.filesystem.unstrip_protocol(store.path(name))))
    images = [b""] * len(file.hashes) if file.images is None else [row.tobytes() for row in file.images]
    stay = [n for n, key in enumerate(h.tobytes() for h in file.hashes) if key == _NOTHING or stays(key, images[n])]
    path = store.scratch(f"{name}.new")
    with FeaturesWriter(
        *(path, [file.hashes[n].tobytes() for n in stay], list(map(file.length, stay)), list(map(file.cut, stay))),
        images=None if file.images is None else [images[n] for n in stay],
        width=file.width,
        stored=file.stored,
        metadata={key: renamed.get(value, value) for key, value in file.metadata.items()},
    ) as writer:
        for number, found in enumerate(stay):
            writer.put(number, file.words(found))
    return path
