"""A root whose rows are gathered behind every step is the same root, whenever its runs are killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from curation.core import gathered, gathered_tables
from curation.core.gathered import FOLDER
from curation.takedown.proof import Traces, prove
from tests.support.buried import COPIED, RESULTS, Listed, ends_like, take_down
from tests.support.toy import fingerprint


@pytest.fixture
def plain(listed: Listed) -> Listed:
    assert not Path(listed.url, FOLDER).exists()
    return listed


@pytest.fixture
def gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((gathered, "FEWEST"), (gathered_tables, "FEWEST"), (gathered_tables, "LEAST")):
        monkeypatch.setattr(module, name, 1)


def test_a_release_is_the_same_bytes_whether_or_not_rows_are_gathered(
    plain: Listed, tmp_path: Path, gathering: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    root = plain.elsewhere(tmp_path / "gathered root")
    ends_like(root, plain, monkeypatch, step=7 if request.config.getoption("--chaos") else 60)
    assert {path.name for path in Path(root.url, FOLDER).iterdir()} >= {"tables", "repeats", "caption_repeats"}


def test_a_root_that_grows_is_the_same_with_and_without_what_was_gathered(
    plain: Listed, tmp_path: Path, gathering: None
) -> None:
    root = plain.elsewhere(tmp_path / "gathered root")
    root.run()
    root.rows.append((root.web.url(41), "a picture that came later"))
    copy = Listed(root.web, root.folder, str(tmp_path / "copy"), root.rows, root.settings)
    shutil.copytree(root.url, copy.url)
    shutil.rmtree(Path(copy.url, FOLDER))
    root.run()
    copy.run()
    assert fingerprint(root.store, *RESULTS) == fingerprint(copy.store, *RESULTS)


def test_a_takedown_leaves_nothing_in_gathered_rows(plain: Listed, gathering: None) -> None:
    plain.rows.append((plain.web.url(41), "a picture that came later"))
    plain.run()
    assert any(Path(plain.url, FOLDER, "tables").iterdir())
    choice = take_down(plain.url, urls=[plain.web.url(COPIED)])
    assert prove(plain.store, Traces.of(choice.stones, choice.texts, choice.clear)) == []
