"""Parquet lists, streamed: only the columns that are used, a batch at a time, in file order.

pyarrow reads exactly the columns of the file's own schema. An engine that adds columns of its own (partitions of
the path, the file's name, row numbers) could put them in the place of a column that the file has.

A value within a struct is a column of its own, called by its path: ``json.caption``. Images may be embedded, as bytes
or as the hub writes them, ``{bytes, path}``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.core.errors import DamagedSource, SourceError
from curation.sources.columns import Column, Kind, recognise
from curation.sources.dialects import Layout
from curation.sources.embedded import EMBEDDED_BATCH, embedded_images, is_image_struct
from curation.sources.kept import kept_objects
from curation.sources.local_images import LocalImages
from curation.sources.options import PLAIN, Options
from curation.sources.sidecars import IMAGE_HEAD, is_image
from curation.sources.source_metadata import TEXT_ROLES, as_number, metadata_table, put
from schemas.arrays import Array

BATCH = 10_000
_AGAIN = "fetch the file again or leave it out"
_LOOK = 20  # rows by which columns are recognised
_DEEPEST = 3  # structs within structs whose values are columns


@dataclasses.dataclass(frozen=True)
class Footer:
    """The layout and the number of rows of a Parquet file, from the footer at its end."""

    layout: Layout
    rows: int


def read_footer(url: str, options: Options = PLAIN) -> Footer:
    """Layout and number of rows, from the last bytes of the file and, where columns must be guessed, its first rows.

    Raises ``DamagedSource`` for a truncated file and for one that is no Parquet, and ``SourceError`` where no column
    holds images.
    """
    size = -1
    try:
        with fsspec.open(url, "rb") as raw:
            size = raw.seek(0, 2)
            raw.seek(0)
            file = pq.ParquetFile(raw, pre_buffer=False)
            schema, rows = file.schema_arrow, file.metadata.num_rows
            columns = list(_columns(file))
    except (pa.ArrowException, OSError, ValueError) as error:
        if size < 0:
            raise DamagedSource(f"{url} cannot be opened: {first_line(error)}") from error
        raise DamagedSource(
            f"{url} of {size} bytes is no whole Parquet file ({first_line(error)}): "
            f"it is truncated, still being written, or something else; {_AGAIN}"
        ) from error
    layout = recognise(columns, url, options)
    kinds = {c.name: c.kind for c in columns}
    for role, name in layout.roles:
        fitting = ("image",) if role == "image" else ("text", "number", "image")
        if kinds[name] not in fitting:
            found = schema.field(name.split(".")[0] if name not in schema.names else name).type
            wanted = "the bytes of an image are expected" if role == "image" else "a plain value is expected"
            raise SourceError(
                f"{url}: column {name!r} is {found}; for the {role} {wanted}; source.columns names another column"
            )
    return Footer(layout, rows)


def _columns(file: pq.ParquetFile) -> Iterator[Column]:
    """The columns with their first texts; a value within a struct is a column of its own."""
    schema = file.schema_arrow
    small = [f.name for f in schema if not _is_binary(f.type) and not is_image_struct(f.type)]
    first = _first_rows(file, small)
    heads = _first_rows(file, [f.name for f in schema if _is_binary(f.type)], rows=1)
    for field in schema:
        yield from _column(field.name, field.type, first.get(field.name, []) or heads.get(field.name, []), 0)


def _first_rows(file: pq.ParquetFile, columns: Sequence[str], rows: int = _LOOK) -> dict[str, list[Any]]:
    """The first values of columns; none where they cannot be read: reading the rows will say why."""
    if not columns or not file.metadata.num_rows or len(set(file.schema_arrow.names)) < len(file.schema_arrow.names):
        return {}
    try:
        batch = next(file.iter_batches(rows, columns=list(columns)))
    except (pa.ArrowException, OSError, StopIteration):
        return {}
    found: dict[str, list[Any]] = {}
    for name in columns:
        try:
            found[name] = batch.column(name).to_pylist()
        except (ValueError, KeyError):  # texts that are no UTF-8
            continue
    return found


def _column(name: str, kind: pa.DataType, values: Sequence[Any], depth: int) -> Iterator[Column]:
    if pa.types.is_struct(kind) and not is_image_struct(kind):
        yield Column(name, "other", nested=depth > 0)
        for field in kind if depth < _DEEPEST else ():
            inner = [v.get(field.name) for v in values if isinstance(v, dict)]
            yield from _column(f"{name}.{field.name}", field.type, inner, depth + 1)
        return
    head = next((v for v in values if isinstance(v, bytes)), b"")
    found: Kind = "text" if _is_text(kind) else _KINDS.get(_spelt_kind(kind), "other")
    if is_image_struct(kind) or (_is_binary(kind) and is_image(head[:IMAGE_HEAD])):
        found = "image"
    shown = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
    texts = (v[:500] for v in shown if isinstance(v, str) and found == "text")
    yield Column(name, found, tuple(texts), nested=depth > 0)


_KINDS: dict[str, Kind] = {"binary": "text", "number": "number"}


def _spelt_kind(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        if _is_text(kind):
            return "binary"
    if _is_binary(kind):
        return "binary"
    # Dates, times and decimals are spelt out.
    return "other" if pa.types.is_nested(kind) else "number"


def read_parquet(
    url: str,
    layout: Layout,
    start: int = 0,
    end: int | None = None,
    *,
    options: Options = PLAIN,
    kept: bool = False,
) -> Iterator[pa.Table]:
    """Tables of ``SourceMetadata`` for the rows [start, end), in file order, at most ``BATCH`` rows each.

    Raises ``DamagedSource`` where the data cannot be read, and names the row that was reached.
    """
    row, images = start, LocalImages(url, options)
    try:
        with fsspec.open(url, "rb") as raw:
            # Without pre-buffering the pages of a row group are streamed; a row group may be the whole file.
            file = pq.ParquetFile(raw, buffer_size=1 << 20, pre_buffer=False)
            end = file.metadata.num_rows if end is None else min(end, file.metadata.num_rows)
            for batch in _batches(file, layout, start, end, kept=kept):
                table = _table(batch, layout, kept=kept)
                if (column := layout.column("image")) is not None:
                    table = embedded_images(table, url, column, row, _at(batch, column), images)
                row += batch.num_rows
                yield images.located(table, _paths(batch, layout))
    except (pa.ArrowException, OSError) as error:
        raise DamagedSource(f"{url} is damaged behind row {row} ({first_line(error)}); {_AGAIN}") from error
    if row < (end or 0):
        raise DamagedSource(f"{url} ends at row {row}, where its footer promises more than {row} rows; {_AGAIN}")


def _table(batch: pa.RecordBatch, layout: Layout, *, kept: bool) -> pa.Table:
    arrays: dict[str, list[Array]] = {}
    for role, column in ((r, c) for r, c in layout.roles if r not in ("image", "path")):
        arrays.setdefault(role, []).append(_plain(role, _at(batch, column)))
    columns = {role: functools.reduce(_filled, found) for role, found in arrays.items()}
    table = metadata_table(columns, batch.num_rows)
    if kept and layout.kept:
        table = put(table, "columns", kept_objects({n: _at(batch, n) for n in layout.kept}, batch.num_rows))
    return table


def _paths(batch: pa.RecordBatch, layout: Layout) -> list[str | None] | None:
    """The paths of local images, where a column holds them."""
    column = layout.column("path")
    if column is None:
        return None
    return [_spelt(v) for v in _at(batch, column).to_pylist()]


def _at(batch: pa.RecordBatch, name: str) -> Array:
    """A column by its name, or the values within a struct by their path."""
    if name in batch.schema.names:
        return batch.column(name)
    parts = name.split(".")
    whole = next(n for n in range(len(parts) - 1, 0, -1) if ".".join(parts[:n]) in batch.schema.names)
    found: Array = pc.struct_field(batch.column(".".join(parts[:whole])), parts[whole:])
    return found


def _filled(first: Array, second: Array) -> Array:
    """Values of the first column, and of the second where those are unknown or blank."""
    if pa.types.is_binary(first.type) or pa.types.is_string(first.type):
        first, second = first.cast(pa.binary()), second.cast(pa.binary())
        blank = [v is None or not v.strip() for v in first.to_pylist()]
        chosen: Array = pc.if_else(pa.array(blank), second, first)
        return chosen
    found: Array = pc.coalesce(first, second)
    return found


def _batches(file: pq.ParquetFile, layout: Layout, start: int, end: int, *, kept: bool) -> Iterator[pa.RecordBatch]:
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
    columns = list(dict.fromkeys([*(c for _, c in layout.roles), *(layout.kept if kept else ())]))
    size = BATCH if layout.column("image") is None else EMBEDDED_BATCH
    for batch in file.iter_batches(size, row_groups=groups, columns=columns):
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


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _spelt(value: object) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None if value is None else str(value)


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
