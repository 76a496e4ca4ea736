"""One caption for many different images is found; many captions are not."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.caption.check.repeated import Repeated, repeated, repeated_captions
from curation.caption.model.chat import ChatRequest
from curation.caption.model.scripted import plain_english

SAME = "A large red circle stands in front of a pale green wall."


def catalog(pairs: list[tuple[str | None, str]]) -> duckdb.DuckDBPyConnection:
    """The two views of a root with these captions, a sample each; an image called none is not in its table."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE captions (sample_id VARCHAR, kind VARCHAR, text VARCHAR)")
    connection.execute("CREATE TABLE images (sample_id VARCHAR, sha256 VARCHAR)")
    for n, (text, image) in enumerate(pairs):
        connection.execute("INSERT INTO captions VALUES (?, 'dense', ?)", [f"s{n:04d}", text])
        if image != "none":
            connection.execute("INSERT INTO images VALUES (?, ?)", [f"s{n:04d}", image])
    return connection


@pytest.mark.parametrize("images", [6, 9, 50])
def test_one_caption_for_all_images_is_found(images: int) -> None:
    pairs = [(SAME, f"image {n}") for n in range(images)]
    assert repeated(pairs) == repeated_captions(catalog([*pairs])) == [Repeated(SAME, images)]


@pytest.mark.parametrize(
    "spell",
    [
        lambda n: SAME,
        lambda n: SAME.upper() if n % 2 else SAME,
        lambda n: SAME.replace(" ", " " * (1 + n % 3)),
        lambda n: SAME.rstrip(".") + "." * (n % 3),
        lambda n: f"“{SAME}”" if n % 2 else f"\n{SAME}\n",
        lambda n: SAME.replace(" ", "\u00a0") if n % 2 else SAME.replace(" ", ", "),
    ],
)
def test_spellings_of_one_caption_are_one(spell: object) -> None:
    pairs = [(spell(n), f"image {n}") for n in range(9)]  # type: ignore[operator]
    assert [r.images for r in repeated(pairs)] == [r.images for r in repeated_captions(catalog(pairs))] == [9]


def test_what_is_no_fault_is_not_found() -> None:
    own = [(plain_english(ChatRequest("k", "u", image=bytes([n]) * 30)), f"image {n}") for n in range(60)]
    one_image = [(SAME, "image")] * 60
    few = [(SAME, f"image {n}") for n in range(5)]
    empty = [(text, f"image {n}") for n, text in enumerate(["", " ", ".", "…"] * 5)]
    for pairs in (own, one_image, few, empty):
        assert repeated(pairs) == repeated_captions(catalog([*pairs])) == []


def test_the_worst_come_first_and_not_all_of_them() -> None:
    pairs = [(f"caption number {n}", f"image {i}") for n in range(20) for i in range(6 + n)]
    found = repeated_captions(catalog([*pairs, (None, "image 1")]), most=3)
    assert found == [Repeated(f"caption number {n}", 6 + n) for n in (19, 18, 17)] == repeated(pairs)[:3]
    assert len(repeated_captions(catalog([*pairs]), more_than=24)) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.text(alphabet="aAéÉ1. _-\u00a0\n²Ⅳ日", max_size=3), st.sampled_from("wxyz")), max_size=30),
    st.integers(0, 3),
)
def test_duckdb_and_python_find_the_same(pairs: list[tuple[str, str]], more_than: int) -> None:
    assert repeated_captions(catalog([*pairs]), more_than, 100) == repeated(pairs, more_than)
