"""From what a reader found to a table of claims: valid Unicode, whole numbers or none, faults noted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.sources.laion import NUMBER_ROLES, TEXT_ROLES, Claim
from schemas.arrow import schema_of
from schemas.reasons import Reason

SCHEMA = schema_of(Claim)


def clean(text: str) -> str:
    """The text with U+FFFD in the place of lone surrogates, which no UTF-8 can hold."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def claims(columns: Mapping[str, pa.Array], rows: int) -> pa.Table:
    """A table of claims from arrays by role; roles that are missing are null.

    Texts may come as bytes. Where they are no UTF-8, U+FFFD stands for what could not be read: an alt
    text goes on like that, while a url would be another one, so that its row is a ``malformed_row``.
    """
    arrays: dict[str, pa.Array] = {}
    fault: list[str | None] | None = None
    note: list[str | None] | None = None
    for role in TEXT_ROLES:
        if role in columns:
            arrays[role], broken = _texts(columns[role])
            if broken and role == "url":
                fault, note = [None] * rows, [None] * rows
                for row in broken:
                    fault[row] = Reason.MALFORMED_ROW.value
                    note[row] = "the url is not valid UTF-8"
    for role in NUMBER_ROLES:
        if role in columns:
            arrays[role] = _numbers(columns[role])
    if fault is not None:
        arrays["fault"], arrays["note"] = pa.array(fault, pa.string()), pa.array(note, pa.string())
    return pa.table([arrays[f.name] if f.name in arrays else pa.nulls(rows, f.type) for f in SCHEMA], schema=SCHEMA)


def as_number(text: str | None) -> float | None:
    """The number that a text says; null for anything else."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _texts(array: pa.Array) -> tuple[pa.Array, list[int]]:
    """The array as strings, and the rows that were no UTF-8."""
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
        try:
            texts.append(None if value is None else value.decode("utf-8"))
        except UnicodeDecodeError:
            broken.append(row)
            texts.append(value.decode("utf-8", "replace"))
    return pa.array(texts, pa.string()), broken


def _numbers(array: pa.Array) -> pa.Array:
    """Doubles; NaN and infinities are unknown, not numbers."""
    values = np.asarray(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    known = np.isfinite(values)
    return array.cast(pa.float64()) if known.all() else pc.if_else(pa.array(known), pa.array(values), None)
