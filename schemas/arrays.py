"""Names for the types of Arrow columns, and a column as one array or as Python texts.

``pa.Array`` and ``pa.ChunkedArray`` take type arguments for type checkers only, so that these names are strings at run
time. Use them in annotations.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import pyarrow as pa

Array: TypeAlias = "pa.Array[Any]"
Chunked: TypeAlias = "pa.ChunkedArray[Any]"
Values: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"


def whole(values: Values) -> Array:
    """The values as one array; copied only where they stand in several chunks."""
    if isinstance(values, pa.ChunkedArray):
        return values.chunks[0] if values.num_chunks == 1 else values.combine_chunks()
    return values


def strings(values: Values) -> list[str]:
    """The texts of a column that has no nulls.

    Raises ``TypeError`` for a column of another type than text, ``ValueError`` for a null.
    """
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise TypeError(f"values are {values.type}; expected texts")
    if values.null_count:
        raise ValueError(f"{values.null_count} of {len(values)} texts are null; expected a text in each row")
    return cast(list[str], values.to_pylist())
