"""Further columns of a source as JSON objects, one a row: plain values with their types, within bounds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from curation.sources.options import Options
from curation.sources.source_metadata import clean
from schemas.arrays import Array

_LONGEST_NAME = 200  # characters
_LONGEST_VALUE = 10_000  # characters
_LONGEST_ROW = 100_000  # characters of JSON
_MOST = 200  # columns
_LARGEST = 2**63 - 1  # readers take JSON's integers for 64 bits with a sign


def kept_object(values: Mapping[str, Any]) -> str | None:
    """The object of one row; None where no value is known.

    A text that is too long is cut, and says so at its end. Values beyond what a row may hold are left out, and their
    number stands under the name ``(left out)``.
    """
    found: dict[str, Any] = {}
    size = left_out = 0
    for name, value in values.items():
        plain = _plain(value)
        if plain is None or not name.strip():
            continue
        key = _cut(clean(name), _LONGEST_NAME)
        size += len(key) + (len(plain) if isinstance(plain, str) else 20)
        if size > _LONGEST_ROW or len(found) >= _MOST:
            left_out += 1
        else:
            found[key] = plain
    if left_out:
        found["(left out)"] = left_out
    return json.dumps(found, ensure_ascii=False, allow_nan=False) if found else None


def kept_of_record(record: Mapping[str, Any], options: Options) -> str | None:
    """The object of a record: the plain values that the options keep, and the nested ones that they name in full."""
    nested = [path for path in options.keep if path not in record and value_at(record, path) is not None]
    lists = record.keys() - set(plain := scalars(record))
    names = [*options.kept(plain), *options.kept([*lists, *nested], nested=True)]
    return kept_object({name: value_at(record, name) for name in dict.fromkeys(names)})


def value_at(record: Mapping[str, Any], name: str) -> Any:
    """A value of an object by its key, or by its path with dots; None where there is none."""
    if name in record or "." not in name:
        return record.get(name)
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def kept_objects(columns: Mapping[str, Array | Sequence[Any]], rows: int) -> Array:
    """The objects of a batch, from its columns by name."""
    if not columns:
        return pa.nulls(rows, pa.string())
    lists = {name: _values(values) for name, values in columns.items()}
    names = list(lists)
    return pa.array([kept_object(dict(zip(names, row, strict=True))) for row in zip(*lists.values(), strict=True)])


def _values(values: Array | Sequence[Any]) -> Sequence[Any]:
    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = values.cast(pa.binary())  # texts that are no UTF-8 must not end the reading
    found: Sequence[Any] = values.to_pylist()
    return found


def _plain(value: Any) -> Any:
    """The value as JSON has it; None for an unknown one."""
    match value:
        case None | bool():
            return value
        case int():
            return value if -_LARGEST <= value <= _LARGEST else str(value)
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return _cut(value.decode("utf-8", "replace"), _LONGEST_VALUE)
        case str():
            return _cut(clean(value), _LONGEST_VALUE)
        case list() | dict() | tuple():
            return _cut(clean(json.dumps(value, ensure_ascii=False, default=_spelt)), _LONGEST_VALUE)
    return _cut(clean(str(value)), _LONGEST_VALUE)


def _spelt(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more characters)"


def scalars(values: Mapping[str, Any]) -> list[str]:
    """The names of plain values among those of an object."""
    return [name for name, value in values.items() if not isinstance(value, (list, dict, bytes))]
