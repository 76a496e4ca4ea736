"""The types of a sample's members, declared so that a reader need not guess them from the first samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from curation.core.verdict import Annotates
from schemas.arrow import Record, schema_of
from schemas.records import Placement

Types = Mapping[str, pa.DataType]

_NAMES = {pa.string(): "string", pa.int64(): "int64", pa.float64(): "float64"}
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


def annotation_types(kinds: Iterable[str], parts: Iterable[object]) -> Types:
    """The keys that a sample's .json may have: what every sample has, its captions by kind, what ``parts`` declare."""
    captions = [(kind, pa.string()) for kind in dict.fromkeys(kinds)]
    declared = {k.name: _plain(k.arrow) for p in parts if isinstance(p, Annotates) for k in p.annotations.keys}
    return {**_PLACEMENT, **({"captions": pa.struct(captions)} if captions else {}), **declared}


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
