"""The rows of a planned shard after a look at what its source file holds now.

A row that was found again takes what the source says of it now, and keeps its number. A row that was not found keeps
what the source said of it, and is judged by today's filters. If its image was never fetched, it is rejected: whoever
takes a row out of a list does not want it fetched.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.blocklists.rows import NOTHING, RowLists
from curation.core.errors import StoreError
from curation.core.store import Store
from curation.sources.filters import FILTER_REASONS, judge
from curation.sources.row_spool import Rows, RowSpool
from schemas.arrays import Chunked, Values, strings
from schemas.arrow import Record, schema_of
from schemas.reasons import Reason
from schemas.recipe import Source
from schemas.records import GoneRow, ImageRow, SourceRow

_NUMBER = "source_row"
_GONE = Reason.GONE_FROM_SOURCE.value


def merged_rows(
    old: pa.Table,
    found: Rows,
    spool: RowSpool | None,
    recipe: Source,
    fetched: Collection[str] | None,
    blocked: RowLists = NOTHING,
) -> pa.Table:
    """A shard of ``rows``; ``found`` has for each old row its number in the spool, or -1.

    ``fetched`` are the ids whose download was tried; None where not all of the file was read, so that a row which was
    not found may still be there.
    """
    lost = found < 0
    parts = []
    if spool is not None and not lost.all():
        parts.append(renumbered(spool.take(0, found[~lost]), old[_NUMBER].filter(pa.array(~lost))))
    if lost.any():
        parts.append(_judged_again(old.filter(pa.array(lost)), recipe, fetched, blocked))
    table = pa.concat_tables([part.select(old.column_names).cast(schema_of(SourceRow)) for part in parts])
    return in_order(table)


def merged_beside(
    record: type[Record],
    old: pa.Table | None,
    stays: Chunked | None,
    numbers: Chunked,
    found: Rows,
    spool: RowSpool,
    at: int,
) -> pa.Table:
    """A shard of a table beside ``rows``: what it has of a row already stays, or of the rows ``stays`` where given."""
    schema = schema_of(record)
    known = schema.empty_table() if old is None else old.select(schema.names).cast(schema)
    if stays is not None:
        known = known.filter(pc.is_in(known[_NUMBER], value_set=stays.combine_chunks()))
    wanted = (found >= 0) & ~np.asarray(pc.is_in(numbers, value_set=known[_NUMBER].combine_chunks()))
    if wanted.any():
        added = renumbered(spool.take(at, found[wanted]), numbers.filter(pa.array(wanted)))
        known = pa.concat_tables([known, added.select(schema.names).cast(schema)])
    return in_order(known)


def renumbered(table: pa.Table, numbers: Values) -> pa.Table:
    """The table with these numbers of its rows."""
    at = table.schema.get_field_index(_NUMBER)
    return table.set_column(at, table.schema.field(at), numbers)


def in_order(table: pa.Table) -> pa.Table:
    """The rows by their numbers, each column in one chunk: the same rows give the same bytes."""
    numbers = np.asarray(table[_NUMBER])
    if (numbers[:-1] > numbers[1:]).any():
        table = table.take(np.argsort(numbers, kind="stable"))
    return table.combine_chunks()


def gone_rows(rows: pa.Table, gone: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pa.Table:
    """The shard of ``gone`` for a shard of ``rows``."""
    schema = schema_of(GoneRow)
    return rows.filter(pa.array(gone)).select(schema.names).cast(schema).combine_chunks()


def fetched_ids(store: Store, shard: str) -> set[str]:
    """The samples of a shard whose download was tried, with or without success."""
    names = [store.stored_file(shard)]
    if store.entry(ImageRow.table, shard) is not None:  # else nothing says that the table is whole
        names.append(store.table_file(ImageRow.table, shard))
    there = (store.read_parquet(name, ["sample_id"]) for name in names if store.exists(name))
    return {sample for table in there for sample in strings(table["sample_id"])}


def readable(store: Store, record: type[Record], shard: str) -> pa.Table | None:
    """A shard of a table; None where it cannot be read."""
    try:
        return store.read_table(record, shard) if store.exists(store.table_file(record.table, shard)) else None
    except (StoreError, pa.ArrowInvalid):
        return None


def metadata_of(rows: pa.Table) -> pa.Table:
    """What the source said of planned rows, as its readers give it to the filters; faults that they found stay."""
    reason, detail = rows["reason"], rows["detail"]
    blank = pa.scalar("")
    by_filter = pc.is_in(reason.fill_null(blank), value_set=pa.array([*FILTER_REASONS, _GONE]))
    of_source = pc.starts_with(detail.fill_null(blank), "the record ")  # a news list's own fault, by the same reason
    faulty = pc.or_(pc.invert(by_filter), of_source)
    none = pa.scalar(None, pa.string())
    metadata = {name: rows[name] for name in rows.column_names}
    metadata |= {
        "width": rows["claimed_width"].cast(pa.float64()),
        "height": rows["claimed_height"].cast(pa.float64()),
        "sha256": rows["expected_sha256"],
        "fault": pc.if_else(faulty, reason, none),
        "note": pc.if_else(faulty, detail, none),
    }
    return pa.Table.from_pydict(metadata)


def _judged_again(rows: pa.Table, recipe: Source, fetched: Collection[str] | None, blocked: RowLists) -> pa.Table:
    """Rows that were not found, with today's verdicts on them."""
    verdict = judge(metadata_of(rows), recipe, blocked)
    reasons, details = verdict.reason.to_pylist(), verdict.detail.to_pylist()
    before = rows["reason"].to_pylist()
    for at, sample in enumerate(rows["sample_id"].to_pylist()):
        unwanted = before[at] == _GONE if fetched is None else sample not in fetched
        if reasons[at] is None and unwanted:
            reasons[at], details[at] = _GONE, "its source file no longer holds it, and its image was never fetched"
    columns = {"reason": pa.array(reasons, pa.string()), "detail": pa.array(details, pa.string())}
    changed: list[Values] = [columns.get(f.name, rows[f.name]) for f in rows.schema]
    return pa.Table.from_arrays(changed, schema=rows.schema)
