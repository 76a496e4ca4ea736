"""A record is declared once, as a frozen dataclass; its Arrow schema and its documentation follow from it.

A field's type is a Python type, optionally ``Annotated`` with one of the Arrow types below where
Python's own is too wide, and with a sentence that says what the field holds:

    width: Annotated[int, Int32, "pixels, as exported"]
    reason: Annotated[Reason | None, "why it was rejected; null when it was not"]
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, ClassVar, TypeVar

import pyarrow as pa

Int32 = pa.int32()
UInt64 = pa.uint64()
Float32 = pa.float32()
Bits256 = pa.binary(32)

_BY_PYTHON_TYPE: dict[type, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One row of a sidecar table. Subclasses name their table."""

    table: ClassVar[str]


R = TypeVar("R", bound=Record)


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A field of a record as Arrow and as documentation see it."""

    name: str
    arrow: pa.DataType
    nullable: bool
    doc: str


def columns(record: type[Record]) -> tuple[Column, ...]:
    """The record's fields in the order of their declaration."""
    found: tuple[Column, ...] = _columns(record)  # type: ignore[arg-type]  # a class is hashable
    return found


def schema_of(record: type[Record]) -> pa.Schema:
    """The Arrow schema of a record; each field's documentation travels as its ``doc`` metadata."""
    return _schema_of(record)  # type: ignore[arg-type]  # likewise


@cache
def _columns(record: Any) -> tuple[Column, ...]:
    hints = typing.get_type_hints(record, include_extras=True)
    return tuple(_column(f.name, hints[f.name]) for f in dataclasses.fields(record))


@cache
def _schema_of(record: Any) -> pa.Schema:
    return pa.schema(
        [
            pa.field(c.name, c.arrow, nullable=c.nullable, metadata={"doc": c.doc} if c.doc else None)
            for c in columns(record)
        ]
    )


def table_of(record: type[R], rows: Iterable[R]) -> pa.Table:
    """A table of these records; its schema is ``schema_of(record)`` even when there are none.

    Raises ``pa.ArrowInvalid`` when a value does not fit its column.
    """
    rows = list(rows)
    return pa.table(
        [pa.array([_plain(getattr(r, c.name)) for r in rows], c.arrow) for c in columns(record)],
        schema=schema_of(record),
    )


def rows_of(record: type[R], table: pa.Table) -> Iterator[R]:
    """The table's rows as records. Columns the record does not know are ignored."""
    names = [c.name for c in columns(record)]
    hints = typing.get_type_hints(record)
    enums = {n: e for n in names if (e := _enum_in(hints[n])) is not None}
    lists = [table.column(n).to_pylist() for n in names]
    for name, cast in enums.items():
        at = names.index(name)
        lists[at] = [None if v is None else cast(v) for v in lists[at]]
    for values in zip(*lists, strict=True):
        yield record(*values)


def conform(record: type[Record], table: pa.Table) -> pa.Table:
    """The same table with exactly the record's columns, order and types.

    Raises ``ValueError`` naming what is missing, and ``pa.ArrowInvalid`` when a value cannot be cast.
    """
    schema = schema_of(record)
    missing = [n for n in schema.names if n not in table.column_names]
    if missing:
        raise ValueError(f"table {record.table!r} lacks the columns {missing}; found {table.column_names}")
    return table.select(schema.names).cast(schema)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _column(name: str, hint: Any) -> Column:
    arrow: pa.DataType | None = None
    doc = ""
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        arrow = next((e for e in extras if isinstance(e, pa.DataType)), None)
        doc = next((e for e in extras if isinstance(e, str)), "")
    inner, nullable = _unwrap_optional(hint)
    return Column(name, arrow if arrow is not None else _arrow(inner), nullable, doc)


def _unwrap_optional(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        if len(inner) != 1:
            raise TypeError(f"a record's field holds one type or None, not {hint}")
        return inner[0], True
    return hint, False


def _arrow(hint: Any) -> pa.DataType:
    if typing.get_origin(hint) in (list, tuple):
        return pa.list_(_arrow(typing.get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return pa.string()
    if hint in _BY_PYTHON_TYPE:
        return _BY_PYTHON_TYPE[hint]
    raise TypeError(f"no Arrow type is known for {hint}; annotate the field with one")


def _enum_in(hint: Any) -> type[enum.StrEnum] | None:
    inner, _ = _unwrap_optional(hint)
    return inner if isinstance(inner, type) and issubclass(inner, enum.StrEnum) else None
