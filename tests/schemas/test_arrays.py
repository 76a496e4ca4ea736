"""Columns as one array and as Python texts."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.arrays import strings, whole

CHUNKS = st.lists(st.lists(st.text(max_size=3), max_size=4), max_size=4)


@given(CHUNKS, st.sampled_from([pa.string(), pa.large_string()]))
def test_a_column_is_the_same_texts_however_it_is_cut(chunks: list[list[str]], kind: pa.DataType) -> None:
    column = pa.chunked_array([pa.array(chunk, kind) for chunk in chunks], kind)
    texts = [text for chunk in chunks for text in chunk]
    array = whole(column)
    assert isinstance(array, pa.Array)
    assert array.type == kind
    assert strings(array) == strings(column) == texts


def test_one_chunk_is_not_copied() -> None:
    array = pa.array(["a", "b", "c"])[1:]
    again = whole(pa.chunked_array([array]))
    assert [b and b.address for b in again.buffers()] == [b and b.address for b in array.buffers()]
    assert whole(array) is array


def test_a_null_text_is_refused() -> None:
    with pytest.raises(ValueError, match="2 of 3 texts are null"):
        strings(pa.chunked_array([["a", None], [None]]))


@pytest.mark.parametrize("kind", [pa.binary(), pa.int64(), pa.list_(pa.string()), pa.null()])
def test_another_type_than_text_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(TypeError, match="expected texts"):
        strings(pa.nulls(1, kind))
