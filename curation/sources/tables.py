"""Parquet lists, streamed: only the columns that have a role, a batch at a time, in file order.

pyarrow reads exactly the columns of the file's own schema. An engine that adds columns of its own (partitions of
the path, the file's name, row numbers) could put them in the place of a column that the file has.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.errors import DamagedSource, SourceError
from curation.sources.dialects import Layout, recognise
from curation.sources.source_metadata import TEXT_ROLES, as_number, metadata_table
from schemas.arrays import Array

BATCH = 10_000
_AGAIN = "fetch the file again or leave it out"


@dataclasses.dataclass(frozen=True)
class Footer:
    """The layout and the number of rows of a Parquet file, from the footer at its end."""

    layout: Layout
    rows: int


def read_footer(url: str) -> Footer:
    """Dialect and number of rows, from the last bytes of the file.

    Raises ``DamagedSource`` for a truncated file and for one that is no Parquet, and ``SourceError`` for an unknown
    dialect.
    """
    size = -1
    try:
        with fsspec.open(url, "rb") as raw:
            size = raw.seek(0, 2)
            raw.seek(0)
            file = pq.ParquetFile(raw)
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        if size < 0:
            raise DamagedSource(f"{url} cannot be opened: {first_line(error)}") from error
        raise DamagedSource(
            f"{url} of {size} bytes is no whole Parquet file ({first_line(error)}): "
            f"it is truncated, still being written, or something else; {_AGAIN}"
        ) from error
    layout = recognise(schema.names, url)
    for role, column in layout.roles:
        found = schema.field(column).type
        if pa.types.is_nested(found):
            raise SourceError(f"{url}: column {column!r} is {found}; for the {role} a plain value is expected")
    return Footer(layout, rows)


def read_parquet(url: str, layout: Layout, start: int = 0, end: int | None = None) -> Iterator[pa.Table]:
    """Tables of ``SourceMetadata`` for the rows [start, end), in file order, at most ``BATCH`` rows each.

    Raises ``DamagedSource`` where the data cannot be read, and names the row that was reached.
    """
    row = start
    try:
        with fsspec.open(url, "rb") as raw:
            # Without pre-buffering the pages of a row group are streamed; a row group may be the whole file.
            file = pq.ParquetFile(raw, buffer_size=1 << 20, pre_buffer=False)
            end = file.metadata.num_rows if end is None else min(end, file.metadata.num_rows)
            for batch in _batches(file, layout, start, end):
                row += batch.num_rows
                columns = {role: _plain(role, batch.column(column)) for role, column in layout.roles}
                yield metadata_table(columns, batch.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise DamagedSource(f"{url} is damaged behind row {row} ({first_line(error)}); {_AGAIN}") from error
    if row < (end or 0):
        raise DamagedSource(f"{url} ends at row {row}, where its footer promises more than {row} rows; {_AGAIN}")


def _batches(file: pq.ParquetFile, layout: Layout, start: int, end: int) -> Iterator[pa.RecordBatch]:
    """Batches of exactly the rows [start, end); row groups before and behind them are not read."""
    groups: list[int] = []
    position = skipped = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if position < end and position + rows > start:
            groups.append(group)
        elif position + rows <= start:
            skipped += rows
        position += rows
    position = skipped
    if not groups or start >= end:
        return
    columns = [column for _, column in layout.roles]
    for batch in file.iter_batches(BATCH, row_groups=groups, columns=columns):
        first, position = position, position + batch.num_rows
        low, high = max(start, first) - first, min(end, position) - first
        if low < high:
            yield batch.slice(low, high - low)
        if position >= end:
            return


def _plain(role: str, array: Array) -> Array:
    """Texts as strings or bytes, numbers as doubles, whatever type the file gave them."""
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    if role in TEXT_ROLES:
        if _is_text(array.type):
            return array.cast(pa.binary())  # bytes that are no UTF-8 are found when they become text
        if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
            return array
        if pa.types.is_fixed_size_binary(array.type) or pa.types.is_binary_view(array.type):
            return array.cast(pa.binary())
        return pa.array([None if v is None else str(v) for v in array.to_pylist()], pa.string())
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type):
        return array.cast(pa.float64(), safe=False)
    return pa.array([as_number(_spelt(v)) for v in array.to_pylist()], pa.float64())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _spelt(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def pieces(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of exactly ``rows``, the last one shorter; each column in one chunk."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        if count < rows:
            continue
        whole = pa.concat_tables(waiting)
        for start in range(0, count - count % rows, rows):
            yield whole.slice(start, rows).combine_chunks()
        waiting = [whole.slice(count - count % rows)]
        count %= rows
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def first_line(error: Exception) -> str:
    """The first line of an error's text, at most 300 characters."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return lines[0][:300]
