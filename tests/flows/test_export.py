"""The command lapidary export: its exit codes, that it says what to correct, and what the root knows afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from curation.core.store import Store
from curation.exports.known import known
from flows.export import main
from tests.support.exported import release
from tests.support.kills import every_kill


def root_at(folder: Path) -> Store:
    store = Store(release(folder))
    store.write("recipe.toml", b"")
    return store


def test_the_command_exports_and_then_finds_all_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        release(tmp_path / "root"),
        "--as",
        "kohya",
        "--to",
        str(tmp_path / "out"),
        "--captions",
        "short=2",
        "tags",
    ]
    assert main(words) == 0
    assert "9 samples as kohya from 3 tars (3 of 3 made now)" in capsys.readouterr().out
    assert str(tmp_path / "out/train-000000") in (tmp_path / "out/train.toml").read_text()
    assert main(words) == 0
    assert "(all were there)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--as", "tfrecord"], "expected one of kohya, simpletuner, datasets, webshart, buckets, mds"),
        (["--as", "kohya", "--captions", "brief"], "no sample has a caption of the kind brief"),
        (["--as", "kohya", "--captions", "short=many"], "expected KIND or KIND=WEIGHT"),
        (["--as", "kohya", "--captions", "short=-1"], "a weight is a number of 0 or more"),
        (["--as", "kohya", "--captions", "short=0"], "with a positive sum"),
        (["--as", "mds", "--link", "--tags", "tags", "--step", "8"], "mds does not use --pixels, --step, --max-aspect"),
        (["--as", "kohya", "--step", "0"], "step is 1 or more"),
        (["--as", "kohya", "--split", "val"], "has no split 'val'"),
        (["--as", "kohya", "--to", "s3://bucket/out"], "expected a local folder"),
    ],
)
def test_what_is_wrong_from_the_start_is_said_in_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([release(tmp_path / "root"), "--to", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and said in error
    assert not (tmp_path / "out").exists()


def test_another_root_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere"), "--as", "mds", "--to", str(tmp_path / "out")]) == 2
    assert "holds no release" in capsys.readouterr().err


@pytest.mark.parametrize("theirs", ["IMG_1.jpg", "export.json"])
def test_a_refused_export_leaves_no_note_and_the_folder_as_it_was(theirs: str, tmp_path: Path) -> None:
    store, web = root_at(tmp_path / "root"), tmp_path / "web"
    web.mkdir()
    (web / theirs).write_text('{"pictures": 1}')
    assert main([store.url, "--as", "kohya", "--to", str(web)]) == 2
    assert not known(store) and [p.name for p in web.iterdir()] == [theirs]


def test_an_export_of_another_root_in_the_folder_is_no_export_of_this_one(tmp_path: Path) -> None:
    first, second = root_at(tmp_path / "first"), root_at(tmp_path / "second")
    assert main([first.url, "--as", "kohya", "--to", str(tmp_path / "out")]) == 0
    assert main([second.url, "--as", "mds", "--to", str(tmp_path / "out")]) == 2
    assert [e.form for e in known(first)] == ["kohya"] and not known(second)


def test_a_finished_export_that_the_root_forgot_is_known_again(tmp_path: Path) -> None:
    store, words = root_at(tmp_path / "root"), ["--as", "kohya", "--to", str(tmp_path / "out")]
    assert main([store.url, *words]) == 0
    shutil.rmtree(tmp_path / "root/exports")
    assert main([store.url, *words]) == 0 and len(known(store)) == 1


def test_whatever_a_killed_export_has_written_the_root_knows_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, out = root_at(tmp_path / "root"), tmp_path / "out"

    def prepare() -> Callable[[], object]:
        for folder in (out, tmp_path / "root/exports"):
            shutil.rmtree(folder, ignore_errors=True)
        return lambda: main([store.url, "--as", "kohya", "--to", str(out)])

    states = []
    for change in every_kill(prepare, monkeypatch):
        written = [p for p in out.rglob("*") if p.is_file() and p.name != "lock.json"]
        assert known(store) or not written, change
        states += [export.state for export in known(store)]
    assert states[0] == "begun" and set(states[1:]) == {"there"} and len(states) > 5
    assert json.loads((out / "export.json").read_bytes())["complete"]
