"""Reads the columns that dedupe needs of every image from a root's tables, shard by shard."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.core.errors import StoreError
from curation.core.store import Store
from curation.dedupe.search.colours import COLOUR_WORDS, LOOK_WORDS
from curation.dedupe.search.distinct import words_of
from curation.dedupe.search.kernels import Words
from curation.dedupe.search.rule import Rule
from curation.dedupe.search.symmetry import views_of
from curation.dedupe.thumbnail_file import THUMBNAIL_BYTES, ThumbnailFile
from schemas.arrays import Array, Chunked, Values, whole
from schemas.arrow import Record
from schemas.reasons import Reason
from schemas.records import Colours, CropHash, Duplicate, ImageRow, SourceRow, Thumbnail

_IMAGE = ["sample_id", "reason", "sha256", "phash", "phash256", "width", "height"]
_NO_LOOK = bytes(32)
_WORDS = 5
RULED_OUT = [Reason.NEAR_EVALUATION_ITEM.value, Reason.SHARED_TEXT.value]
"""Reasons that do not depend on other images of the root."""


@dataclass(frozen=True)
class Images:
    """All images that have pixels, in the order of shards and rows.

    ``shards`` are (name, first index, number of images). ``sha`` numbers the distinct sha256. ``hashes`` are five
    words each: the pHash, then the 256-bit hash (zeros if missing). ``crops`` are the hashes of windows of the image,
    side by side; no columns if the root has none. ``colours`` are those of blocks (``curation.images.chroma``), zeros
    if missing. ``thumbnails`` are numbers in the file, null if missing. ``new`` marks images without a decision; for
    the others ``keeper`` and ``cluster`` hold the earlier decision. ``first`` comes before all that is otherwise
    preferred in an image, the lowest number first; None if all are equal.
    """

    shards: list[tuple[str, int, int]]
    ids: Array
    sha: NDArray[np.int32]
    hashes: Words
    crops: Words
    colours: Words
    thumbnails: Array
    file: ThumbnailFile
    pixels: Array
    aesthetic: Array
    new: NDArray[np.bool_]
    keeper: NDArray[np.bool_]
    cluster: Array
    first: NDArray[np.int64] | None = None

    @property
    def look_words(self) -> int:
        """How many words of looks a search has to compare: none, colours, or colours and thumbnails."""
        return _look_words(self.thumbnails, self.colours)

    def rows(self, rule: Rule, places: NDArray[np.int64] | slice = slice(None)) -> Words:
        """Rows of these images for the search: the hashes of all their views, and the looks that the rule compares."""
        rows = search_rows(self.hashes[places], self.crops[places], self.colours[places], rule)
        if rule.colours <= COLOUR_WORDS:
            return rows
        numbers = self.thumbnails[places] if isinstance(places, slice) else self.thumbnails.take(places)
        return np.concatenate([rows, self.file.words(numbers)], axis=1)

    def rank(self) -> NDArray[np.int64]:
        """Each image's priority, 0 the highest: one with colour, more pixels, higher aesthetic score, lower id.

        A grey picture comes last, since it may be a copy of several pictures that differ in colour alone.
        """
        first = pa.array(np.zeros(len(self.ids), np.int64) if self.first is None else self.first)
        shares = self.colours[:, COLOUR_WORDS - 1]
        grey = pa.array((shares != 0) & (shares >> np.uint64(8) == 0))
        table = pa.table(
            {"first": first, "grey": grey, "pixels": self.pixels, "aesthetic": self.aesthetic, "id": self.ids}
        )
        keys: list[tuple[str, Literal["ascending", "descending"]]] = [
            ("first", "ascending"),
            ("grey", "ascending"),
            ("pixels", "descending"),
            ("aesthetic", "descending"),
            ("id", "ascending"),
        ]
        order = pc.sort_indices(table, sort_keys=keys).to_numpy()
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return rank


def parts_of(
    store: Store,
    shards: Sequence[str],
    file: ThumbnailFile,
    old: Collection[str] = (),
    *,
    crops: bool = False,
) -> Iterator[tuple[str, pa.Table]]:
    """The images of each shard, by shard name, and for ``old`` shards the decisions on them.

    Thumbnails go into the file. ``crops`` reads the hashes of windows too. Raises ``StoreError`` if a table cannot be
    read, or if the old decisions belong to other images.
    """
    sourced = set(store.entries(SourceRow.table))
    for shard in shards:
        part = _images(store, shard, file, shard in sourced, crops)
        yield shard, _with_decisions(store, shard, part, shard in old)


def decided_parts(store: Store, parts: Sequence[tuple[str, pa.Table]]) -> Iterator[tuple[str, pa.Table]]:
    """Adds the decisions made since to parts that were read when their shards were new."""
    for shard, part in parts:
        yield shard, _with_decisions(store, shard, part.drop_columns(["new", "keeper", "cluster"]), True)


def gathered(store: Store, shards: Sequence[str]) -> Images:
    """The images of these shards, none of them decided. Raises ``StoreError`` if a table cannot be read."""
    file = ThumbnailFile(store)
    return images_of(list(parts_of(store, shards, file)), file)


def images_of(parts: Sequence[tuple[str, pa.Table]], file: ThumbnailFile) -> Images:
    """Joins parts of one store or of several, whose thumbnails lie in the file."""
    spans: list[tuple[str, int, int]] = []
    start = 0
    for name, part in parts:
        spans.append((name, start, part.num_rows))
        start += part.num_rows
    table = pa.concat_tables([t for _, t in parts]).combine_chunks() if parts else IMAGES.empty_table()
    columns = {name: whole(table.column(name)) for name in table.column_names}
    return Images(
        shards=spans,
        ids=columns["sample_id"],
        sha=columns["sha256"].dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int32),
        hashes=hashes_of(table),
        crops=crops_of(table),
        colours=colours_of(table),
        thumbnails=columns["thumbnail"],
        file=file,
        pixels=columns["pixels"],
        aesthetic=columns["aesthetic"],
        new=columns["new"].to_numpy(zero_copy_only=False),
        keeper=columns["keeper"].to_numpy(zero_copy_only=False),
        cluster=columns["cluster"],
        first=columns["first"].to_numpy() if "first" in columns else None,
    )


def look_words_of(table: pa.Table) -> int:
    """See ``Images.look_words``."""
    return _look_words(table.column("thumbnail"), colours_of(table))


def _look_words(thumbnails: Values, colours: Words) -> int:
    if thumbnails.null_count < len(thumbnails):
        return LOOK_WORDS
    return COLOUR_WORDS if colours.any() else 0


def hashes_of(table: pa.Table) -> Words:
    """Five words for each image of a table with the columns of ``IMAGES``."""
    return np.column_stack([table.column("phash").to_numpy(), words_of(table.column("phash256"))])


def crops_of(table: pa.Table) -> Words:
    """Five words for each window of each image; an image without windows repeats its own hashes."""
    parts = [part for part in table.column("crops").to_pylist() if part is not None]
    size = len(parts[0]) if parts else 0
    if size == 0:
        return np.empty((table.num_rows, 0), np.uint64)
    own = hashes_of(table)
    found = np.tile(own, size // (8 * _WORDS))
    there = table.column("crops").is_valid().to_numpy()
    words = np.frombuffer(b"".join(parts), np.uint64).reshape(len(parts), -1).copy()
    words[:, ::_WORDS] = words[:, ::_WORDS].byteswap() if sys.byteorder == "little" else words[:, ::_WORDS]
    found[there] = words
    return found


def colours_of(table: pa.Table) -> Words:
    """The colours of each image; zeros for what is missing."""
    column = whole(table.column("colours"))
    if column.null_count:
        column = pc.fill_null(column, pa.scalar(bytes(COLOURS.byte_width), column.type))
    return words_of(column)


def search_rows(hashes: Words, crops: Words, looks: Words, rule: Rule) -> Words:
    """Rows for the search by a rule; see ``Images.rows``."""
    views = views_of(hashes, crops, rule.turns)
    return np.concatenate([views, looks], axis=1) if rule.colours else views


def identities(store: Store, shard: str) -> Array:
    """The sample_ids of a shard's images that have pixels, in row order."""
    table = store.read_table(ImageRow, shard, ["sample_id", "reason"])
    return whole(table.filter(pc.field("reason").is_null()).column("sample_id"))


def _images(store: Store, shard: str, file: ThumbnailFile, sourced: bool, crops: bool) -> pa.Table:
    table = store.read_table(ImageRow, shard, _IMAGE)
    table = table.filter(pc.field("reason").is_null())
    if table.column("phash").null_count:
        where, redo = store.table_file(ImageRow.table, shard), store.how_to_redo(ImageRow.table, shard)
        raise StoreError(f"{store.path(where)} has images without a pHash; {redo} and run again to redo it")
    pixels = pc.multiply(table.column("width").cast(pa.int64()), table.column("height").cast(pa.int64()))
    return pa.Table.from_pydict(
        {
            # 32-bit offsets overflow at 67 million images of 32 hex digits.
            "sample_id": table.column("sample_id").cast(pa.large_string()),
            # An image without a sha256 is an exact duplicate of none.
            "sha256": pc.coalesce(table.column("sha256"), table.column("sample_id")).cast(pa.large_string()),
            "phash": table.column("phash"),
            "phash256": table.column("phash256").fill_null(pa.scalar(_NO_LOOK, pa.binary(32))),
            "pixels": pixels,
            "aesthetic": _aesthetic(store, shard, table.column("sample_id"), sourced),
            "crops": _crops(store, shard, table.column("sample_id"))
            if crops
            else pa.chunked_array([pa.nulls(table.num_rows, pa.large_binary())]),
            "colours": _beside(store, Colours, shard, table.column("sample_id"), COLOURS),
            "thumbnail": file.add(_beside(store, Thumbnail, shard, table.column("sample_id"), THUMBNAIL)),
        }
    )


def _crops(store: Store, shard: str, ids: Chunked) -> Chunked:
    told = store.read_table(CropHash, shard, ["sample_id", "windows"])
    found = pc.index_in(ids, value_set=whole(told.column("sample_id")))
    return told.column("windows").take(found).cast(pa.large_binary())


def _beside(store: Store, record: type[Record], shard: str, ids: Chunked, kind: pa.FixedSizeBinaryType) -> Chunked:
    """What a table of ids and bytes knows of these images; null where the shard is older than the table."""
    if not store.exists(store.table_file(record.table, shard)):
        return pa.chunked_array([pa.nulls(len(ids), kind)])
    known = store.read_table(record, shard)
    values: Chunked = known.column(1).cast(kind)
    if known.column("sample_id") == ids:
        return values
    return values.take(pc.index_in(ids, value_set=whole(known.column("sample_id"))))


def _aesthetic(store: Store, shard: str, ids: Chunked, sourced: bool) -> Chunked:
    """The aesthetic score of each sample; of repeated rows, that of the first one the plan accepted."""
    if not sourced:
        return pa.chunked_array([pa.nulls(len(ids), pa.float64())])
    rows = store.read_table(SourceRow, shard, ["sample_id", "reason", "aesthetic"])
    rows = rows.filter(pc.field("reason").is_null())
    found = pc.index_in(ids, value_set=whole(rows.column("sample_id")))
    score = rows.column("aesthetic").take(found)
    known: Chunked = pc.if_else(pc.is_nan(score), pa.scalar(None, pa.float64()), score)
    return known


def _with_decisions(store: Store, shard: str, images: pa.Table, old: bool) -> pa.Table:
    n = images.num_rows
    keeper: Values = pa.array(np.zeros(n, np.bool_))
    cluster: Values = pa.nulls(n, pa.large_string())
    if old:
        decisions = store.read_table(Duplicate, shard, ["sample_id", "reason", "cluster_id"])
        if decisions.column("sample_id").cast(pa.large_string()) != images.column("sample_id"):
            raise StoreError(
                f"{store.path(store.table_file(Duplicate.table, shard))} decides on other images than those of "
                f"{store.table_file(ImageRow.table, shard)}; delete manifest/{Duplicate.table} and run again"
            )
        compared = pc.invert(pc.is_in(decisions.column("reason"), value_set=pa.array(RULED_OUT)))
        images, decisions = images.filter(compared), decisions.filter(compared)
        n = decisions.num_rows
        keeper = decisions.column("reason").is_null()
        cluster = decisions.column("cluster_id").cast(pa.large_string())
    new = pa.array(np.full(n, not old))
    return images.append_column("new", new).append_column("keeper", keeper).append_column("cluster", cluster)


COLOURS, THUMBNAIL = pa.binary(8 * COLOUR_WORDS), pa.binary(THUMBNAIL_BYTES)
_COLUMNS: dict[str, pa.DataType] = {
    "sample_id": pa.large_string(),
    "sha256": pa.large_string(),
    "phash": pa.uint64(),
    "phash256": pa.binary(32),
    "pixels": pa.int64(),
    "aesthetic": pa.float64(),
    "crops": pa.large_binary(),
    "colours": COLOURS,
    "thumbnail": pa.int64(),
    "new": pa.bool_(),
    "keeper": pa.bool_(),
    "cluster": pa.large_string(),
}
IMAGES = pa.schema(_COLUMNS)
"""The columns of gathered images; thumbnails are numbers in a ``ThumbnailFile``."""
