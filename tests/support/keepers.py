"""A root that stands before the recaption stage: rows, pixels and duplicates of one shard."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from curation.core.stage import Shard
from curation.core.store import Store
from curation.core.tar import TarWriter
from schemas.arrow import columns, table_of
from schemas.ids import sample_id
from schemas.reasons import Reason
from schemas.records import Duplicate, ImageRow, SourceRow

SHARD = "part-00000"


def picture(number: int, side: int = 120) -> bytes:
    """A JPEG of two coloured halves; each number gives another one."""
    image = Image.new("RGB", (side, side * 3 // 4), ((number * 53) % 256, (number * 97) % 256, (number * 31) % 256))
    image.paste(((number * 11) % 256, 200, (number * 71) % 256), (0, 0, side // 2, side // 2))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def root_with_keepers(
    store: Store,
    alt_texts: Sequence[str],
    *,
    rejected: Sequence[int] = (),
    same: Sequence[int] = (),
    pixels: Callable[[int], bytes] = picture,
    shard: str = SHARD,
) -> Shard:
    """One row an alt text. ``rejected`` rows have no pixels, ``same`` ones are duplicates of row 0."""
    rows, images, duplicates = [], [], []
    path = store.scratch(store.images_file(shard))
    with TarWriter(path) as tar:
        for number, alt_text in enumerate(alt_texts):
            url = f"http://127.0.0.1/{shard}/{number}.jpg"
            name = sample_id(url, alt_text)
            rows.append(_row(name, number, url, alt_text))
            if number in rejected:
                images.append(_image(name, None, None))
                continue
            data = pixels(number)
            images.append(_image(name, data, tar.add(f"{name}.jpg", data)))
            reason = Reason.EXACT_DUPLICATE if number in same else None
            duplicates.append(Duplicate(name, reason, name, 0, name))
    store.publish(store.images_file(shard), path)
    store.write_table(SourceRow, shard, table_of(SourceRow, rows))
    store.write_table(ImageRow, shard, table_of(ImageRow, images))
    store.write_table(Duplicate, shard, table_of(Duplicate, duplicates))
    return Shard(shard, store)


def _row(name: str, number: int, url: str, alt_text: str) -> SourceRow:
    found: dict[str, Any] = dict.fromkeys(c.name for c in columns(SourceRow))
    found |= {"sample_id": name, "source_file": "a.parquet", "source_row": number, "url": url, "alt_text": alt_text}
    return SourceRow(**found)


def _image(name: str, data: bytes | None, offset: int | None) -> ImageRow:
    found: dict[str, Any] = dict.fromkeys(c.name for c in columns(ImageRow))
    found["sample_id"] = name
    if data is None:
        found["reason"] = Reason.HTTP_404
    else:
        found |= {"sha256": hashlib.sha256(data).hexdigest(), "offset": offset, "size": len(data), "phash": 0}
    return ImageRow(**found)
