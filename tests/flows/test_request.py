"""What a command line asks for: whose limit counts, and which settings its help recommends."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation.core.invocation import command_of, started_as
from curation.core.recipes import load
from curation.core.root import write_recipe
from curation.core.store import Store
from curation.products import PRODUCTS
from curation.products.product import Product
from curation.release.views.verdicts import stage_names
from flows import cli, dedupe
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
    text = " ".join(command_line("flows.any", product).format_help().split())
    examples = re.findall(r"e\.g\. ([\w.]+=[^;\s]+)", text)
    assert examples
    assert load(product.recipe, None, examples) != product.recipe()


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.name)
def test_help_names_each_stage_once_and_each_of_its_reasons_with_its_meaning(product: Product[Any]) -> None:
    """Stages and reasons come from the declarations, and what stands behind them speaks of no tables or rows."""
    lines = command_line("flows.any", product).format_help().split("stages, in their order")[1].splitlines()
    headings = [found[1] for line in lines if (found := re.match(r"  (\w+): [A-Z]", line))]
    steps = product.steps(product.recipe(), ())
    assert headings == [s for s in stage_names([p for step in steps for p in step.parts]) if s != "release"]
    assert not any("``" in line for line in lines)
    reasons = Counter(line for line in lines if re.match(r"      \w+  +\w", line))
    assert len(reasons) > len(headings)
    assert not [line for line in lines if re.fullmatch(r"      [\w, ]+,", line)], "no list without meanings"


def _helps() -> Iterator[str]:
    yield from (command_line("flows.any", product).format_help() for product in PRODUCTS)
    yield dedupe.parser().format_help()


def test_no_line_of_help_ends_in_blanks() -> None:
    assert [line for text in _helps() for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_speaks_of_the_command_that_was_started(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, _ = cli.COMMANDS[name]
    for start, own, other in (
        (lambda: cli.main([name, "--help"]), f"lapidary {name}", "python -m"),
        (lambda: importlib.import_module(module).main(["--help"]), f"python -m {module}", "lapidary "),
    ):
        with pytest.raises(SystemExit) as ended:
            start()
        text = " ".join(capsys.readouterr().out.split())
        assert ended.value.code == 0
        assert text.startswith(f"usage: {own} ") and other not in text


def test_hints_speak_of_the_command_that_was_started() -> None:
    request = Request("flows.refine_laion", ("a b",), "r")
    other = dedupe.Request(("r",))
    assert request.command().startswith("python -m flows.refine_laion --source 'a b'")
    with started_as({"flows.refine_laion": "lapidary refine", "flows.dedupe": "lapidary dedupe"}):
        assert request.command().startswith("lapidary refine --source 'a b'")
        assert other.command().startswith("lapidary dedupe r --out")
    assert command_of("flows.dedupe") == "python -m flows.dedupe"
