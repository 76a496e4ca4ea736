"""What a root has of its images: the scores that the download kept, and the images as pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping

import cv2
import numpy as np

from curation.core.store import Store
from curation.fetch.process_row import looks_file
from curation.images.picture import Picture
from curation.images.reading import ImageReader
from schemas.arrays import strings
from schemas.records import ImageRow


def stored_picture(read: ImageReader, offset: int | None, size: int | None, unchanged: bool | None) -> Picture | None:
    """The picture of a row of images; None where its pixels are not stored or cannot be decoded.

    One that was stored as it came has its original with it. Of another one only the exported pixels are known.
    """
    if offset is None or size is None:
        return None
    data = read(offset, size)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        return None
    pixels = np.asarray(decoded, np.uint8)
    return Picture(pixels, data, pixels) if unchanged else Picture(pixels)


def kept_scores(store: Store, shard: str) -> dict[str, Mapping[str, list[float | str | None]]]:
    """What the download kept of a shard's images: sample_id -> key of a stage -> values."""
    name, entry = looks_file(shard), store.entry(ImageRow.table, shard)
    if entry is None or name not in entry.writes:
        return {}
    table = store.read_parquet(name)
    found = zip(strings(table["sample_id"]), table["looks"].to_pylist(), strict=True)
    return {sample: json.loads(looks) for sample, looks in found if looks is not None}
