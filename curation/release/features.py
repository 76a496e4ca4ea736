"""The types of a sample's members, declared so that a reader need not guess them from the first samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from curation.core.verdict import Annotates, Annotations
from schemas.arrow import Record, schema_of
from schemas.records import Placement

Types = Mapping[str, pa.DataType]

_NAMES = {pa.string(): "string", pa.int64(): "int64", pa.float64(): "float64", pa.bool_(): "bool"}
# What .json spells otherwise than a placement does.
_OTHERWISE: Types = {"phash": pa.string(), "bytes": pa.int64()}
_NOT_IN_JSON = {"position", "shard", "source_shard", "offset", "size", "captions", "annotations"}


def _types(record: type[Record], *names: str, without: Iterable[str] = ()) -> dict[str, pa.DataType]:
    """These of a record's columns, or all, as JSON has them."""
    schema = schema_of(record)
    return {name: _plain(schema.field(name).type) for name in names or schema.names if name not in without}


def _plain(arrow: pa.DataType) -> pa.DataType:
    """JSON has one kind of integer and one of fraction."""
    if pa.types.is_list(arrow):
        return pa.list_(_plain(arrow.value_type))
    if pa.types.is_struct(arrow):
        return pa.struct([(field.name, _plain(field.type)) for field in arrow])
    if pa.types.is_integer(arrow):
        return pa.int64()
    return pa.float64() if pa.types.is_floating(arrow) else arrow


_PLACEMENT: Types = {**_types(Placement, without=_NOT_IN_JSON), **_OTHERWISE}


def annotation_types(
    kinds: Iterable[str], parts: Iterable[object], connection: duckdb.DuckDBPyConnection | None = None
) -> Types:
    """The keys that a sample's .json may have: what every sample has, its captions by kind, what ``parts`` declare.

    Keys whose content is that of the data get the types that are found through a ``connection`` to the root's views;
    without one, or where nothing is found, they are left out.
    """
    captions = {kind: pa.string() for kind in kinds}
    declared: dict[str, pa.DataType] = {}
    for made in (p.annotations for p in parts if isinstance(p, Annotates)):
        for key in made.keys:
            if not key.found_in:
                declared[key.name] = _plain(key.arrow)
            elif connection is not None and (found := _found(connection, made, key.found_in)):
                declared[key.name] = pa.struct(found.items())
    return {**_PLACEMENT, **({"captions": pa.struct(captions.items())} if captions else {}), **declared}


def _found(connection: duckdb.DuckDBPyConnection, annotations: Annotations, expression: str) -> dict[str, pa.DataType]:
    """The keys of JSON objects of released samples, each with the one type that holds all its values."""
    by = "source_file, source_row" if annotations.by_row else "sample_id"
    query = f"""
        SELECT e.key, list_sort(list(DISTINCT e.type))
        FROM (
            SELECT ({expression})::JSON AS object FROM {annotations.relation} a
            SEMI JOIN (FROM placements SEMI JOIN released USING (sample_id, shard)) USING ({by})
        ) o, json_each(o.object) e
        WHERE e.type <> 'NULL' GROUP BY e.key ORDER BY e.key"""  # noqa: S608  # of declarations in this package's code
    return {key: _of_json(frozenset(types)) for key, types in connection.execute(query).fetchall()}


def _of_json(types: frozenset[str]) -> pa.DataType:
    """The Arrow type of values with these types of JSON; values of several kinds are read as texts."""
    if types <= {"BIGINT", "UBIGINT"}:
        return pa.int64()
    if types <= {"BIGINT", "UBIGINT", "DOUBLE"}:
        return pa.float64()
    return pa.bool_() if types == {"BOOLEAN"} else pa.string()


def features(annotation: Types, *, image: str | None) -> list[dict[str, Any]]:
    """The card's ``features``, by which the library datasets knows a sample's members; ``image`` is the extension."""
    first = [{"name": image, "dtype": "image"}] if image else []
    own = {"txt": pa.string(), "json": pa.struct(annotation.items()), "__key__": pa.string(), "__url__": pa.string()}
    return [*first, *_features(own)]


def _features(types: Types) -> list[dict[str, Any]]:
    return [{"name": name, **_feature(arrow)} for name, arrow in types.items()]


def _feature(arrow: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(arrow):
        return {"struct": _features({f.name: f.type for f in arrow})}
    if pa.types.is_list(arrow):
        inner = arrow.value_type
        return {"list": _feature(inner)["struct"] if pa.types.is_struct(inner) else _NAMES[inner]}
    return {"dtype": _NAMES[arrow]}
