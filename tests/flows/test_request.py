"""What a command line asks for: whose limit counts, and which settings its help recommends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from curation.core.recipes import load
from curation.core.root import write_recipe
from curation.core.store import Store
from curation.products import PRODUCTS
from curation.products.product import Product
from flows.request import Request, command_line
from schemas.refine import RefineLaion


def limit_of(store: Store, *settings: str, recipe: str | None = None, limit: int = 0) -> int:
    """The limit of a run that is asked for so; the root keeps the run's recipe."""
    found = Request("flows.refine_laion", (), store.url, recipe, settings, limit).resolve(RefineLaion, store)
    write_recipe(store, found)
    return found.source.limit


@pytest.fixture
def root(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A recipe with a limit of its own."""
    (tmp_path / "mine.toml").write_text("[source]\nlimit = 1000\n")
    return str(tmp_path / "mine.toml")


def test_the_limit_of_a_recipe_file_counts(root: Store, file: str) -> None:
    assert limit_of(root, recipe=file) == 1000
    assert limit_of(root, recipe=file) == 1000, "in a second run too"


@pytest.mark.parametrize("setting", ["source.limit=7", " source.limit =7", "source={limit=7}", "source = {limit = 7}"])
def test_the_limit_of_a_setting_counts_however_it_is_spelt(setting: str, root: Store, file: str) -> None:
    assert limit_of(root, setting) == 7
    assert limit_of(root, setting, recipe=file) == 7


def test_the_option_counts_before_settings_and_file(root: Store, file: str) -> None:
    assert limit_of(root, "source={limit=7}", recipe=file, limit=3) == 3


def test_a_root_forgets_its_limit(root: Store, file: str) -> None:
    for settings, recipe, limit in (((), None, 5), (("source.limit=5",), None, 0), ((), file, 0)):
        assert limit_of(root, *settings, recipe=recipe, limit=limit) > 0
        assert limit_of(root) == 0
        assert limit_of(root, *settings, recipe=recipe, limit=limit) > 0
        assert limit_of(root, "source.min_words=2") == 0, "a setting of another key brings no limit back"
        assert limit_of(root, "source.min_words=0") == 0


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.name)
def test_what_help_gives_as_an_example_can_be_set(product: Product[Any]) -> None:
    told = " ".join(command_line("flows.any", product).format_help().split())
    examples = re.findall(r"e\.g\. ([\w.]+=[^;\s]+)", told)
    assert examples
    assert load(product.recipe, None, examples) != product.recipe()
