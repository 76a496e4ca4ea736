"""A root whose release holds given captions and nothing else: what a comparison with training texts reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curation.core.store import Store
from schemas.arrow import columns, table_of
from schemas.manifest import ShardEntry
from schemas.records import Placement

_BLANK: dict[Any, Any] = {"string": "", "int64": 0, "int32": 0, "uint64": 0}


def training_root(folder: Path, captions: Mapping[str, str], alt_text: str = "a photo", number: int = 0) -> str:
    """A shard of released samples by their ids; returns the root's url."""
    release(Store(str(folder)), captions, number=number, alt_text=alt_text)
    return str(folder)


def release(store: Store, captions: Mapping[str, str], *, number: int, **told: Any) -> None:
    """A shard of released samples by their ids, with what else is told of each."""
    shard = f"train-{number:06d}"
    blank = {c.name: None if c.nullable else _BLANK.get(str(c.arrow)) for c in columns(Placement)}
    rows = [
        Placement(
            **{
                **blank,
                "sample_id": name,
                "split": "train",
                "shard": shard,
                "position": place,
                "caption": text,
                "caption_kind": "dense",
                "captions": json.dumps({"dense": text}),
                "annotations": "{}",
                **told,
            }
        )
        for place, (name, text) in enumerate(captions.items())
    ]
    sha, size = store.write_table(Placement, shard, table_of(Placement, rows))
    file = store.table_file(Placement.table, shard)
    entry = ShardEntry(Placement.table, shard, "made", {}, {file: sha}, len(rows), len(rows), size, 0.0, "test")
    store.commit(entry)
