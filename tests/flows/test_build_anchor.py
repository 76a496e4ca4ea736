"""The command line of build_anchor: bad input in one line before any work, and a dry run that touches nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curation.core.errors import RecipeError
from curation.core.recipes import load
from flows import build_anchor as module
from flows.build_anchor import MODULE, main, parser
from flows.request import Request
from schemas.anchor import BuildAnchor
from tests.support.news import QUICK, newsroom


def asked(root: Path, source: str, *more: str) -> list[str]:
    settings = [word for setting in QUICK for word in ("--set", setting)]
    return ["--source", source, "--root", str(root), "--engine", "local", *settings, *more]


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.json").write_text('[{"url": 1}]')
    (tmp_path / "half.json").write_text('[{"caption": "a b c", "image_pa')
    cases = {
        str(tmp_path / "none"): "does not exist",
        str(tmp_path / "data.json"): "is in no news layout: looked into data.json",
        str(tmp_path / "half.json"): "is in no news layout",
    }
    for source, said in cases.items():
        assert main(asked(tmp_path / "root", source)) == 2
        error = capsys.readouterr().err
        assert said in error and error.startswith("error: ") and error.count("\n") == 1
    assert not (tmp_path / "root").exists()


def test_a_list_in_another_layout_than_named_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.json").write_text('[{"caption": "a", "image_path": "./b.jpg"}]')
    assert main(asked(tmp_path / "root", str(tmp_path), "--layout", "goodnews")) == 2
    assert "Looked for goodnews" in capsys.readouterr().err


def test_a_dry_run_counts_and_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    visualnews, _ = newsroom(tmp_path / "news", scenes=10)
    assert main(asked(tmp_path / "root", visualnews, "--dry-run")) == 0
    printed = capsys.readouterr().out
    assert "12 rows of visualnews" in printed and "no_alt_text" in printed and "Nothing was fetched" in printed
    assert not (tmp_path / "root").exists()


def test_a_dry_run_of_the_demo_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for more in (["--root", str(tmp_path / "root")], []):
        monkeypatch.chdir(tmp_path)
        assert main(["--demo", "--scenes", "6", "--engine", "local", "--dry-run", *more]) == 0
        printed = capsys.readouterr().out
        assert "rows of visualnews" in printed and "nothing was written" in printed
        assert list(tmp_path.iterdir()) == []


def test_source_and_root_are_needed_unless_it_is_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--root", "somewhere"])
    assert ended.value.code == 2 and "--demo" in capsys.readouterr().err


def test_help_documents_every_recipe_key() -> None:
    printed = parser().format_help()
    for key in ("clean.min_words", "entities.recogniser", "subjects.samples", "condition.strength", "export.test_from"):
        assert key in printed


def test_a_request_says_its_command_and_its_parameters() -> None:
    request = Request(MODULE, ("a b",), "r", settings=("source.layout=goodnews",))
    assert request.command().startswith("python -m flows.build_anchor --source 'a b' --root r")
    assert request.command().endswith("--set source.layout=goodnews --profile local --engine ray")
    assert json.loads(json.dumps(request.parameters()))["source"] == ["a b"]


OLD = {"source": ["news/"], "root": "r", "settings": ["caption.model=demo"], "layout": "goodnews"}


def test_an_old_deployment_s_layout_is_understood_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Prefect checks a deployment's parameters against the flow's before it calls the flow."""
    asked: list[Request] = []
    monkeypatch.setattr(module, "make", lambda product, request: asked.append(request))
    given = dict(OLD)
    module.build_anchor.fn(**module.build_anchor.validate_parameters(given))
    assert asked[0].settings == ("source.layout=goodnews", "caption.model=demo")
    assert load(BuildAnchor, None, asked[0].settings).source.layout == "goodnews"
    assert 'settings = ["source.layout=goodnews"]' in caplog.text
    newer = given | {"settings": ["source.layout=visualnews"]}
    module.build_anchor.fn(**module.build_anchor.validate_parameters(newer))
    assert load(BuildAnchor, None, asked[1].settings).source.layout == "visualnews", "the setting counts"


@pytest.mark.parametrize("layout", ["", None])
def test_a_deployment_without_a_layout_is_not_warned(
    layout: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Request] = []
    monkeypatch.setattr(module, "make", lambda product, request: asked.append(request))
    module.build_anchor.fn(**module.build_anchor.validate_parameters(OLD | {"layout": layout}))
    assert asked[0].settings == ("caption.model=demo",) and not caplog.records


def test_an_old_deployment_s_unknown_layout_names_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []
    monkeypatch.setattr(module, "make", lambda product, request: asked.append(request))
    module.build_anchor.fn(["news/"], "r", layout="nosuch")
    with pytest.raises(RecipeError, match=r"source\.layout.*visualnews.*goodnews"):
        load(BuildAnchor, None, asked[0].settings)
