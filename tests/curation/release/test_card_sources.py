"""The card names the files that its rows come from, and a root keeps the name that it had."""

from __future__ import annotations

import pytest

from curation.core.recipes import differences, from_toml, load, to_toml
from curation.release.card import came_from
from curation.release.facts import ReleaseFacts
from schemas.refine import RefineLaion


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ((), ""),
        ((".",), ""),
        (("a.parquet",), "They come from `a.parquet`. "),
        (("b|`<b>.tsv", "a"), "They come from 2 files or folders: `b\\|'<b>.tsv`, `a`. "),
        (tuple("edcba"), "They come from 5 files or folders: the largest shares from `e`, `d`, `c`. "),
    ],
)
def test_source_files_are_named_those_with_the_most_samples_first(sources: tuple[str, ...], said: str) -> None:
    assert came_from(ReleaseFacts({"train": 1}, {"train": 1}, {}, (), (), sources=sources)) == said


def test_a_root_keeps_the_name_that_was_the_default_when_it_was_made() -> None:
    older = from_toml(RefineLaion, b"", "recipe.toml")
    assert older.export.name == "LAION-refined" and RefineLaion().export.name == "Refined image-text pairs"
    assert not differences(older, load(RefineLaion, None, [], base=older))
    assert from_toml(RefineLaion, to_toml(older), "recipe.toml") == older
