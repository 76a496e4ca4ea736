"""From claims to rows of the table ``rows``: each with its id, its place in the source and its verdict."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.sources.filters import judge, size
from schemas.arrow import schema_of
from schemas.ids import sample_id
from schemas.recipe import Source
from schemas.records import SourceRow

_SCHEMA = schema_of(SourceRow)


def source_rows(file: str, first: int, claims: pa.Table, recipe: Source) -> pa.Table:
    """The rows ``first``, ``first + 1`` … of a source file, in one chunk a column.

    An image without a url is known by its bytes; a row with neither by its alt text alone.
    """
    verdict = judge(claims, recipe)
    alt_texts = pc.fill_null(claims["alt_text"], "")
    known_by = pc.fill_null(pc.coalesce(claims["url"], claims["content"]), "")
    ids = [sample_id(u, a) for u, a in zip(known_by.to_pylist(), alt_texts.to_pylist(), strict=True)]
    count = claims.num_rows
    columns = {
        "sample_id": pa.array(ids, pa.string()),
        "source_file": pa.repeat(pa.scalar(file), count),
        "source_row": pa.array(np.arange(first, first + count, dtype=np.int64)),
        "alt_text": alt_texts,
        "claimed_width": _pixels(claims["width"]),
        "claimed_height": _pixels(claims["height"]),
        "expected_md5": _hex(claims["md5"], 32),
        "expected_sha256": _hex(claims["sha256"], 64),
        "reason": verdict.reason,
        "detail": verdict.detail,
    }
    table = pa.table([columns.get(f.name) if f.name in columns else claims[f.name] for f in _SCHEMA], _SCHEMA)
    # The same rows must give the same bytes, however the reader cut its batches.
    return table.combine_chunks()


def _pixels(values: pa.ChunkedArray) -> pa.Array:
    sizes = size(np.asarray(values.to_numpy(), dtype=np.float64))
    unknown = np.isnan(sizes)
    return pa.array(np.where(unknown, 0, sizes).astype(np.int32), pa.int32(), mask=unknown)


def _hex(values: pa.ChunkedArray, digits: int) -> pa.ChunkedArray:
    """Lower case; null for what is no hash of that length."""
    if values.null_count == len(values):
        return values
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(values))
    return pc.if_else(pc.match_substring_regex(plain, f"^[0-9a-f]{{{digits}}}$"), plain, None)
