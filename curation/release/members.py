"""A released sample: the members of its tar and its row of the metadata table."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from schemas.arrays import Values
from schemas.arrow import Column, columns
from schemas.records import Placement

# A reader of the release needs the place of the pixels in its tars, not their place in the root.
_OWN = ("position", "source_shard", "offset", "size")

METADATA: tuple[Column, ...] = (
    *(c for c in columns(Placement) if c.name not in _OWN),
    Column("offset", pa.int64(), False, "bytes from the start of <shard>.tar to the image; 0 without images"),
    Column("size", pa.int64(), False, "bytes of the image; 0 without images"),
)
"""The columns of ``metadata/<shard>.parquet``."""


def annotation(sample: Placement) -> dict[str, Any]:
    """The sample's .json; unknown values are left out instead of null, so that every key has one type.

    ``annotation_types`` gives those types.
    """
    fields: dict[str, Any] = {
        "sample_id": sample.sample_id,
        "split": sample.split,
        "url": sample.url,
        "alt_text": sample.alt_text,
        "alt_text_words": sample.alt_text_words,
        "alt_text_clip_tokens": sample.alt_text_clip_tokens,
        "alt_text_similarity": _rounded(sample.alt_text_similarity),
        "caption": sample.caption,
        "caption_kind": sample.caption_kind,
        "captions": json.loads(sample.captions) or None,
        "words": sample.words,
        "clip_tokens": sample.clip_tokens,
        "sentence_end_77": sample.sentence_end_77,
        "similarity": _rounded(sample.similarity),
        "prompt": sample.prompt,
        "model": sample.model,
        "license": sample.license,
        "source_file": sample.source_file,
        "source_row": sample.source_row,
        "sha256": sample.sha256,
        "phash": f"{sample.phash:016x}",
        "width": sample.width,
        "height": sample.height,
        "bytes": sample.size,
        **json.loads(sample.annotations),
    }
    return {key: value for key, value in fields.items() if value is not None}


def annotation_bytes(sample: Placement) -> bytes:
    """The same as the bytes of the .json member."""
    return json.dumps(annotation(sample), ensure_ascii=False, sort_keys=True).encode()


def metadata_table(placements: pa.Table, offsets: list[int], sizes: list[int]) -> pa.Table:
    """The metadata of a release shard, in the order of its tar."""
    arrays: list[Values] = [
        *(placements.column(c.name) for c in METADATA[:-2]),
        pa.array(offsets, pa.int64()),
        pa.array(sizes, pa.int64()),
    ]
    fields = [pa.field(c.name, c.arrow, nullable=c.nullable, metadata={"doc": c.doc}) for c in METADATA]
    return pa.table(arrays, schema=pa.schema(fields))


def _rounded(similarity: float | None) -> float | None:
    # The column is float32: more digits would be noise of its widening.
    return None if similarity is None else round(similarity, 6)
