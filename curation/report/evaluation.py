"""Pictures of evaluation items that images of a root are too near to: they lie in data sets beside the root."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from curation.core.errors import LapidaryError
from curation.core.store import Store
from curation.report.asking import Row
from curation.report.pictures import thumbnail

MOST_ITEMS = 24
_MOST_SHARDS = 64  # of a data set, which is looked through from its first shard on


def item_pictures(workplace: Store, overlaps: Iterable[Row]) -> dict[tuple[str, str], tuple[str, bytes]]:
    """Name and bytes of the thumbnail of each evaluation item, by its data set and id: of the first ``MOST_ITEMS``.

    Only data sets in folders of this machine are looked at; one that has moved or is damaged has no pictures.
    """
    wanted = dict.fromkeys((o["dataset"], o["item_id"]) for o in overlaps if o["dataset"] and o["item_id"])
    found = {}
    for key in list(wanted)[:MOST_ITEMS]:
        small = _picture(workplace, *key)
        if small is not None:
            found[key] = f"{hashlib.sha256(small).hexdigest()[:32]}.jpg", small
    return found


def _picture(workplace: Store, dataset: str, item_id: str) -> bytes | None:
    try:
        if not Store(dataset).is_local:
            return None
        # What reads pictures of others' layouts is no part of the base installation.
        from curation.dedupe.across.datasets import open_data_set

        there = open_data_set(dataset, workplace)
        if not there.has_pixels or len(there.shards()) > _MOST_SHARDS:
            return None
        pixels = there.find(item_id)
    except (LapidaryError, OSError, ImportError):
        return None
    return thumbnail(pixels.data) if pixels is not None and pixels.data else None
