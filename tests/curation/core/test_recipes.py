"""A recipe says what it means, or says what is wrong with it in one line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from curation.core.errors import RecipeError
from curation.core.recipes import differences, document, from_toml, load, parse, to_toml
from curation.release.top_reduce import scores
from curation.scores.installed import OWN, WITH_MODELS
from schemas.anchor import BuildAnchor
from schemas.chat import Captioning
from schemas.dense_prompts import DensePrompts
from schemas.duplicates import FindDuplicates
from schemas.expand import ExpandImages
from schemas.part import Part
from schemas.refine import RefineLaion
from schemas.scores import Limit

RECIPES = (RefineLaion, BuildAnchor, FindDuplicates, DensePrompts, ExpandImages)
PROJECT = Path(__file__).resolve().parents[3]
FLOORS = ("schemas", "curation", "flows")


def test_an_empty_file_is_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("")
    assert load(RefineLaion, str(tmp_path / "r.toml")) == RefineLaion()


@pytest.mark.parametrize("model", RECIPES)
@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
def test_every_number_is_finite(model: type[Part], number: str) -> None:
    keys = list(numbers(model))
    assert keys or model is FindDuplicates
    for key in keys:
        with pytest.raises(RecipeError, match=f"{re.escape(key)}: expected a finite number, found {number}"):
            load(model, None, [f"{key}={number}"])


def numbers(model: type[Part], prefix: str = "") -> Iterator[str]:
    """The keys whose values are numbers with a fraction, alone or by name."""
    for name, field in model.model_fields.items():
        hint = field.annotation
        if isinstance(hint, type) and issubclass(hint, Part):
            yield from numbers(hint, f"{prefix}{name}.")
        elif hint in (float, float | None):
            yield prefix + name
        elif hint == dict[str, float]:
            yield f"{prefix}{name}.x"
    if model.further is not None:
        yield from numbers(model.further, f"{prefix}entropy.")


def test_a_recipe_survives_the_trip_through_toml() -> None:
    recipe = load(
        RefineLaion,
        None,
        [
            "source.max_punsafe=none",
            "dedupe.distance=7",
            "caption.model=Qwen/Qwen2.5-VL-7B-Instruct",
            'caption.kinds=[{kind="short", prompt="short"}, {kind="dense", prompt="fuse", max_tokens=100}]',
            'download.allow_private_hosts=["127.0.0.1:80"]',
        ],
    )
    assert recipe.source.max_punsafe is None
    assert recipe.caption.model == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert from_toml(RefineLaion, to_toml(recipe), "here") == recipe


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("caption.modle=x", "did you mean 'caption.model'"),
        ("captoin.model=x", "did you mean 'caption'"),
        ("min_words=3", "did you mean 'check.min_words'"),
        ('caption.kinds=[{kind="a", prompt="b", max_token=3}]', "did you mean 'caption.kinds.0.max_tokens'"),
        ("dedupe.distance=99", "dedupe.distance: expected 16 or less, found 99"),
        ("dedupe.distance=four", "dedupe.distance: expected a whole number, found 'four'"),
        ("check.max_words=20", "check.max_words: expected a table, {NAME = VALUE}, found 20"),
        ("check.max_words.dense=x", "check.max_words.dense: expected a whole number, found 'x'"),
        ("source.min_words=1.5", "source.min_words: expected a whole number, found 1.5"),
        ("source.columns.url=3", r"source.columns.url: expected a text or a list, \[VALUE, …\], found 3"),
        ("source.languages=en", r"source.languages: expected a list, \[VALUE, …\], found 'en'"),
        ("download.timeout=0", "download.timeout: expected more than 0.0, found 0"),
        ("download.timeout=inf", "download.timeout: expected a finite number, found inf"),
        ("download.timeout=Infinity", "download.timeout: expected a finite number, found 'Infinity'"),
        ("source.min_similarity=nan", "source.min_similarity: expected a finite number, found nan"),
        ("scores.sampled={ocr=nan}", "scores.sampled.ocr: expected a finite number, found nan"),
        ("caption.lengths={dense=[[30, inf]]}", "expected a finite number, found inf"),
        ("caption.parameters.add={x=[inf]}", "parameters.add.x is .inf., which a request in JSON cannot say"),
        ("caption.parameters.add={day=1979-05-27}", "parameters.add.day is .*, which a request in JSON cannot say"),
        ("download.format=gif", "download.format: expected 'jpeg', 'webp' or 'png', found 'gif'"),
        ("signals.robots=7", "signals.robots: expected true or false, found 7"),
        ('caption.kinds=[{kind="dense"}]', "caption.kinds.0.prompt is missing"),
        ("caption.kinds=[]", "caption.kinds is empty"),
        ('export.prefer=["poem"]', r"export.prefer \['poem'\] names none of the kinds"),
        ("caption.backend=server", "caption.endpoints is empty"),
        ("check.min_words={dense=50}\ncheck.max_words={dense=20}", "check.min_words.dense 50 is above"),
        ("source.min_characters=9\nsource.max_characters=5", "no row can pass"),
        ("export.val=0.5\nexport.test=0.5", "leaves no train split"),
        ("caption", "not key=value"),
        ("dedupe.distance.x=1", None),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(told: str, said: str | None) -> None:
    with pytest.raises(RecipeError, match=said) as error:
        load(RefineLaion, None, told.split("\n"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"), [("[source", "is not TOML"), (None, "no recipe at"), ("\udcff", "cannot read the recipe")]
)
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "r.toml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RecipeError, match=said) as error:
        load(RefineLaion, str(path))
    assert str(path) in str(error.value)


def test_help_documents_every_key_where_it_is_declared() -> None:
    told = document(RefineLaion)
    for part, field in RefineLaion.model_fields.items():
        inner = field.annotation
        assert isinstance(inner, type) and issubclass(inner, Part)
        for key, info in keys_of(inner, f"{part}."):
            assert f"{key} = " in told
            assert info.description and info.description in told


def keys_of(part: type[Part], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for key, info in part.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, Part):
            yield from keys_of(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", info


@pytest.mark.parametrize("model", RECIPES)
@pytest.mark.parametrize("value", ["x", 7, 1.5, -1, True, ["x"], {"x": "x"}, [{"x": 1}], [-1]])
def test_no_value_of_any_key_is_refused_in_the_words_of_pydantic(model: type[Part], value: object) -> None:
    said = []
    for table, field in model.model_fields.items():
        inner = field.annotation
        for key in inner.model_fields if isinstance(inner, type) and issubclass(inner, Part) else ():
            try:
                parse(model, {table: {key: value}})
            except RecipeError as error:
                said.append(str(error))
    assert said
    foreign = re.compile(r"\n|Input should|unable to|valid (?:integer|number|string|list|dict)")
    assert [line for line in said if foreign.search(line)] == []


@pytest.mark.parametrize("model", RECIPES)
def test_help_says_what_free_means_before_it_says_free_of_a_key(model: type[Part]) -> None:
    told = document(model)
    assert told.index("(free): changes") == told.index("(free)")
    for line in told.splitlines():
        assert not re.match(r"\s+likewise\b|.*\blikewise( \[[^\]]+\])?$", line), line


def test_free_keys_are_no_difference() -> None:
    a = load(RefineLaion, None, ["download.threads=3", "source.limit=7"])
    assert differences(RefineLaion(), a) == []
    b = load(RefineLaion, None, ["dedupe.distance=3", 'check.allowed_names=["Bob"]'])
    assert [d.key for d in differences(a, b)] == ["check.allowed_names", "dedupe.distance"]


@pytest.mark.parametrize("model", RECIPES)
def test_the_example_for_a_malformed_setting_can_be_set(model: type[Part]) -> None:
    with pytest.raises(RecipeError, match="not key=value") as error:
        load(model, None, ["malformed"])
    examples = re.findall(r"--set ([\w.]+=\S+)", str(error.value))
    assert examples
    assert load(model, None, examples) != model()


def test_every_key_that_a_text_of_the_project_names_is_one() -> None:
    """Help texts, errors, docstrings and pages: whatever looks like a key of a part of a recipe."""
    found = list(texts())
    named = {(name, where) for where, text in found for name in like_keys(text)}
    assert len({name for name, _ in named}) > 30, "texts do name keys"
    assert sorted((name, where) for name, where in named if not is_key(name) and name not in file_names(found)) == []


@pytest.mark.parametrize("name", ["caption.modle", "check.json", "download.py", "verify.atom", "export.images.json"])
def test_a_name_that_is_neither_a_key_nor_a_file_is_found(name: str) -> None:
    assert like_keys(f"set {name} to 3") == [name]
    assert not is_key(name) and name not in file_names(texts())


def like_keys(text: str) -> list[str]:
    """Whatever in the text looks like a key of a part of a recipe."""
    parts = "|".join(sorted({name.partition(".")[0] for name, _ in KEYS}))
    return re.findall(rf"(?<![\w./-])(?:{parts})(?:\.[a-z_0-9]+)+(?![\w/(-])", text)


def is_key(name: str) -> bool:
    """Whether a recipe has this key, or this table of keys, or lets its user choose keys there."""
    known = {key for key, _ in KEYS}
    tables = {key.rpartition(".")[0] for key in known if "." in key}  # such as verify.atoms
    free = tuple(f"{key}." for key, info in KEYS if "dict" in str(info.annotation))
    limits = {
        f"scores.{c.name}.{limit}" for s in (*OWN, *WITH_MODELS) for c in s.columns for limit in Limit.model_fields
    }
    limits |= {limit.rpartition(".")[0] for limit in limits}
    # What a sample can be chosen by is named likewise, and so is what Prefect hears of.
    others = {*scores(), "run.completed"}
    return name in known or name in tables or name in limits or name in others or name.startswith(free)


def file_names(found: Iterable[tuple[str, str]]) -> set[str]:
    """Files that a text may name: the project's modules, and JSON files whose name is a text of its own in the code."""
    modules = {path.name for floor in FLOORS for path in (PROJECT / floor).rglob("*.py")}
    return modules | {text for _, text in found if text.endswith(".json")}


def texts() -> Iterator[tuple[str, str]]:
    for floor in FLOORS:
        for path in sorted((PROJECT / floor).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield f"{path.relative_to(PROJECT)}:{node.lineno}", node.value
    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md")), *(PROJECT / "infra").glob("*.y*ml")):
        yield path.name, path.read_text(encoding="utf-8")


KEYS = [(name, info) for model in RECIPES for name, info in keys_of(model, "")]


def test_a_key_that_recipes_did_not_always_have_changes_no_digest_until_it_is_set() -> None:
    assert "parameters" not in Captioning().deciding()
    changed = Captioning.model_validate({"parameters": {"drop": ["seed"]}})
    assert changed.deciding()["parameters"] == {"drop": ["seed"], "rename": {}, "add": {}}
    assert "run" not in RefineLaion().deciding() and "run" not in BuildAnchor().deciding()


def test_fields_of_requests_can_be_set_on_the_command_line_and_in_a_file(tmp_path: Path) -> None:
    sets = [
        'caption.parameters.drop=["seed"]',
        "caption.parameters.rename.max_tokens=max_completion_tokens",
        "caption.parameters.add.chat_template_kwargs.enable_thinking=false",
        "run.stop_at_share=0.9",
    ]
    recipe = load(RefineLaion, None, sets)
    file = tmp_path / "recipe.toml"
    file.write_bytes(to_toml(recipe))
    assert load(RefineLaion, str(file)) == recipe
    assert recipe.caption.parameters.add == {"chat_template_kwargs": {"enable_thinking": False}}
    assert recipe.run.stop_at_share == 0.9
