"""The types of a sample's members, declared so that a reader need not guess them from the first samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from curation.core.verdict import Annotates
from schemas.arrow import Record, schema_of
from schemas.records import Placement

Types = Mapping[str, pa.DataType]

_NAMES = {pa.string(): "string", pa.int64(): "int64", pa.float64(): "float64"}
# What .json tells otherwise than a placement does.
_OTHERWISE = {"phash": pa.string(), "bytes": pa.int64()}
_NOT_TOLD = {"position", "shard", "source_shard", "offset", "size", "captions", "annotations"}


def _types(record: type[Record], *names: str, without: Iterable[str] = ()) -> dict[str, pa.DataType]:
    """These of a record's columns, or all, as JSON has them."""
    schema = schema_of(record)
    return {name: _plain(schema.field(name).type) for name in names or schema.names if name not in without}


def _plain(told: pa.DataType) -> pa.DataType:
    """JSON has one kind of integer and one of fraction."""
    if pa.types.is_list(told):
        return pa.list_(_plain(told.value_type))
    if pa.types.is_struct(told):
        return pa.struct([(field.name, _plain(field.type)) for field in told])
    if pa.types.is_integer(told):
        return pa.int64()
    return pa.float64() if pa.types.is_floating(told) else told


_PLACEMENT: Types = _types(Placement, without=_NOT_TOLD) | _OTHERWISE


def annotation_types(kinds: Iterable[str], parts: Iterable[object]) -> Types:
    """The keys that a sample's .json may have: what every sample has, its captions by kind, what ``parts`` declare."""
    captions = {kind: pa.string() for kind in kinds}
    declared = {k.name: _plain(k.arrow) for p in parts if isinstance(p, Annotates) for k in p.annotations.keys}
    return {**_PLACEMENT, **({"captions": pa.struct(captions)} if captions else {}), **declared}


def features(annotation: Types, *, images: bool) -> Iterator[str]:
    """The lines of YAML under ``features:`` by which the library datasets knows a sample's members."""
    if images:
        yield from ("- name: jpg", "  dtype: image")
    yield from _lines({"txt": pa.string(), "json": pa.struct(dict(annotation))})
    yield from _lines({"__key__": pa.string(), "__url__": pa.string()})


def _lines(types: Types) -> Iterator[str]:
    for name, told in types.items():
        yield f"- name: {json.dumps(name, ensure_ascii=False)}"
        if pa.types.is_struct(told):
            yield "  struct:"
            yield from (f"  {line}" for line in _lines({f.name: f.type for f in told}))
        elif pa.types.is_list(told) and pa.types.is_struct(told.value_type):
            yield "  list:"
            yield from (f"  {line}" for line in _lines({f.name: f.type for f in told.value_type}))
        elif pa.types.is_list(told):
            yield f"  list: {_NAMES[told.value_type]}"
        else:
            yield f"  dtype: {_NAMES[told]}"
