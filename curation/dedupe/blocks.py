"""The images that a run decides on, in blocks: where not all of them fit into memory, two blocks do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.dedupe.gather import (
    IMAGES,
    Images,
    colours_of,
    crops_of,
    hashes_of,
    images_of,
    look_words_of,
    search_rows,
)
from curation.dedupe.search.distinct import Distinct
from curation.dedupe.search.rule import Rule
from curation.dedupe.thumbnail_file import ThumbnailFile
from schemas.arrays import whole


@dataclass
class Blocks:
    """Images in the columns of ``IMAGES``, by the order of shards and rows; a place is the number of an image.

    Blocks of at most ``rows`` images lie in temporary files that are mapped, so that the system may take their memory;
    with None all images are one block in memory. The images of a block are all new, or all decided before.
    ``completed`` gives the table of a block with further columns.
    """

    file: ThumbnailFile
    rows: int | None = None
    completed: Callable[[pa.Table], pa.Table] = lambda table: table
    tables: list[pa.Table] = field(default_factory=list, init=False)
    _shards: list[list[tuple[str, int]]] = field(default_factory=list, init=False)

    def add(self, parts: Iterable[tuple[str, pa.Table]]) -> None:
        """Adds the images of shards, as one block or several. Raises ``StoreError`` where the disk fails."""
        waiting: list[tuple[str, pa.Table]] = []
        size = 0
        for shard, part in parts:
            if self.rows is not None and waiting and size + part.num_rows > self.rows:
                self._close(waiting)
                waiting, size = [], 0
            waiting.append((shard, part))
            size += part.num_rows
        if waiting:
            self._close(waiting)

    def _close(self, parts: list[tuple[str, pa.Table]]) -> None:
        table = self.completed(pa.concat_tables([part for _, part in parts]).combine_chunks())
        self.tables.append(table if self.rows is None else self.file.mapped(table))
        self._shards.append([(shard, part.num_rows) for shard, part in parts])
        vars(self).pop("whole", None)
        vars(self).pop("starts", None)

    @cached_property
    def whole(self) -> pa.Table:
        """All images; their columns have a chunk for each block."""
        return pa.concat_tables(self.tables) if self.tables else IMAGES.empty_table()

    @cached_property
    def starts(self) -> list[int]:
        """The place of each block's first image, and the number of all images."""
        return [0, *np.cumsum([table.num_rows for table in self.tables], dtype=np.int64).tolist()]

    def __len__(self) -> int:
        return self.starts[-1]

    def shards_of(self, block: int) -> Iterator[tuple[str, int, int]]:
        """Name, first row of the block and number of images of each shard."""
        start = 0
        for shard, size in self._shards[block]:
            yield shard, start, size
            start += size

    def images(self, places: NDArray[np.int64]) -> Images:
        """The images at these places, which are sorted, in memory."""
        return images_of([("", taken(self.whole, places))], self.file)

    def distinct(self, block: int, rule: Rule) -> Distinct:
        """The rows of a block for a search that looks at no thumbnails."""
        table = self.tables[block]
        return Distinct.of(search_rows(hashes_of(table), crops_of(table), colours_of(table), rule))

    def is_new(self, block: int) -> bool:
        return self.tables[block].num_rows > 0 and bool(self.tables[block].column("new")[0].as_py())

    @property
    def look_words(self) -> int:
        """See ``Images.look_words``."""
        return max((look_words_of(table) for table in self.tables), default=0)


def taken(table: pa.Table, places: NDArray[np.int64]) -> pa.Table:
    """The rows at these places, in their order. Arrow's own ``take`` would join all batches of the table first."""
    order = np.argsort(places, kind="stable")
    batches = table.to_batches()
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    ends = np.searchsorted(places[order], starts)
    found = [
        batch.take(pa.array(places[order[low:high]] - start))
        for batch, start, low, high in zip(batches, starts, ends, ends[1:], strict=False)
        if low < high
    ]
    return pa.Table.from_batches(found, table.schema).take(np.argsort(order))


def telling(table: pa.Table, file: ThumbnailFile) -> pa.Table:
    """Drops removed images that repeat another one: equal hashes and looks in the same cluster."""
    keeper = table.column("keeper").to_numpy()
    names = whole(table.column("cluster")).dictionary_encode().indices.to_numpy()
    distinct = Distinct.of(np.concatenate([hashes_of(table), crops_of(table), colours_of(table)], axis=1))
    several = np.flatnonzero(np.diff(distinct.starts)[distinct.row] > 1)  # most images are alone with what they have
    keeper = keeper[several]
    key = (distinct.row[several].astype(np.int64) << 32) | names[several]
    _, group, sizes = np.unique(key, return_inverse=True, return_counts=True)
    again = np.flatnonzero(sizes[group] > 1)
    look = np.zeros(len(key), np.int64)
    look[again] = file.kinds(whole(table.column("thumbnail")).take(several[again]))
    order = np.lexsort((~keeper, look, group))
    first = np.flatnonzero(np.diff(group[order], prepend=-1) | np.diff(look[order], prepend=-1))
    stays = np.ones(table.num_rows, np.bool_)
    stays[several] = keeper
    stays[several[order[first]]] = True
    return table if stays.all() else table.filter(pa.array(stays)).combine_chunks()
