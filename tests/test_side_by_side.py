"""``make test`` runs every test once, in parts, and fails when one part does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY
from tests.support.side_by_side import HALVED, LONGEST, SHORTER, Part, parts, run

HERE = "tests/test_side_by_side.py"
FILES = [str(path.relative_to(REPOSITORY)) for path in sorted((REPOSITORY / "tests").rglob("test_*.py"))]


def holds(part: Part, file: str) -> bool:
    """Whether pytest finds a file by these words."""
    ignored = [word.removeprefix("--ignore=") for word in part.words if word.startswith("--ignore=")]
    named = [word for word in part.words if word.startswith("tests")]
    return any(Path(file).is_relative_to(place) for place in named) and not any(
        Path(file).is_relative_to(place) for place in ignored
    )


def test_every_test_is_in_one_part_and_those_of_vllm_in_a_further_one() -> None:
    vllm, *others = parts(vllm=True)
    assert others == parts(vllm=False) and all(part.words[:2] == ("-m", "not vllm") for part in others)
    assert len(FILES) > 200
    assert {file: sum(holds(part, file) for part in others) for file in FILES} == dict.fromkeys(FILES, 1)
    marked = [file for file in FILES if "mark.vllm" in (REPOSITORY / file).read_text() and file != HERE]
    assert len(marked) >= 2 and [file for file in FILES if holds(vllm, file)] == marked
    assert vllm.words[:2] == ("-m", "vllm")


def test_the_folders_that_are_parts_of_their_own_are_there() -> None:
    assert all((REPOSITORY / folder).is_dir() for folder in (HALVED, *LONGEST, *SHORTER))


def test_one_part_that_fails_fails_all_and_says_why_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "test_good.py", tmp_path / "test_bad.py"
    good.write_text("def test_it(): pass\n")
    bad.write_text("def test_it(): assert 1 == 2, 'as it should'\n")
    options = ["-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    found = [Part("bad", (str(bad),)), Part("good", (str(good),))]
    assert run(found, options) == 1
    said = capsys.readouterr().out
    assert "as it should" in said and "failed: bad" in said and ">>> good: passed" in said
    assert run(found[1:], options) == 0
    assert "all passed" in capsys.readouterr().out
    with pytest.MonkeyPatch.context() as patch:  # a part that could not even be started has not passed
        patch.setattr("tests.support.side_by_side.sys.executable", str(tmp_path / "no python"))
        patch.setattr("threading.excepthook", lambda _: None)
        assert run(found[1:], options) == 1
    broken = [Part("broken", (str(tmp_path / "nowhere"),))]
    assert run(broken, options) == 1 and "nowhere" in capsys.readouterr().out
