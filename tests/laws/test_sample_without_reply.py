"""A sample whose server always fails is named, and the remedy that the message names lets the run end well."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from curation.caption.model import open as opening
from curation.caption.model.chat import ChatReply, ChatRequest, failure
from curation.caption.model.scripted import ScriptedModel, plain_english
from curation.catalog import connect
from curation.core.errors import ShardsFailed
from curation.core.invocation import command_of
from flows import tasks
from flows.tasks import EXIT_FAILED_SHARDS, exit_code
from schemas.reasons import Reason
from tests.support.images import natural
from tests.support.no_prefect import NoApi
from tests.support.runs import refine

SETTINGS = ["caption.backend=scripted", "check.names=ignore", "download.min_side=1", "source.min_side=1"]
BAD = "p3"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of which one makes the server fail, however often it is asked."""
    folder = tmp_path / "source"
    folder.mkdir()
    for n in range(8):
        Image.fromarray(natural(240, 200, seed=n)).save(folder / f"p{n}.png")
        (folder / f"p{n}.txt").write_text(f"picture p{n} of a list")

    def script(request: ChatRequest) -> str | ChatReply:
        if f"picture {BAD} " in request.user:
            return failure(request, Reason.MODEL_ERROR, "HTTP 500: out of memory")
        return plain_english(request)

    monkeypatch.setattr(opening, "ScriptedModel", lambda **_: ScriptedModel(script=script))
    return folder


def test_a_sample_that_always_fails_is_named_and_can_be_left_out(source: Path, tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    for _ in range(2):
        (failed,) = [o for o in refine(root, str(source), SETTINGS) if o.status == "failed"]
        found = connect(root).execute(tasks._FAILED_ROWS).fetchall()
        ((sample, picture, *_, detail),) = found
        assert picture.endswith(f"{BAD}.png") and detail == failed.error
        assert sample in failed.error and "1 of 8 samples got no reply: HTTP 500: out of memory" in failed.error
        assert "add that to decontamination.sets" in failed.error
    left_out = tmp_path / "left out"
    left_out.mkdir()
    shutil.copy(source / f"{BAD}.png", left_out)
    outcomes = refine(root, str(source), [*SETTINGS, f"decontamination.sets=[{str(left_out)!r}]"])
    assert not [o for o in outcomes if o.status == "failed"]
    assert not [o for o in outcomes if o.table == "images" and o.status == "done"], "nothing is fetched again"
    fates = connect(root).execute("SELECT fate, count(*) FROM samples GROUP BY ALL ORDER BY ALL").fetchall()
    assert fates == [("kept", 7), ("rejected", 1)]


def test_a_message_names_some_samples_of_many(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(request: ChatRequest) -> ChatReply:
        return failure(request, Reason.MODEL_ERROR, "HTTP 500: out of memory")

    monkeypatch.setattr(opening, "ScriptedModel", lambda **_: ScriptedModel(script=script))
    root = str(tmp_path / "root")
    (failed,) = [o for o in refine(root, str(source), SETTINGS) if o.status == "failed"]
    samples = [row[0] for row in connect(root).execute(tasks._FAILED_ROWS).fetchall()]
    assert len(samples) == 8 and sum(sample in failed.error for sample in samples) == 5
    assert "and 3 more" in failed.error and failed.error.isprintable()


def test_the_command_says_how_to_list_the_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def check() -> None:
        raise ShardsFailed({"captions": ["s-0"]})

    monkeypatch.setattr(tasks, "PrefectApi", NoApi)
    assert exit_code("a root", "again", check, lambda: None) == EXIT_FAILED_SHARDS
    said = capsys.readouterr().err
    assert f"which rows: {command_of('curation.catalog')} 'a root' \"{tasks._FAILED_ROWS}\"\n" in said
