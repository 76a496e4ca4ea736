"""Briefs follow from seed, category and number alone; quotas add up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.core.errors import RecipeError
from curation.dense_prompts.seeds import Seeds, apportion, draw_brief

GENERAL = Seeds.load("general")


@pytest.mark.parametrize("name", ["general", "demo"])
def test_a_brief_is_the_same_in_every_run_and_others_differ(name: str) -> None:
    seeds, again = Seeds.load(name), Seeds.load(name)
    for category in seeds.by_name:
        briefs = [draw_brief(seeds, category, n, 0) for n in range(50)]
        assert briefs == [draw_brief(again, category, n, 0) for n in range(50)]
        assert len({str(b) for b in briefs}) == 50
        assert briefs != [draw_brief(seeds, category, n, 1) for n in range(50)]


def test_every_brief_asks_for_what_its_category_needs() -> None:
    for category in GENERAL.categories:
        for brief in (draw_brief(GENERAL, category.name, n, 3) for n in range(100)):
            assert brief.subjects[0].name in category.subjects
            assert bool(brief.text) >= ("text" in category.needs) and bool(brief.style) >= ("style" in category.needs)
            if "counts" in category.needs:
                assert all(s.count != "one" for s in brief.subjects)
            if "relations" in category.needs and len(brief.subjects) > 1:
                assert brief.relation


def test_the_subjects_of_a_category_are_drawn_evenly() -> None:
    drawn = Counter(draw_brief(GENERAL, "animals", n, 0).subjects[0].name for n in range(2400))
    assert set(drawn) == set(GENERAL.by_name["animals"].subjects)
    assert max(drawn.values()) < 2 * min(drawn.values())


@given(
    st.integers(0, 10_000),
    st.dictionaries(st.text(min_size=1, max_size=4), st.floats(0.01, 100), min_size=1, max_size=20),
)
def test_quotas_add_up_and_none_is_off_by_one_prompt(size: int, weights: dict[str, float]) -> None:
    shares = apportion(size, weights)
    assert sum(shares.values()) == size
    total = sum(weights.values())
    assert all(abs(shares[name] - size * weight / total) <= 1 for name, weight in weights.items())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = [", "as TOML"),
        ("[vocabulary]\n", "category"),
        ('[vocabulary]\na = ["b"]\n[[category]]\nname = "x"\nweight = 1\nsubjects = []\n', "subjects"),
        ('[vocabulary]\na = ["b"]\n[[category]]\nname = "x"\nweight = 1\nsubjects = ["y"]\n', "'relations'"),
    ],
)
def test_unsound_seeds_are_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "seeds.toml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=said) as error:
        Seeds.load(str(file))
    assert "\n" not in str(error.value)


def test_seeds_that_are_not_there_name_those_that_are() -> None:
    with pytest.raises(RecipeError, match="demo, general"):
        Seeds.load("nosuch")


def test_an_unknown_category_and_weights_of_nothing_are_refused() -> None:
    with pytest.raises(RecipeError, match="'cats'"):
        GENERAL.weights({"cats": 1.0})
    with pytest.raises(RecipeError, match="above 0"):
        GENERAL.weights(dict.fromkeys(GENERAL.by_name, 0.0))
