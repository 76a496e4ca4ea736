"""Rows of a shard that were downloaded before: what has been stored is not fetched again.

A shard is redone when its rows have changed: a filter lets other rows through, or the source says something else of a
row. ``images/<shard>.tar`` then only grows: new images go behind the others, so that no offset changes that a release
knows. ``images/<shard>.stored.parquet`` says what is known of every row that was ever downloaded with these settings,
wanted today or not. It is published after the tar and before the table ``images`` changes, so that a killed run loses
nothing of it.

A shard is also redone when the settings have changed. Its rows are fetched anew then, but for those that the source no
longer holds: what was fetched of them stays as it is, and where it is. The tar then holds their images and zeros
between them, until new images come behind. ``stored_rows.take_over`` says what is known of it in the meantime.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from curation.core.errors import StoreError
from curation.core.stage import Shard
from curation.core.store import Store
from curation.core.tar import TarWriter, begin_of_member, blank_between, end_of_member
from curation.fetch.local_row import read_row
from curation.fetch.process_row import HashedRow, not_fetched, taken_down
from curation.fetch.rejected import FetchRejected, opted_out
from curation.fetch.stored_rows import note_others, publish, stored, tabled, with_looks
from curation.images.reading import ImageReader, open_images
from curation.signals.embedded import image_signs
from curation.signals.policy import Policy
from curation.signals.sign import unpacked
from curation.sources.tombstones import Tombstones
from schemas.arrays import strings
from schemas.arrow import rows_of
from schemas.reasons import Reason
from schemas.records import GoneRow, ImageRow, SameUrl, SourceRow

_CHUNK = 1 << 22
# A local file that could not be read may have come back; looking costs no request.
_LOOK_AGAIN = frozenset({Reason.FILE_MISSING, Reason.TRUNCATED})


@dataclasses.dataclass(frozen=True)
class Earlier:
    """What a shard's tar holds, by sample; ``gone`` are the samples of rows that the source no longer holds.

    ``anew``: the shard is done with other settings than those that made it, and these are its rows that are gone;
    ``replaced`` are the others, whose images go.
    """

    shard: Shard
    digest: str
    rows: dict[str, HashedRow]
    gone: frozenset[str]
    anew: bool = False
    replaced: tuple[HashedRow, ...] = ()

    @classmethod
    def of(cls, shard: Shard, digest: str) -> Earlier:
        """What was downloaded with the settings of this digest; nothing where the tar does not hold it."""
        store = shard.store
        gone: frozenset[str] = frozenset()
        if store.entry(GoneRow.table, shard.name) is not None:
            gone = frozenset(strings(store.read_table(GoneRow, shard.name, ["sample_id"])["sample_id"]))
        rows, anew = stored(store, shard.name, digest)
        replaced: tuple[HashedRow, ...] = ()
        if anew:
            stays = {s for s, row in rows.items() if s in gone and (row.reason is not None or row.offset is not None)}
            replaced = tuple(row for s, row in rows.items() if s not in stays)
            rows = {s: row for s, row in rows.items() if s in stays}
        else:
            rows = rows or tabled(store, shard.name, digest)
        rows = with_looks(store, shard.name, None if anew else digest, rows)
        found = cls(shard, digest, rows, gone, anew, replaced)
        whole = not found.rows or _size(store, Store.images_file(shard.name)) >= found.end
        return found if whole else dataclasses.replace(found, rows={})

    @property
    def end(self) -> int:
        """Where the last image in the tar ends, with its padding."""
        return max(
            (end_of_member(r.offset, r.size or 0) for r in self.rows.values() if r.offset is not None), default=0
        )

    def judged(self, planned: pa.Table, buried: Tombstones, policy: Policy) -> Earlier:
        """Of a shard that is done anew: without rows and images that were taken down, or that today's signals forbid.

        ``planned`` is the shard of ``rows``.
        """
        if not self.anew:
            return self
        taken = planned.filter(pc.is_in(planned["reason"], value_set=pa.array([Reason.TAKEN_DOWN.value])))
        out = {*strings(taken["sample_id"]), *buried.among(planned)}
        rows = {sample: row for sample, row in self.rows.items() if sample not in out}
        with open_images(self.shard.store, self.shard.name) as images:
            rows = {sample: _judged(row, buried, policy, images) for sample, row in rows.items()}
        replaced = tuple(row for row in self.replaced if row.sample_id not in out)
        return dataclasses.replace(self, rows=rows, replaced=replaced)

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
            if self.anew:
                self._blank_others(tar)
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
        """Publishes what is known of all rows: of these, and of those that are not wanted today.

        Nothing where the table will say as much.
        """
        if not self.rows:
            self.shard.store.remove(Store.stored_file(self.shard.name))
            return
        wanted = {row.sample_id for row in images}
        others = sorted((r for r in self.rows.values() if r.sample_id not in wanted), key=lambda row: row.sample_id)
        publish(self.shard, self.digest, [*images, *others])

    def forget_others(self) -> None:
        """Before the tar is replaced: forgets where images stand that it will not hold any more.

        That they were fetched stays known until the shard is finished.
        """
        if self.anew:
            replaced = [dataclasses.replace(row, offset=None, size=None) for row in self.replaced]
            note_others(self.shard, self.digest, [*self.rows.values(), *replaced])
        elif not self.rows:
            self.shard.store.remove(Store.stored_file(self.shard.name))

    def _blank_others(self, tar: Path) -> None:
        """Overwrites the images that no row has any more, which a takedown would not find."""
        at = 0
        with tar.open("r+b") as file:
            for offset, size in sorted((r.offset, r.size or 0) for r in self.rows.values() if r.offset is not None):
                blank_between(file, at, begin_of_member(offset))
                at = end_of_member(offset, size)


def _judged(row: HashedRow, buried: Tombstones, policy: Policy, images: ImageReader) -> HashedRow:
    """The row as it is, or rejected without its image."""
    if row.reason is not None or row.offset is None:
        return row
    if row.original_sha256 in buried.by_bytes or row.sha256 in buried.by_bytes:
        return cast(HashedRow, taken_down(row).row)
    signs = unpacked(row.signs) if row.signs is not None else ()
    if policy.image and row.unchanged:  # the very bytes that were fetched, with all that they say
        signs = (*signs, *image_signs(images(row.offset, row.size or 0)))
    if (sign := policy.against(signs)) is None:
        return row
    rejected = opted_out(sign, status=row.http_status, signs=tuple(dict.fromkeys(signs)))
    rejected.final_url = row.final_url
    return cast(HashedRow, not_fetched(row, rejected).row)


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
