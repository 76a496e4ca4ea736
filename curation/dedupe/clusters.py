"""Connected components of hashes, where near pairs are the edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.dedupe.search.kernels import Index, Words
from curation.dedupe.search.link_kernels import flatten, link
from curation.dedupe.search.rule import Rule
from curation.dedupe.search.scan import near_rows


def components(
    rows: Words,
    distance: int | Rule,
    *,
    new: NDArray[np.bool_] | None = None,
    known: tuple[Index, Index] | None = None,
    threads: int | None = None,
) -> Index:
    """For each of these distinct rows the lowest row that a chain of near pairs links it to.

    With ``new``, only pairs with a new row are searched; ``known`` then holds the links between the other rows, as
    pairs of rows. In dense neighbourhoods not all pairs are made, which bounds time and memory.
    """
    parent = np.arange(len(rows), dtype=np.uint32)
    every = np.arange(len(rows), dtype=np.uint32)
    if known is not None:
        pairs = (np.arange(len(known[0]), dtype=np.uint64) << np.uint64(32)) | np.arange(len(known[0]), dtype=np.uint64)
        link(parent, pairs, *known)
    if new is None or new.all():
        for keys in near_rows(rows, None, distance, spanning=True, threads=threads):
            link(parent, keys, every, every)
    else:
        young, old = every[new], every[~new]
        fresh = rows[new]
        for keys in near_rows(fresh, None, distance, spanning=True, threads=threads):
            link(parent, keys, young, young)
        for keys in near_rows(fresh, rows[~new], distance, spanning=True, threads=threads):
            link(parent, keys, young, old)
    flatten(parent)
    return parent


def lowest(label: Index | NDArray[np.int64], value: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each place the lowest ``value`` among all places with the same ``label``."""
    found = np.full(int(label.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(found, label, value)
    return found[label]
