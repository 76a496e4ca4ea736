"""What a source states about one row, before any filter: the record, and tables of it with valid Unicode."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrays import Array, Chunked, Values
from schemas.arrow import Record, schema_of
from schemas.reasons import Reason


@dataclasses.dataclass(frozen=True, slots=True)
class SourceMetadata(Record):
    """What a source states about one row, before any filter has seen it."""

    table: ClassVar[str] = "source_metadata"

    url: Annotated[str | None, "where the image is"] = None
    alt_text: Annotated[str | None, "the text that came with it"] = None
    width: Annotated[float | None, "pixels"] = None
    height: Annotated[float | None, "pixels"] = None
    similarity: Annotated[float | None, "CLIP image-text similarity"] = None
    aesthetic: Annotated[float | None, "aesthetic score"] = None
    punsafe: Annotated[float | None, "probability of unsafe content"] = None
    pwatermark: Annotated[float | None, "probability of a watermark"] = None
    language: Annotated[str | None, "language"] = None
    license: Annotated[str | None, "licence"] = None
    md5: Annotated[str | None, "of the original bytes, hex"] = None
    sha256: Annotated[str | None, "of the original bytes, hex"] = None
    content: Annotated[str | None, "takes the place of the url for a local image that has none"] = None
    local_file: Annotated[str | None, "fsspec URL of the file or tar with the pixels"] = None
    local_offset: Annotated[int | None, "bytes from the start of that file"] = None
    local_size: Annotated[int | None, "bytes"] = None
    fault: Annotated[Reason | None, "why the row cannot be used, whatever the filters decide"] = None
    note: Annotated[str | None, "what was wrong with the row"] = None
    known_text: Annotated[str | None, "the text that the id is made of, where alt_text was trimmed"] = None
    columns: Annotated[str | None, "further columns, a JSON object"] = None


TEXT_ROLES = ("url", "alt_text", "language", "license", "md5", "sha256")
NUMBER_ROLES = ("width", "height", "similarity", "aesthetic", "punsafe", "pwatermark")
SCHEMA = schema_of(SourceMetadata)

_URL_BROKEN = "the url is not valid UTF-8"
_TEXT_BROKEN = "the text is not valid UTF-8; each part that could not be read became U+FFFD"


def clean(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, replaced by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def metadata_table(columns: Mapping[str, Array], rows: int) -> pa.Table:
    """A table of ``SourceMetadata`` from arrays by role; a role without an array is null.

    Texts may come as bytes. Where they are not valid UTF-8, the unreadable parts become U+FFFD. An alt text stays
    usable and gets a note. A url would become a different url, so its row becomes a ``malformed_row``.
    """
    arrays: dict[str, Array] = {}
    broken: dict[str, list[int]] = {}
    for role in TEXT_ROLES:
        if role in columns:
            arrays[role], broken[role] = _texts(columns[role])
    faults = dict.fromkeys(broken.get("url", ()), Reason.MALFORMED_ROW.value)
    notes = dict.fromkeys(broken.get("alt_text", ()), _TEXT_BROKEN) | dict.fromkeys(faults, _URL_BROKEN)
    for role in NUMBER_ROLES:
        if role in columns:
            arrays[role] = _numbers(columns[role])
    for name, values in (("fault", faults), ("note", notes)):
        if values:
            arrays[name] = pa.array([values.get(row) for row in range(rows)], pa.string())
    return pa.table([arrays[f.name] if f.name in arrays else pa.nulls(rows, f.type) for f in SCHEMA], schema=SCHEMA)


def first_of(first: Values, second: Values) -> Values:
    """Values of the first column, and of the second where those are null."""
    found: Values = pc.coalesce(first, second)
    return found


def put(table: pa.Table, name: str, values: Array | Chunked) -> pa.Table:
    """The table with other values in one of its columns."""
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), values)


def with_path_roles(tables: Iterator[pa.Table], roles: Sequence[tuple[str, str]]) -> Iterator[pa.Table]:
    """The tables with values that the path gives for roles, in the rows that have none of their own."""
    for table in tables:
        for role, text in roles:
            value = as_number(text) if role in NUMBER_ROLES else text
            if value is not None:
                own = table[role]
                table = put(table, role, own.fill_null(pa.scalar(value, own.type)))
        yield table


def as_number(text: str | None) -> float | None:
    """The number that a text spells; None for anything else."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _texts(array: Array) -> tuple[Array, list[int]]:
    """The array as strings, and the rows that were not valid UTF-8."""
    if pa.types.is_string(array.type):
        return array, []
    if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        return array.cast(pa.string()), []
    try:
        return array.cast(pa.string()), []
    except pa.ArrowInvalid:
        values = array.to_pylist()
    broken: list[int] = []
    texts: list[str | None] = []
    for row, value in enumerate(values):
        if value is None:
            texts.append(None)
            continue
        try:
            texts.append(value.decode("utf-8"))
        except UnicodeDecodeError:
            broken.append(row)
            texts.append(value.decode("utf-8", "replace"))
    return pa.array(texts, pa.string()), broken


def _numbers(array: Array) -> Array:
    """Doubles; NaN and infinities become null."""
    values = np.asarray(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    known = np.isfinite(values)
    return array.cast(pa.float64()) if known.all() else pc.if_else(pa.array(known), pa.array(values), None)
