"""Parquet lists, streamed by DuckDB: only the columns that play a role, a batch at a time, in file order."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterator

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.errors import SourceError
from curation.sources.laion import NUMBER_ROLES, TEXT_ROLES, Layout, recognise
from curation.sources.onefile import URL, OneFile
from curation.sources.source_metadata import as_number, claims

BATCH = 10_000
_AGAIN = "fetch the file again or leave it out"


@dataclasses.dataclass(frozen=True)
class Footer:
    """What a Parquet file says of itself at its end."""

    layout: Layout
    rows: int


def read_footer(url: str) -> Footer:
    """Dialect and number of rows, from the last bytes of the file.

    Raises ``SourceError`` for a truncated file, one that is no Parquet, and an unknown dialect.
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
            raise SourceError(f"{url} cannot be opened: {first_line(error)}") from error
        raise SourceError(
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
    """Tables of claims for the rows [start, end), in file order, some thousands of rows each.

    DuckDB refuses a file at the first text that is no UTF-8; from there on the file is read by pyarrow,
    which leaves that to us. Raises ``SourceError`` where the data is damaged, naming the row reached.
    """
    done = start
    try:
        for batch in _by_duckdb(url, layout, start, end):
            done += batch.num_rows
            yield claims({name: batch.column(name) for name in batch.schema.names}, batch.num_rows)
        return
    except (duckdb.Error, pa.ArrowException, OSError) as error:  # an error in mid-stream comes through Arrow
        if "not valid UTF8" not in str(error):
            raise _damaged(url, done, error) from error
    try:
        yield from _by_pyarrow(url, layout, done, end)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(url, done, error) from error


def _by_duckdb(url: str, layout: Layout, start: int, end: int | None) -> Iterator[pa.RecordBatch]:
    fs, path = fsspec.core.url_to_fs(url)
    local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
    config = {
        "threads": 2,
        "autoinstall_known_extensions": False,
        "enable_external_file_cache": False,
        # Prefetching holds a whole row group, which may be the whole file; far away it saves many round trips.
        "disable_parquet_prefetching": local,
    }
    with duckdb.connect(config=config) as connection:
        if not local:
            connection.register_filesystem(OneFile(fs, path))
        # DuckDB takes a name for a pattern; with its magic escaped it means only itself.
        name = _literal(glob.escape(path) if local else URL)
        described = connection.sql(f"DESCRIBE SELECT * FROM read_parquet({name})").fetchall()  # noqa: S608
        types = {column: kind for column, kind, *_ in described}
        chosen = ", ".join(_expression(role, column, types[column]) for role, column in layout.roles)
        last = "" if end is None else f" AND file_row_number < {end}"
        relation = connection.sql(
            f"SELECT {chosen} FROM read_parquet({name}) WHERE file_row_number >= {start}{last}"  # noqa: S608
        )
        yield from relation.to_arrow_reader(BATCH)


def _expression(role: str, column: str, kind: str) -> str:
    quoted = '"' + column.replace('"', '""') + '"'
    if role in NUMBER_ROLES:
        return f"TRY_CAST({quoted} AS DOUBLE) AS {role}"
    # A BLOB cast to text would come out as an escaped one; its bytes are read as UTF-8 later.
    return f"{quoted} AS {role}" if kind == "BLOB" else f"CAST({quoted} AS VARCHAR) AS {role}"


def _by_pyarrow(url: str, layout: Layout, start: int, end: int | None) -> Iterator[pa.Table]:
    with fsspec.open(url, "rb") as raw:
        file = pq.ParquetFile(raw, buffer_size=1 << 20, pre_buffer=False)
        end = file.metadata.num_rows if end is None else end
        position = 0
        for batch in file.iter_batches(BATCH, columns=[column for _, column in layout.roles]):
            first, position = position, position + batch.num_rows
            low, high = max(start, first) - first, min(end, position) - first
            if low < high:
                part = batch.slice(low, high - low)
                columns = {role: _plain(role, part.column(column)) for role, column in layout.roles}
                yield claims(columns, part.num_rows)
            if position >= end:
                return


def _plain(role: str, array: pa.Array) -> pa.Array:
    """Texts as bytes, numbers as doubles, whatever type the file gave them."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if role in TEXT_ROLES:
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            return array.cast(pa.binary())
        return array if pa.types.is_binary(array.type) else array.cast(pa.string())
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        return array.cast(pa.float64(), safe=False)
    return pa.array([as_number(None if v is None else str(v)) for v in array.to_pylist()], pa.float64())


def pieces(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of exactly ``rows``, the last one shorter; each in one chunk."""
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


def _damaged(url: str, row: int, error: Exception) -> SourceError:
    return SourceError(f"{url} is damaged behind row {row} ({first_line(error)}); {_AGAIN}")


def first_line(error: Exception) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    # A Python filesystem's error comes back from DuckDB as a traceback, and says what it is at its end.
    return (lines[-1] if lines[0].startswith("Traceback") else lines[0])[:300]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
