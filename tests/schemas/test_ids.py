"""Names and identities follow from content."""

from __future__ import annotations

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import sample_id, sample_ids, shard_name

text = st.text()


@given(text, text, text, text)
def test_a_sample_is_its_url_and_alt_text(url: str, alt: str, other_url: str, other_alt: str) -> None:
    same = (url, alt) == (other_url, other_alt)
    assert (sample_id(url, alt) == sample_id(other_url, other_alt)) is same


@given(text, text)
def test_moving_a_character_from_url_to_alt_text_makes_another_sample(url: str, alt: str) -> None:
    assert sample_id(url + "x", alt) != sample_id(url, "x" + alt)


def test_an_id_is_the_same_on_every_machine() -> None:
    assert sample_id("http://a/b.jpg", "a dog") == "5821acb4140c03fb662e358e0f616a6f"


@given(text, st.integers(0, 99_999))
def test_a_shard_name_is_safe_in_paths(file: str, part: int) -> None:
    assert re.fullmatch(r"[a-z0-9-]+-[0-9a-f]{8}-\d{5}", shard_name(file, part))


@given(text, text)
def test_two_files_never_share_a_shard(a: str, b: str) -> None:
    assert (shard_name(a, 0) == shard_name(b, 0)) is (a == b)


@given(st.lists(st.tuples(st.text(), st.text()), max_size=20))
def test_ids_of_columns_are_those_of_their_pairs(pairs: list[tuple[str, str]]) -> None:
    columns = [pa.chunked_array([[p[at] for p in pairs]], pa.string()) for at in (0, 1)]
    assert sample_ids(*columns).to_pylist() == [sample_id(*pair) for pair in pairs]
