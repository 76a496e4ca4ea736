"""A root or a recipe file of another or of an unknown product is refused in one line, which names the known ones."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from curation.catalog import main as ask
from curation.products import PRODUCTS
from flows.tasks import EXIT_USAGE

MODULES = {
    "refine": "flows.refine_laion",
    "anchor": "flows.build_anchor",
    "dense_prompts": "flows.dense_prompts",
    "expand": "flows.expand",
}
UNKNOWN = [
    'product = "nosuch"\n',
    "product = 3\n",
    'product = ""\n',
    'product = "a\\u001b[2Jb"\n',
    "[product]\na = 1\n",
]


def refused(product: str, root: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """The one line with which the product's command refuses a run."""
    words = ["--source", "nowhere", "--root", str(root), "--engine", "local", "--dry-run", *more]
    assert importlib.import_module(MODULES[product]).main(words) == EXIT_USAGE
    line = capsys.readouterr().err.removesuffix("\n")
    assert line.startswith("error: ") and line.isprintable()
    return line


@pytest.mark.parametrize("recipe", UNKNOWN)
@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.name)
def test_an_unknown_product_is_refused_by_naming_the_known_ones(
    product: object, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = product.name  # type: ignore[attr-defined]
    known = ", ".join(p.name for p in PRODUCTS)
    file = tmp_path / "recipe.toml"
    file.write_text(recipe)
    assert known in refused(name, tmp_path, capsys)
    assert known in refused(name, tmp_path / "new", capsys, "--recipe", str(file))
    assert ask([str(tmp_path), "from funnel"]) == EXIT_USAGE
    asked = capsys.readouterr().err
    assert known in asked and asked.count("\n") == 1


@pytest.mark.parametrize(
    ("mine", "other"),
    [("refine", "anchor"), ("anchor", "refine"), ("dense_prompts", "refine"), ("expand", "refine")],
)
def test_the_root_and_the_recipe_of_another_product_are_refused_by_its_name(
    mine: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(f'product = "{other}"\n')
    assert f"'{other}', not '{mine}'" in refused(mine, tmp_path, capsys)
    assert f"'{other}', not '{mine}'" in refused(mine, tmp_path / "new", capsys, "--recipe", str(file))


def test_a_root_that_names_no_product_is_of_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.toml").write_text("[source]\nmin_words = 2\n")
    assert "'refine', not 'anchor'" in refused("anchor", tmp_path, capsys)
    assert "nowhere" in refused("refine", tmp_path, capsys)
