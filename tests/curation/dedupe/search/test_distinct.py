"""Words as arrays of fixed-size binary, and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.dedupe.search.distinct import fixed_array, words_in
from curation.dedupe.search.kernels import Words

ROWS = st.lists(st.binary(min_size=16, max_size=16), max_size=6)


@given(ROWS, st.integers(0, 6), st.integers(0, 6), st.sampled_from([">u8", "<u8"]))
def test_words_of_any_part_of_an_array_are_those_of_its_rows(
    rows: list[bytes], start: int, count: int, kind: str
) -> None:
    array = pa.array(rows, pa.binary(16)).slice(min(start, len(rows)), count)
    words = words_in(array, kind)
    assert words.shape == (len(array), 2)
    assert [row.tobytes() for row in words] == array.to_pylist()
    assert fixed_array(words).equals(array)


@pytest.mark.parametrize("turn", [lambda w: w, lambda w: w[::-1], lambda w: w[:, ::-1], lambda w: w[:0]])
def test_an_array_has_the_words_in_whatever_order_they_lie(turn: Callable[[Words], Words]) -> None:
    words = turn(np.arange(12, dtype=np.uint64).reshape(4, 3))
    array = fixed_array(words)
    assert array.type == pa.binary(24)
    assert (words_in(array, np.uint64) == words).all()
