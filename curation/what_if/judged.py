"""The rows whose reason would be another one by other filters of the source: by the plan's own filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.blocklists.rows import RowLists
from curation.core.sql import name
from curation.sources.filters import reasons
from curation.sources.merging import metadata_of
from curation.what_if.question import Question
from schemas.arrays import Values, strings, whole
from schemas.reasons import Reason
from schemas.recipe import Source

_TYPES: dict[str, pa.DataType] = {"row": pa.uint64(), "reason": pa.dictionary(pa.int32(), pa.string())}
CHANGED = pa.schema(_TYPES)
"""The columns of a row whose reason would be another one: the hash ``ROW``, and what it would be, null for none."""
ROW = "hash(source_file, source_row)"
"""A row of the source in 64 bits."""

_GONE = Reason.GONE_FROM_SOURCE.value
_NEEDED = (
    *("url", "local_file", "alt_text", "claimed_width", "claimed_height", "similarity"),
    *("aesthetic", "punsafe", "pwatermark", "language", "expected_sha256", "reason", "detail"),
)
_SIZES = ("claimed_width", "claimed_height")
# Each limit with the value at which it rejects nothing, the key that says what becomes of unknown values, and what the
# filter looks at.
_LIMITS: Mapping[str, tuple[Any, str, tuple[str, ...]]] = MappingProxyType(
    {
        "min_side": (0, "", _SIZES),
        "max_aspect": (0.0, "", _SIZES),
        "min_words": (0, "", ("alt_text",)),
        "min_characters": (0, "", ("alt_text",)),
        "max_characters": (0, "", ("alt_text",)),
        "languages": ([], "null_language", ("language",)),
        "min_similarity": (None, "null_similarity", ("similarity",)),
        "min_aesthetic": (None, "null_aesthetic", ("aesthetic",)),
        "max_punsafe": (None, "null_punsafe", ("punsafe",)),
        "max_pwatermark": (None, "null_pwatermark", ("pwatermark",)),
    }
)
_BATCH = 200_000  # rows


def changed_rows(connection: duckdb.DuckDBPyConnection, question: Question) -> Iterator[pa.RecordBatch]:
    """The rows of the view ``stored_rows`` whose reason would be another one, in the columns of ``CHANGED``.

    A row that passes the plan today can only fail a filter that changed, so that of the others nothing is read.
    """
    source: Source = question.ours.source  # type: ignore[attr-defined]
    blocked = RowLists.of_root(question.store)
    for rows in _read(connection, _NEEDED, "reason IS NOT NULL"):
        yield from _judged(rows, reasons(metadata_of(rows), source, blocked))
    keys = {d.key.removeprefix("source.") for d in question.changed}
    active = [limit for limit, (_, null, _) in _LIMITS.items() if keys & {limit, null}]
    off = {limit: nothing for limit, (nothing, _, _) in _LIMITS.items() if limit not in active}
    alone = source.model_copy(update=off)
    seen = dict.fromkeys(column for limit in active for column in _LIMITS[limit][2])
    if not seen:
        return
    for rows in _read(connection, tuple(seen), "reason IS NULL"):
        found: dict[str, Values] = {column: rows[column] for column in seen}
        if "claimed_width" in found:
            found |= {side: rows[f"claimed_{side}"].cast(pa.float64()) for side in ("width", "height")}
        after = reasons(pa.Table.from_pydict(found), alone, passing=True)
        yield from _changed(rows, after, after.is_valid())


def _read(connection: duckdb.DuckDBPyConnection, columns: Sequence[str], where: str) -> Iterator[pa.Table]:
    query = f'SELECT {ROW} AS "row", {", ".join(map(name, columns))} FROM stored_rows WHERE {where}'  # noqa: S608  # our own
    batches: list[pa.RecordBatch] = []
    for batch in connection.sql(query).to_arrow_reader(_BATCH):  # of a row group at most
        batches.append(batch)
        if sum(b.num_rows for b in batches) >= _BATCH:
            yield pa.Table.from_batches(batches)
            batches = []
    if batches:
        yield pa.Table.from_batches(batches)


def _judged(rows: pa.Table, after: Values) -> list[pa.RecordBatch]:
    before, judged = _filled(rows["reason"]), _filled(after)
    # A row that its source no longer holds, and whose image was never fetched, stays out.
    return _changed(rows, after, pa.array((judged != before) & ~((before == _GONE) & (judged == ""))))


def _changed(rows: pa.Table, after: Values, changed: Values) -> list[pa.RecordBatch]:
    return pa.table([rows["row"], after], schema=CHANGED).filter(changed).to_batches()


def _filled(texts: Values) -> npt.NDArray[np.object_]:
    """Reasons as they are, an empty text for none."""
    found = whole(texts).dictionary_encode()
    known = np.array([*strings(found.dictionary), ""], object)
    return known[np.asarray(found.indices.fill_null(len(known) - 1)).astype(np.int64)]
