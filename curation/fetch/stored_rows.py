"""What is known of the rows of a shard that were downloaded before: in its table, and beside its images.

``images/<shard>.stored.parquet`` has a row of ``images`` for each, with their colours and thumbnails, and the digest of
the download in its metadata.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from curation.core.errors import StoreError
from curation.core.stage import Shard
from curation.core.store import Store, encoded
from curation.core.vouched import verify
from curation.fetch.process_row import BESIDE, MADE_BY, HashedRow
from curation.images.reading import ImageReader, open_images
from schemas.arrays import strings
from schemas.arrow import rows_of, schema_of, table_of
from schemas.records import Colours, ImageRow, Thumbnail

Rows = dict[str, HashedRow]
"""By sample."""
# Fields of ``HashedRow`` that stand in tables of their own beside ``images``.
_LOOKS: Mapping[str, type[Colours | Thumbnail]] = {"colours": Colours, "thumbnail": Thumbnail}
# The column that says of a file that its rows are those of other settings; there until the shard is finished.
_OTHERS = "of_other_settings"


def take_over(shard: Shard, digest: str) -> None:
    """Prepares a shard that other settings made to be done with those of this digest, and takes its table out.

    What is known of it is written beside the images before: a run that is killed behind this loses nothing of what the
    tar holds, and a row that goes from the source before the shard is finished is known to have been fetched.
    """
    store = shard.store
    entry = store.entry(ImageRow.table, shard.name)
    if entry is None and not store.exists(Store.stored_file(shard.name)):
        return  # nothing is known of it: its first download
    if entry is not None and entry.digest == digest:
        return
    if _made_by(store, Store.stored_file(shard.name), digest) is None:
        try:
            rows = stored(store, shard.name, None)[0] or tabled(store, shard.name, None)
        except (StoreError, pa.ArrowInvalid):
            rows = {}  # of a damaged table nothing is known
        if rows:
            note_others(shard, digest, list(rows.values()))
    if entry is not None:
        store.retire(ImageRow.table, shard.name)


def keep_sound(store: Store, shard: str) -> None:
    """Prepares a shard of which a file may be damaged to be fetched anew, before its table is taken out.

    What the source no longer holds stays where its image is the one that was stored; all else is to be fetched again.
    Where the table is damaged and nothing beside it tells what was fetched, rows that are gone are lost.
    """
    with open_images(store, shard) as images:
        rows = [_as_far_as_sound(row, images) for row in _trusted(store, shard).values()]
    if rows:
        note_others(Shard(shard, store, {}), "", rows)
    else:
        store.remove(Store.stored_file(shard))


def _trusted(store: Store, shard: str) -> Rows:
    """What is known of a shard, by a file that is as its entry vouches for; nothing where there is none such."""
    known, others = stored(store, shard, None)
    if others:
        return known  # a preparation that was not ended
    entry = store.entry(ImageRow.table, shard)
    name = Store.stored_file(shard) if known else store.table_file(ImageRow.table, shard)
    try:
        verify(store, name, entry.writes[name] if entry is not None else "")
        return known or tabled(store, shard, None)
    except (StoreError, pa.ArrowInvalid):
        return {}


def _as_far_as_sound(row: HashedRow, images: ImageReader) -> HashedRow:
    """The row, without the place of an image that is another one than was stored: that it was fetched stays known."""
    try:
        if row.offset is not None:
            images(row.offset, row.size or 0, row.sha256)
    except StoreError:
        return dataclasses.replace(row, offset=None, size=None)
    return row


def stored(store: Store, shard: str, digest: str | None) -> tuple[Rows, bool]:
    """The rows of the file beside the images, of this download or of any; and whether other settings made them."""
    table = _made_by(store, Store.stored_file(shard), digest)
    if table is None:
        return {}, False
    # A file of an earlier version has no thumbnails.
    looks = {name: table[name].to_pylist() for name in _LOOKS if name in table.column_names}
    return _hashed(table, looks), _OTHERS in table.column_names


def tabled(store: Store, shard: str, digest: str | None) -> Rows:
    """The rows of the shard's table, where this download made it, or any."""
    entry = store.entry(ImageRow.table, shard)
    if entry is None or digest not in (None, entry.digest):
        return {}
    table = store.read_table(ImageRow, shard)
    looks: dict[str, list[Any]] = {}
    for name, record in _LOOKS.items():
        # Thumbnails may have been added after the download, by a step of their own.
        if store.table_file(record.table, shard) in entry.writes or store.entry(record.table, shard) is not None:
            known = store.read_table(record, shard)
            values = dict(zip(strings(known["sample_id"]), known.column(1).to_pylist(), strict=True))
            looks[name] = [values.get(sample) for sample in strings(table["sample_id"])]
    return _hashed(table, looks)


def with_looks(store: Store, shard: str, digest: str | None, rows: Rows) -> Rows:
    """The same with what was kept beside them when they were fetched, for those of which that is known."""
    for field, file_of in BESIDE.items():
        table = _made_by(store, file_of(shard), digest) if rows else None
        if table is None:
            continue
        known = dict(zip(strings(table["sample_id"]), table[field].to_pylist(), strict=True))
        beside: dict[str, dict[str, Any]] = {sample: {field: known.get(sample)} for sample in rows}
        rows = {sample: dataclasses.replace(row, **beside[sample]) for sample, row in rows.items()}
    return rows


def publish(shard: Shard, digest: str, rows: Sequence[ImageRow]) -> None:
    """Publishes the file beside the images, and lets the manifest vouch for it."""
    data = _encoded(digest, _table(rows))
    path = shard.scratch(Store.stored_file(shard.name))
    try:
        path.write_bytes(data)
        shard.publish(Store.stored_file(shard.name), path, hashlib.sha256(data).hexdigest())
    finally:
        path.unlink(missing_ok=True)


def note_others(shard: Shard, digest: str, rows: Sequence[ImageRow]) -> None:
    """Writes the file for a shard that is not finished: rows of other settings, for which nothing vouches."""
    table = _table(rows).append_column(_OTHERS, pa.array([True] * len(rows), pa.bool_()))
    shard.store.write(Store.stored_file(shard.name), _encoded(digest, table))


def _table(rows: Sequence[ImageRow]) -> pa.Table:
    table = table_of(ImageRow, rows)
    for look in _LOOKS:
        values = [getattr(row, look, None) for row in rows]  # a plain row was given none
        table = table.append_column(look, pa.array(values, pa.binary()))
    return table


def _encoded(digest: str, table: pa.Table) -> bytes:
    return encoded(table.replace_schema_metadata({MADE_BY: digest.encode()}))


def _hashed(table: pa.Table, looks: Mapping[str, Sequence[Any]]) -> Rows:
    """``looks``: for each of some fields of ``HashedRow`` its values, a row each."""
    plain = rows_of(ImageRow, table.select(schema_of(ImageRow).names))
    fields = [f.name for f in dataclasses.fields(ImageRow)]
    return {
        row.sample_id: HashedRow(
            **{name: getattr(row, name) for name in fields} | {name: values[at] for name, values in looks.items()}
        )
        for at, row in enumerate(plain)
    }


def _made_by(store: Store, name: str, digest: str | None) -> pa.Table | None:
    """A Parquet file beside the images; None where there is none of the download with this digest, or of any."""
    if not store.exists(name):
        return None
    try:
        table = store.read_parquet(name)
    except (StoreError, pa.ArrowInvalid):
        return None
    made_by = (table.schema.metadata or {}).get(MADE_BY)
    return table if digest is None or made_by == digest.encode() else None
