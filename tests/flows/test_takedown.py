"""A takedown as a flow: what a deployment stores of it is plain data."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from curation.core.errors import UsageError
from curation.core.store import Store
from curation.exports.known import known, note
from flows.takedown import main, parser, take_down
from flows.takedown_flow import takedown
from tests.support.exported import release, told


def test_the_flow_takes_what_the_command_takes(tmp_path: Path) -> None:
    stored = {"root": str(tmp_path / "root"), "urls": ["http://x.example/1.jpg"], "reason": "r", "yes": True}
    assert takedown.validate_parameters(json.loads(json.dumps(stored)))["urls"] == stored["urls"]
    options = set(vars(parser().parse_args(["root"])))
    assert options <= set(takedown.parameters.properties)
    assert inspect.signature(takedown.fn) == inspect.signature(take_down, eval_str=True)


def test_a_takedown_of_nothing_makes_no_root(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no root"):
        take_down(str(tmp_path / "root"), reason="r", urls=["http://x.example/1.jpg"])
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("yes", [[], ["--yes"]])
def test_an_export_that_is_to_be_forgotten_is_one_that_the_root_knows_of(
    yes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(release(tmp_path / "root"))
    store.write("recipe.toml", b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.takedown.remember", lambda store: None)  # a release that no run made
    forgetting = [store.url, *yes, "--forget-export"]
    assert main([*forgetting, "kohya"]) == 2 and "nor anywhere else" in capsys.readouterr().err
    for form in ("kohya", "mds", "buckets"):
        note(store, tmp_path / form, told(store.url, form), "2026-01-02")
    for wrong in ("koyha", "", "/", f"{tmp_path}/kohya/train", "kohya "):
        assert main([*forgetting, str(tmp_path / "kohya"), "--forget-export", wrong]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: the root knows of no export in {wrong!r}; ") and said.count("\n") == 1
        assert all(f"{tmp_path}/{form} on " in said for form in ("kohya", "mds", "buckets"))
        assert len(known(store)) == 3, "nothing is done for one that is named rightly beside it"
    assert main([*forgetting, "kohya/", "--forget-export", f"{tmp_path}/root/../mds"]) == 0
    assert capsys.readouterr().out.count("forgotten: the export ") == 2
    assert not {"kohya", "mds"} & {Path(export.folder).name for export in known(store)}
