"""Thumbnails in a file are read again by their numbers, in any order, and none where there is none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.dedupe import thumbnail_file
from curation.dedupe.search.thumbnails import THUMBNAIL_WORDS
from curation.dedupe.thumbnail_file import THUMBNAIL_BYTES, ThumbnailFile

COUNT = 9


def word(number: int) -> bytes:
    return bytes([number + 1]) * THUMBNAIL_BYTES


@pytest.fixture(scope="module")
def file() -> ThumbnailFile:
    """Thumbnails that were added in two parts, with gaps."""
    found = ThumbnailFile()
    kind = pa.binary(THUMBNAIL_BYTES)
    parts = [[None, word(0), word(1), None, word(2)], [word(n) for n in range(3, COUNT)]]
    numbers = [found.add(pa.chunked_array([pa.array(part, kind)])).to_pylist() for part in parts]
    assert numbers == [[None, 0, 1, None, 2], list(range(3, COUNT))]
    return found


@pytest.mark.parametrize("at_once", [1, 2, 1 << 20])
@given(asked=st.lists(st.none() | st.integers(0, COUNT - 1), max_size=30))
def test_any_numbers_give_their_thumbnails(file: ThumbnailFile, at_once: int, asked: list[int | None]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(thumbnail_file, "_AT_ONCE", at_once)
        numbers = pa.array(asked, pa.int64())
        rows = file.words(numbers)
    assert rows.shape == (len(asked), THUMBNAIL_WORDS) and rows.dtype == np.uint64
    assert [bytes(row) for row in rows] == [bytes(THUMBNAIL_BYTES) if n is None else word(n) for n in asked]
    assert file.column(numbers).to_pylist() == [None if n is None else word(n) for n in asked]


@given(start=st.integers(0, COUNT - 1), nulls=st.integers(0, 3))
def test_a_run_of_numbers_behind_gaps_is_read_whole(file: ThumbnailFile, start: int, nulls: int) -> None:
    asked = [None] * nulls + list(range(start, COUNT))
    assert file.column(pa.array(asked, pa.int64())).to_pylist() == [None if n is None else word(n) for n in asked]
