"""Entries of a list are found in texts as whole words, whatever the list looks like."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation.caption.entries import Entries
from curation.core.errors import RecipeError


def found(entries: Entries, *texts: str | None) -> list[list[str]]:
    offsets, numbers = entries.matcher()(pa.array(texts, pa.string()))
    return [[entries.names[n] for n in numbers[a:b]] for a, b in itertools.pairwise(offsets)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("A dog runs", ["dog"]),
        ("dogma, a hotdog and underdogs", []),
        ("DOG!", ["dog"]),
        ('"dog", (hot dog); dog/cat', ["dog", "hot dog"]),
        ("a hot\n\tdog\u00a0barks", ["dog", "hot dog"]),
        ("the dog's bone", ["dog"]),
        ("a dog-like thing", []),
        ("in St. Louis, Missouri", ["St. Louis"]),
        ("in St Louis", []),
        ("ÉCOLE de danse", ["école"]),
        ("一只大熊猫在睡觉", ["熊猫"]),
        ("dog dog dog", ["dog"]),
        ("", []),
        (None, []),
    ],
)
def test_entries_are_found_as_whole_words(text: str | None, named: list[str]) -> None:
    entries = Entries.of(["dog", "hot dog", "St. Louis", "école", "熊猫", "cow"])
    assert found(entries, text) == [named]


def test_a_search_in_all_texts_is_that_in_each(tmp_path: Path) -> None:
    words = ["red", "green", "blue", "house", "red house", "house green", "green house blue"]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice([*words, "and", "a"], rng.integers(0, 9))) for _ in range(200)]
    expected = [sorted(w for w in words if f" {w} " in f" {text} ") for text in texts]
    assert found(Entries.of(words), *texts) == expected


def test_lists_in_any_order_and_form_are_the_same_list(tmp_path: Path) -> None:
    lines, listed = tmp_path / "entries.txt", tmp_path / "entries.json"
    lines.write_text("\ufeffdog\r\n\n  hot   dog \nDog\n", "utf-8")
    listed.write_text(json.dumps(["hot dog", "dog"]))
    one, two = (Entries.read(str(p), "balance.entries") for p in (lines, listed))
    assert one.names == two.names == ("dog", "hot dog")
    assert one.digest == two.digest != Entries.of(["dog"]).digest
    assert (one.hashes(1) == two.hashes(1)).all() and not (one.hashes(1) == one.hashes(2)).any()


def test_plural_and_singular_nouns_are_one_entry() -> None:
    assert found(Entries.nouns(), "two dogs", "a dog", "qwerty") == [["dog"], ["dog"], []]


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"\n  \n", "no entry"), (b"[]", "no entry"), (b"[1]", "expected texts"), (b"\xff\xfe", "UTF-8")],
)
def test_what_is_no_list_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "entries.json"
    path.write_bytes(data)
    with pytest.raises(RecipeError, match=said):
        Entries.read(str(path), "balance.entries")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"balance\.entries names .*missing\.txt"):
        Entries.read(str(tmp_path / "missing.txt"), "balance.entries")
