"""Rows of a shard that were downloaded before: what has been stored is not fetched again.

A shard is redone when its rows have changed: a filter lets other rows through, or the source says something else of a
row. ``images/<shard>.tar`` then only grows: new images go behind the others, so that no offset changes that a release
knows. ``images/<shard>.stored.parquet`` says what is known of every row that was ever downloaded with these settings,
wanted today or not. It is published after the tar and before the table ``images`` changes, so that a killed run loses
nothing of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.core.errors import StoreError
from curation.core.stage import Shard
from curation.core.store import Store, encoded
from curation.core.tar import TarWriter, end_of_member
from curation.fetch.local_row import read_row
from curation.fetch.process_row import BESIDE, MADE_BY, HashedRow, not_fetched
from curation.fetch.rejected import FetchRejected
from curation.images.reading import open_images
from schemas.arrays import strings
from schemas.arrow import rows_of, schema_of, table_of
from schemas.reasons import Reason
from schemas.records import Colours, GoneRow, ImageRow, SameUrl, SourceRow, Thumbnail

_CHUNK = 1 << 22
# Fields of ``HashedRow`` that stand in tables of their own beside ``images``.
_LOOKS: Mapping[str, type[Colours | Thumbnail]] = {"colours": Colours, "thumbnail": Thumbnail}
# A local file that could not be read may have come back; looking costs no request.
_LOOK_AGAIN = frozenset({Reason.FILE_MISSING, Reason.TRUNCATED})


@dataclasses.dataclass(frozen=True)
class Earlier:
    """What a shard's tar holds, by sample; ``gone`` are the samples of rows that the source no longer holds."""

    shard: Shard
    digest: str
    rows: dict[str, HashedRow]
    gone: frozenset[str]

    @classmethod
    def of(cls, shard: Shard, digest: str) -> Earlier:
        """What was downloaded with the settings of this digest; nothing where the tar does not hold it."""
        store = shard.store
        gone: frozenset[str] = frozenset()
        if store.entry(GoneRow.table, shard.name) is not None:
            gone = frozenset(strings(store.read_table(GoneRow, shard.name, ["sample_id"])["sample_id"]))
        rows = _stored(store, shard.name, digest) or _images(store, shard.name, digest)
        found = cls(shard, digest, _with_looks(store, shard.name, digest, rows), gone)
        whole = not found.rows or _size(store, Store.images_file(shard.name)) >= found.end
        return found if whole else dataclasses.replace(found, rows={})

    @property
    def end(self) -> int:
        """Where the last image in the tar ends, with its padding."""
        return max(
            (end_of_member(r.offset, r.size or 0) for r in self.rows.values() if r.offset is not None), default=0
        )

    def split(self, rows: Sequence[SourceRow], max_bytes: int) -> tuple[dict[str, ImageRow], list[SourceRow]]:
        """What is known of these rows, by sample, and the rows that have to be downloaded."""
        known: dict[str, ImageRow] = {}
        fresh: list[SourceRow] = []
        for row in rows:
            earlier = self.rows.get(row.sample_id)
            if earlier is not None and (row.sample_id in self.gone or _still_holds(row, earlier, max_bytes)):
                known[row.sample_id] = earlier
            elif row.local_file is not None and row.sample_id in self.gone:
                # The bytes that now stand in its place belong to another row.
                missing = FetchRejected(Reason.FILE_MISSING, "its source no longer holds it")
                known[row.sample_id] = not_fetched(row, missing).row
            else:
                fresh.append(row)
        return known, fresh

    def begin(self, tar: Path, fresh: Sequence[SourceRow], extension: str) -> tuple[int, dict[str, HashedRow]]:
        """Copies the stored images to ``tar``, and behind them those that other shards have of the urls of new rows.

        Returns where further images begin, and the new rows that have got theirs, by sample.
        """
        end = self.end
        if end:
            _copy(self.shard.store, Store.images_file(self.shard.name), tar, end)
        known: dict[str, HashedRow] = {}
        with TarWriter(tar, at=end) as writer:
            for row, image, data in self._elsewhere(fresh):
                offset = writer.add(f"{row.sample_id}.{extension}", data)
                known[row.sample_id] = dataclasses.replace(image, sample_id=row.sample_id, offset=offset)
                end = end_of_member(offset, len(data))
        return end, known

    def _elsewhere(self, fresh: Sequence[SourceRow]) -> Iterator[tuple[SourceRow, HashedRow, bytes]]:
        """Rows whose url another row of their file has, with that one's image, where it is stored."""
        store = self.shard.store
        if store.entry(SameUrl.table, self.shard.name) is None:
            return
        places = {p.sample_id: p for p in rows_of(SameUrl, store.read_table(SameUrl, self.shard.name))}
        others: dict[str, Earlier] = {}
        for row in fresh:
            place = places.get(row.sample_id)
            if place is None or row.local_file is not None:
                continue  # a local image is read where it lies
            if place.of_shard not in others:
                others[place.of_shard] = Earlier.of(Shard(place.of_shard, store), self.digest)
            image = others[place.of_shard].rows.get(place.of_sample_id)
            if image is None or image.offset is None:
                continue
            with open_images(store, place.of_shard) as images:
                data = images(image.offset, image.size or 0)
            if hashlib.sha256(data).hexdigest() == image.sha256:
                yield row, image, data

    def publish(self, images: Sequence[ImageRow]) -> None:
        """Publishes what is known of all rows: of these, and of those that are not wanted today."""
        name = Store.stored_file(self.shard.name)
        wanted = {row.sample_id for row in images}
        others = sorted((r for r in self.rows.values() if r.sample_id not in wanted), key=lambda row: row.sample_id)
        rows = [*images, *others]
        table = table_of(ImageRow, rows)
        for look in _LOOKS:
            values = [getattr(row, look, None) for row in rows]  # a plain row was given none
            table = table.append_column(look, pa.array(values, pa.binary()))
        data = encoded(table.replace_schema_metadata({MADE_BY: self.digest.encode()}))
        path = self.shard.scratch(name)
        try:
            path.write_bytes(data)
            self.shard.publish(name, path, hashlib.sha256(data).hexdigest())
        finally:
            path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Removes what is known of a tar that is about to be replaced."""
        self.shard.store.remove(Store.stored_file(self.shard.name))


def _still_holds(row: SourceRow, earlier: HashedRow, max_bytes: int) -> bool:
    """Whether the row's image is the one that was stored. A url's is; that of a file, if its bytes are the same."""
    if row.local_file is None:
        return True
    if earlier.reason in _LOOK_AGAIN:
        return False
    if row.url is None:
        return True  # its id comes from its bytes
    try:
        return hashlib.sha256(read_row(row, max_bytes).data).hexdigest() == earlier.original_sha256
    except FetchRejected:
        return earlier.reason is None


def _stored(store: Store, shard: str, digest: str) -> dict[str, HashedRow]:
    table = _made_by(store, Store.stored_file(shard), digest)
    if table is None:
        return {}
    # A file of an earlier version has no thumbnails.
    return _hashed(table, {name: table[name].to_pylist() for name in _LOOKS if name in table.column_names})


def _images(store: Store, shard: str, digest: str) -> dict[str, HashedRow]:
    entry = store.entry(ImageRow.table, shard)
    if entry is None or entry.digest != digest:
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


def _hashed(table: pa.Table, looks: Mapping[str, Sequence[Any]]) -> dict[str, HashedRow]:
    """``looks``: for each of some fields of ``HashedRow`` its values, a row each."""
    plain = rows_of(ImageRow, table.select(schema_of(ImageRow).names))
    fields = [f.name for f in dataclasses.fields(ImageRow)]
    return {
        row.sample_id: HashedRow(
            **{name: getattr(row, name) for name in fields} | {name: values[at] for name, values in looks.items()}
        )
        for at, row in enumerate(plain)
    }


def _with_looks(store: Store, shard: str, digest: str, rows: dict[str, HashedRow]) -> dict[str, HashedRow]:
    """The same with what was kept beside them when they were fetched, for those of which that is known."""
    for field, file_of in BESIDE.items():
        table = _made_by(store, file_of(shard), digest) if rows else None
        if table is None:
            continue
        known = dict(zip(strings(table["sample_id"]), table[field].to_pylist(), strict=True))
        beside: dict[str, dict[str, Any]] = {sample: {field: known.get(sample)} for sample in rows}
        rows = {sample: dataclasses.replace(row, **beside[sample]) for sample, row in rows.items()}
    return rows


def _made_by(store: Store, name: str, digest: str) -> pa.Table | None:
    """A Parquet file beside the images; None where there is none of the download with this digest."""
    if not store.exists(name):
        return None
    try:
        table = store.read_parquet(name)
    except (StoreError, pa.ArrowInvalid):
        return None
    return table if (table.schema.metadata or {}).get(MADE_BY) == digest.encode() else None


def _size(store: Store, name: str) -> int:
    """The size of a file; -1 where it is not there."""
    try:
        return int(store.filesystem.size(store.path(name)))
    except FileNotFoundError:
        return -1


def _copy(store: Store, name: str, target: Path, end: int) -> None:
    """Copies the first ``end`` bytes of a file, which has as many, to a local path. Raises ``StoreError``."""
    try:
        with store.filesystem.open(store.path(name), "rb") as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy, _CHUNK)
            copy.truncate(end)
    except OSError as error:
        raise StoreError(f"cannot copy {store.path(name)} to {target}: {error}; free space") from error
