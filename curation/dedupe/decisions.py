"""What is decided on the images of a run: some bytes an image, and the columns of ``Duplicate`` that follow from it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.dedupe.blocks import Blocks, taken
from curation.dedupe.gather import Images, hashes_of
from curation.dedupe.keep import Kept
from schemas.arrays import Array, whole
from schemas.reasons import Reason

_ALONE = -2  # not compared with anything


class Decisions:
    """The decision on each image of some blocks; at first each is alone and its own keeper."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        n = len(blocks)
        self._keeper = np.arange(n, dtype=np.uint32)
        self._named = np.arange(n, dtype=np.uint32)  # the place of the image whose name the cluster has
        self._distance = np.zeros(n, np.uint8)
        self._second = np.full(n, _ALONE, np.int16)
        self._exact = np.zeros(n, np.bool_)

    def put(self, places: NDArray[np.int64], images: Images, kept: Kept, named: NDArray[np.int64]) -> None:
        """Notes the decisions on the images at these places; keepers and names are indices of ``places``."""
        self._keeper[places], self._named[places] = places[kept.keeper], places[named]
        self._distance[places], self._second[places] = kept.distance, kept.second
        self._exact[places] = images.sha == images.sha[kept.keeper]

    def table(self, block: int) -> pa.Table:
        """The columns of ``Duplicate`` for the images of a block, and ``keeper``, the place of each keeper."""
        start, stop = self._blocks.starts[block : block + 2]
        own, images = slice(start, stop), self._blocks.tables[block]
        keeper, second = self._keeper[own], self._second[own].astype(np.int32)
        alone = second == _ALONE
        second[alone] = np.where(hashes_of(images)[alone, 1:].any(axis=1), 0, -1)
        reasons = np.where(self._exact[own], Reason.EXACT_DUPLICATE.value, Reason.NEAR_DUPLICATE.value)
        return pa.table(
            {
                "sample_id": whole(images.column("sample_id")),
                "reason": pa.array(reasons, pa.string(), mask=keeper == np.arange(start, stop)),
                "keeper_id": self._names(block, keeper, ["sample_id"]),
                "distance": pa.array(self._distance[own].astype(np.int32)),
                "cluster_id": self._names(block, self._named[own], ["sample_id", "new", "cluster"]),
                "second_distance": pa.array(second, mask=second < 0),
                "keeper": pa.array(keeper.astype(np.int64)),
            }
        )

    def _names(self, block: int, of: NDArray[np.uint32], columns: list[str]) -> Array:
        """The names (``_names_of``) of the images at these places, most of which are those of the block itself."""
        start = self._blocks.starts[block]
        places = np.arange(len(of))
        others = np.flatnonzero(of != places + start)
        found = taken(self._blocks.whole.select(columns), of[others].astype(np.int64))
        places[others] = len(of) + np.arange(len(others))
        own = _names_of(self._blocks.tables[block].select(columns))
        return pa.concat_arrays([own, _names_of(found)]).take(places)


def _names_of(images: pa.Table) -> Array:
    """The name that the cluster of each image has if the image names it: its own, or that of its earlier cluster."""
    ids = whole(images.column("sample_id"))
    if "cluster" not in images.column_names:
        return ids
    names: Array = pc.if_else(whole(images.column("new")), ids, whole(images.column("cluster")))
    return names
