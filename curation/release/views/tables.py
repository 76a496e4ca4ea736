"""The SQL of views over files: one view a table, with the records' own documentation as comments."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import pyarrow as pa

from curation.core.gathered import COLUMN, Part
from curation.core.gathered_tables import parts_of
from curation.core.sql import literal, name
from curation.core.store import Store
from schemas.arrow import Record, columns

_SQL_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
}


def comments(view: str, docs: Mapping[str, str]) -> Iterator[str]:
    """The documentation of the view's columns, as SQL comments."""
    for column, doc in docs.items():
        yield f"COMMENT ON COLUMN {name(view)}.{name(column)} IS {literal(doc)}"


def table_view(store: Store, record: type[Record], shards: frozenset[str], *, lasting: bool = False) -> Iterator[str]:
    """A view of these shards of a table, in the record's columns and the name of each row's shard.

    ``lasting``: for a file that is asked after later runs too, which may gather other shards.
    """
    view = record.table
    yield f"CREATE VIEW {name(view)} AS {table_query(store, record, shards, lasting=lasting)}"
    yield f"COMMENT ON VIEW {name(view)} IS {literal((record.__doc__ or view).splitlines()[0])}"
    docs = {c.name: c.doc for c in columns(record)}
    extra = _extra(record)
    yield from comments(view, docs | {extra: "the shard of the table that holds the row"} if extra else docs)


def table_query(store: Store, record: type[Record], shards: frozenset[str], *, lasting: bool = False) -> str:
    """The query of ``table_view``."""
    fields, extra = columns(record), _extra(record)
    if not shards:
        names = ", ".join(f"NULL::{sql_type(c.arrow)} AS {name(c.name)}" for c in fields)
        return f"SELECT {names}{f', NULL::VARCHAR AS {extra}' if extra else ''} WHERE false"  # quoted
    names = ", ".join(name(c.name) for c in fields)
    present = {n.removesuffix(".parquet") for n in store.names(f"tables/{record.table}", ".parquet")}
    parts, apart = ((), shards) if lasting else parts_of(store, record, shards & present)
    queries = [f"SELECT {names}{shard} FROM {rows}" for shard, rows in _gathered(store, parts, extra)]  # noqa: S608
    if apart or not queries:
        shard = f", parse_filename(filename, true) AS {extra}" if extra else ""
        # Folders above the root that are called key=value are not columns of ours.
        files = f"read_parquet({_files(store, record, apart, present)}, filename = true, hive_partitioning = false)"
        queries.append(f"SELECT {names}{shard} FROM {files}")  # noqa: S608  # quoted
    return " UNION ALL ".join(queries)


def _gathered(store: Store, parts: Sequence[Part], extra: str) -> Iterator[tuple[str, str]]:
    """The column with the shard's name, and the rows, of gathered files; those that count as a whole in one."""
    shard = f", {name(COLUMN)} AS {extra}" if extra else ""
    whole = ", ".join(literal(_address(store, part.file)) for part in parts if part.whole)
    if whole:
        yield shard, f"read_parquet([{whole}], hive_partitioning = false)"
    for part in parts:
        if not part.whole:
            of_these = ", ".join(map(literal, sorted(part.shards)))
            rows = f"read_parquet({literal(_address(store, part.file))}, hive_partitioning = false)"
            yield shard, f"{rows} WHERE {name(COLUMN)} IN ({of_these})"


def _extra(record: type[Record]) -> str:
    """The name of the column that tells a row's shard; empty where the record says it itself."""
    return "" if "shard" in {c.name for c in columns(record)} else "shard"


def json_view(
    store: Store, view: str, doc: str, pattern: str | None, fields: Mapping[str, tuple[str, str]]
) -> Iterator[str]:
    """A view of JSON files, one row a file. ``fields`` maps a column to its SQL type and its documentation.

    Without a ``pattern`` (relative to the root) the view is empty.
    """
    if pattern is None:
        names = ", ".join(f"NULL::{kind} AS {name(column)}" for column, (kind, _) in fields.items())
        body = f"SELECT {names} WHERE false"
    else:
        types = ", ".join(f"{literal(column)}: {literal(kind)}" for column, (kind, _) in fields.items())
        names = ", ".join(name(column) for column in fields)
        file = literal(files_matching(store, pattern))
        body = f"SELECT {names} FROM read_json({file}, columns = {{{types}}})"  # noqa: S608  # quoted
    yield f"CREATE VIEW {name(view)} AS {body}"
    yield f"COMMENT ON VIEW {name(view)} IS {literal(doc)}"
    yield from comments(view, {column: about for column, (_, about) in fields.items()})


def sql_type(arrow: pa.DataType) -> str:
    """DuckDB's type for an Arrow type that a record may have."""
    if pa.types.is_list(arrow):
        return sql_type(arrow.value_type) + "[]"
    if pa.types.is_fixed_size_binary(arrow):
        return "BLOB"
    return _SQL_TYPES[arrow]


def files_matching(store: Store, pattern: str) -> str:
    """A pattern relative to the root as DuckDB reads it."""
    return _no_pattern(_address(store, "")) + pattern


def _files(store: Store, record: type[Record], shards: frozenset[str], present: Collection[str]) -> str:
    folder = _address(store, f"tables/{record.table}")
    if shards.issuperset(present):
        # A pattern stays true while shards are added, and is short.
        return literal(f"{_no_pattern(folder)}/*.parquet")
    return "[" + ", ".join(literal(f"{folder}/{shard}.parquet") for shard in sorted(shards.intersection(present))) + "]"


def _address(store: Store, relative: str) -> str:
    path = store.path(relative)
    return path if store.is_local else str(store.filesystem.unstrip_protocol(path))


def _no_pattern(path: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)
