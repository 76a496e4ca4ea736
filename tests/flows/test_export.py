"""The command lapidary export: its exit codes, and that it says what to correct."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.export import main
from tests.support.exported import release


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
