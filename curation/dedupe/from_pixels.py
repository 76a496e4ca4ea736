"""Tables that hold what is computed from each image's pixels as exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.core.stage import Shard
from curation.images.reading import ImageReader, open_images
from schemas.arrow import rows_of, table_of
from schemas.records import CropHash, ImageRow, Thumbnail

Compute = Callable[[NDArray[np.uint8], Literal["bgr"]], bytes]


def from_pixels(
    shard: Shard,
    record: type[CropHash] | type[Thumbnail],
    compute: Compute,
) -> pa.Table:
    """A row for each image of the shard that has pixels, with what ``compute`` makes of them.

    ``compute`` gets uint8 of shape (height, width, 3) and the order of the channels. The row has None where the pixels
    are not stored or cannot be decoded.
    """
    there = shard.read(ImageRow).filter(pc.field("reason").is_null())
    with open_images(shard.store, shard.name) as read:
        rows = [record(image.sample_id, _computed(read, image, compute)) for image in rows_of(ImageRow, there)]
    return table_of(record, rows)


def _computed(read: ImageReader, image: ImageRow, compute: Compute) -> bytes | None:
    if image.offset is None or image.size is None:
        return None
    import cv2

    data = np.frombuffer(read(image.offset, image.size), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if pixels is None else compute(np.asarray(pixels, np.uint8), "bgr")
