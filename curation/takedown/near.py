"""The images of a root that are near given ones, by the rule by which the root finds duplicates."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.core.errors import UsageError
from curation.core.store import Store
from curation.dedupe.decide import rule_for
from curation.dedupe.gather import COLOURS, IMAGES, THUMBNAIL, Images, images_of, parts_of
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.kernels import Words
from curation.dedupe.search.rule import Rule, with_looks
from curation.dedupe.search.scan import near_rows
from curation.dedupe.thumbnail_file import ThumbnailFile
from curation.images.windows import WINDOWS
from schemas.arrays import Values, strings
from schemas.recipe import Dedupe, Download
from schemas.records import ImageRow

_BLANK = bytes(32)
_ROWS = 10_000  # images that are in memory together, but for those of one shard that has more
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@dataclass(frozen=True)
class Near:
    """An image near another one; ``bits`` between their pHashes as they are, neither turned nor cut."""

    sample_id: str
    of: str
    bits: int


class NearImages:
    """Looks through the images of a root, some shards at a time: these and the given images are in memory."""

    def __init__(self, store: Store, recipe: Dedupe) -> None:
        self._store = store
        self._recipe = recipe
        self._file = ThumbnailFile(store)
        self._given: list[pa.Table] = []

    def give_samples(self, ids: Collection[str], shards: Collection[str]) -> None:
        """Adds images of the root, which these shards of it hold; no other is opened."""
        wanted = pa.array(sorted(ids), pa.large_string())
        for part in self._parts(frozenset(shards)):
            own = part.filter(pc.is_in(part.column("sample_id"), value_set=wanted))
            if own.num_rows:
                self._given.append(own)

    def give_file(self, name: str, download: Download) -> None:
        """Adds a picture of a file, prepared as the root prepares its images. Raises ``UsageError``."""
        from curation.images.pixels import PixelsRejected, prepare

        try:
            if Path(name).stat().st_size > download.max_bytes:
                raise UsageError(f"--like {name} is larger than download.max_bytes ({download.max_bytes})")
            found = prepare(Path(name).read_bytes(), download.model_copy(update={"min_side": 1, "max_aspect": 0.0}))
        except OSError as error:
            raise UsageError(f"cannot read --like {name}: {error}") from error
        except PixelsRejected as error:
            raise UsageError(f"--like {name} is no picture that can be read: {error.reason}") from error
        values: dict[str, Values] = {
            "sample_id": pa.array([name], pa.large_string()),
            "sha256": pa.array([found.sha256], pa.large_string()),
            "phash": pa.array([found.phash], pa.uint64()),
            "phash256": pa.array([found.phash256], pa.binary(32)),
            "colours": pa.array([found.colours], COLOURS),
            "thumbnail": self._file.add(pa.chunked_array([pa.array([found.thumbnail], THUMBNAIL)])),
        }
        self._given.append(_as_images(values, 1))

    def find(self) -> Iterator[Near]:
        """Every image that is near one of those that were given; these are among them."""
        if not self._given:
            return
        asked = self._images(self._given)
        names = strings(asked.ids)
        for part in self._parts():
            if not part.num_rows:
                continue
            own = self._images([part])
            rule = with_looks(rule_for(self._recipe), asked.look_words, own.look_words)
            one, many = Distinct.of(asked.rows(rule)), Distinct.of(own.rows(rule))
            of = _near_any(one.rows, many.rows, rule)[many.row]
            ids = strings(own.ids)
            for place in np.flatnonzero(of >= 0).tolist():
                number = int(one.first[of[place]])
                bits = int(np.bitwise_count(asked.hashes[number, 0] ^ own.hashes[place, 0]))
                yield Near(ids[place], names[number], bits)

    def _images(self, parts: Sequence[pa.Table]) -> Images:
        found = images_of([("", part) for part in parts], self._file)
        if self._recipe.crops and not found.crops.shape[1]:
            return replace(found, crops=np.tile(found.hashes, (1, len(WINDOWS))))
        return found

    def _parts(self, only: Collection[str] | None = None) -> Iterator[pa.Table]:
        """The images of all shards or of these, some at a time, also those that are stored and not wanted today."""
        there = self._store.entries(ImageRow.table)
        chosen = there if only is None else there.only([shard for shard in there if shard in only])
        # Small shards go together: what a look at some images costs at all is much for ten, and little for thousands.
        for group in chosen.groups(_ROWS):
            parts = parts_of(self._store, group, self._file, crops=self._recipe.crops)
            yield pa.concat_tables([table for shard, part in parts for table in (part, *self._stored(shard, part))])

    def _stored(self, shard: str, known: pa.Table) -> Iterator[pa.Table]:
        name = Store.stored_file(shard)
        if not self._store.exists(name):
            return
        table = self._store.read_parquet(name).filter(~pc.field("phash").is_null())
        there = set(strings(known.column("sample_id")))
        table = table.filter(
            pa.array([sample not in there for sample in strings(table.column("sample_id"))], pa.bool_())
        )
        if not table.num_rows:
            return
        values: dict[str, Values] = {
            "sample_id": table.column("sample_id").cast(pa.large_string()),
            "sha256": table.column("sha256").cast(pa.large_string()),
            "phash": table.column("phash"),
            "phash256": table.column("phash256").fill_null(pa.scalar(_BLANK, pa.binary(32))),
            "colours": table.column("colours").cast(COLOURS),
            "thumbnail": self._file.add(table.column("thumbnail").cast(THUMBNAIL)),
        }
        yield _as_images(values, table.num_rows)


def _near_any(given: Words, rows: Words, rule: Rule) -> NDArray[np.int64]:
    """For each of these rows one of the given ones that is near it, in either direction; -1 where there is none."""
    found = np.full(len(rows), -1, np.int64)
    # Every near row is in one of the spanning pairs.
    for keys in near_rows(given, rows, rule, spanning=True):
        found[(keys & _LOW).astype(np.int64)] = (keys >> _HALF).astype(np.int64)
    for keys in near_rows(rows, given, rule, spanning=True) if rule.turns > 1 else ():
        found[(keys >> _HALF).astype(np.int64)] = (keys & _LOW).astype(np.int64)
    return found


def _as_images(values: dict[str, Values], rows: int) -> pa.Table:
    """A table with the columns of ``IMAGES``; what is not known is null, or false."""
    columns: list[Values] = []
    for column in IMAGES:
        nothing: Values = pa.nulls(rows, column.type)
        if pa.types.is_boolean(column.type):
            nothing = pa.array(np.zeros(rows, np.bool_))
        columns.append(values.get(column.name, nothing))
    return pa.Table.from_arrays(columns, schema=IMAGES)
