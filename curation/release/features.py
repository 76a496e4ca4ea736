"""The types of a sample's members, declared so that a reader need not guess them from the first samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from schemas.arrow import Record, schema_of
from schemas.news import Abstractness, CleanCaption, Conditioning, NamedEntity, NewsArticle, SubjectWeight
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
    if pa.types.is_integer(told):
        return pa.int64()
    return pa.float64() if pa.types.is_floating(told) else told


_PLACEMENT: Types = _types(Placement, without=_NOT_TOLD) | _OTHERWISE

NEWS: Types = {
    **_types(NewsArticle, "outlet", "topic", "date", "headline", "article_id", "article_url", "published_split"),
    "cleaning_rules": _types(CleanCaption, "rules")["rules"],
    "entities": pa.list_(pa.struct(_types(NamedEntity, "text", "label", "start", "end", "score"))),
    "subjects": pa.list_(pa.struct(_types(SubjectWeight, "text", "weight", "spread", "kind", "start", "end"))),
    "subjects_by": pa.string(),
    **_types(Abstractness, "abstractiveness", "subset", "literal"),
    **_types(Conditioning, "compel", "weighted", "prefixed", "token_weights"),
    "subjects_beyond": _types(Conditioning, "beyond")["beyond"],
}
"""What a news sample's .json tells beside what every sample's does."""


def annotation_types(kinds: Iterable[str], more: Types) -> Types:
    """The keys that a sample's .json may have; ``kinds`` are those of its captions, ``more`` the recipe's own."""
    captions = {kind: pa.string() for kind in kinds}
    return {**_PLACEMENT, **({"captions": pa.struct(captions)} if captions else {}), **more}


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
