"""Compiles the loops of pixels and of the search for this machine: ``python -m curation.dedupe.warm``.

That takes about half a minute of processor time, once. Later processes load what was compiled; without this the first
run compiles it on its way.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curation.dedupe.blocks import Blocks
from curation.dedupe.decide import decide, rule_for
from curation.dedupe.gather import IMAGES
from curation.dedupe.search.rule import with_looks
from curation.dedupe.thumbnail_file import THUMBNAIL_BYTES, ThumbnailFile
from curation.images.chroma import block_colours
from curation.images.phash import phash_twice
from curation.images.pixels import warm_up
from curation.images.thumbnail import thumbnail
from schemas.recipe import Dedupe

_SIDE = 64


def warm() -> None:
    """Compiles what a run with the recipe's defaults needs: it decides on three pictures, two of them near."""
    warm_up()
    random = np.random.default_rng(0)
    drawn = [np.kron(random.integers(0, 255, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8)) for _ in range(2)]
    pictures = [*drawn, (drawn[0] * 0.9).astype(np.uint8)]  # the last one is a darker copy
    hashes = [phash_twice(picture, "bgr") for picture in pictures]
    file = ThumbnailFile()
    thumbnails = pa.array([thumbnail(picture, "bgr") for picture in pictures], pa.binary(THUMBNAIL_BYTES))
    names = pa.array([f"{number:032x}" for number in range(len(pictures))], pa.large_string())
    columns = {
        "sample_id": names,
        "sha256": names,
        "phash": pa.array([phash for phash, _ in hashes], pa.uint64()),
        "phash256": pa.array([second for _, second in hashes], pa.binary(32)),
        "pixels": pa.array([_SIDE * _SIDE] * len(pictures)),
        "colours": pa.array([block_colours(picture, "bgr") for picture in pictures], IMAGES.field("colours").type),
        "thumbnail": file.add(pa.chunked_array([thumbnails])),
        "new": pa.array([True] * len(pictures)),
        "keeper": pa.array([False] * len(pictures)),
    }
    table = pa.table([columns.get(f.name, pa.nulls(len(pictures), f.type)) for f in IMAGES], schema=IMAGES)
    blocks = Blocks(file)
    blocks.add([("", table)])
    decide(blocks, with_looks(rule_for(Dedupe()), blocks.look_words))


if __name__ == "__main__":
    warm()
