"""The command line of expansion data: bad input in one line, a dry run that touches nothing, and the demo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flows.expand import main, parser
from tests.support.processes import python, run


def asked(root: Path, source: str, *more: str) -> list[str]:
    settings = ["--set", "caption.backend=scripted", "--set", "llm.backend=scripted"]
    return ["--source", source, "--root", str(root), "--engine", "local", *settings, *more]


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (["--set", "windows.share=2"], ["--set", "windws.share=0.5"], []):
        assert main(asked(tmp_path / "root", str(tmp_path / "none"), *more)) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
    assert not (tmp_path / "root").exists()
    with pytest.raises(SystemExit):
        main(["--source", "somewhere"])
    assert "--demo" in capsys.readouterr().err


def test_help_documents_every_recipe_key_and_reason() -> None:
    printed = parser().format_help()
    for word in ("windows.share", "imagine.sides", "consistency.max_shared", "llm.model", "contradicts_global"):
        assert word in printed
    assert re.search(r"windows: Lays a row of square windows", printed)


def test_a_dry_run_of_the_demo_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["--demo", "--scenes", "4", "--engine", "local", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "to imagine" in printed and "nothing was written" in printed
    # A library that is imported here for the first time may make an empty folder for its cache.
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.slow
def test_the_demo_tells_how_true_its_captions_are(tmp_path: Path) -> None:
    words = ["--demo", "--scenes", "8", "--engine", "local", "--root", str(tmp_path / "root")]
    done = run(python("flows.expand", *words), tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = dict(re.findall(r"│ (local|global) +│ +\d+ │ +([\d.]+) │", done.stdout))
    assert float(figures["local"]) >= 0.9 and float(figures["global"]) >= 0.9
    assert "no language model was asked" in " ".join(done.stdout.split())
