"""Which of several identical files goes is told by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from curation.core.store import Store
from flows import dedupe as flow
from schemas.arrow import rows_of
from schemas.duplicates import Verdict
from tests.support.data_sets import folder_of, jpeg, plain_command, removed, root_of, tars_of


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    return plain_command(monkeypatch)


def test_of_identical_files_the_one_that_goes_is_named_and_the_other_stays(
    run: Callable[..., int], tmp_path: Path
) -> None:
    broken = (b"\xff\xd8\xff not whole", "broken")
    images = {"a": (jpeg(0), "a clock"), "b": broken, "c": (jpeg(0), "a clock"), "d": broken, "e": (jpeg(0), "a clock")}
    files = folder_of(tmp_path / "files", images | {"f": (jpeg(1), "seven cups")})
    out = tmp_path / "out"
    assert run(files, "--out", out) == 0
    gone = removed(out)
    assert len(gone) == 2 and {g["reason"] for g in gone} == {"exact_duplicate"}
    assert {g["sample_id"] for g in gone} == {g["keeper_id"] for g in gone}
    for line in gone:
        Path(line["item"]).unlink()
    left = {p.stem for p in Path(files).glob("*.jpg")}
    assert len(left & {"a", "c", "e"}) == 1 and left >= {"b", "d", "f"}
    assert {Path(g["keeper_item"]).stem for g in gone} == left & {"a", "c", "e"}
    page = tmp_path / "page.html"
    assert flow.main(["explain", str(out), gone[0]["item"], "--html", str(page)]) == 0
    content = page.read_text()
    assert "kept in its place" in content and all(content.count(g) for g in (gone[0]["item"], gone[0]["keeper_item"]))


def test_every_image_of_a_tar_and_of_a_root_has_an_item_of_its_own(run: Callable[..., int], tmp_path: Path) -> None:
    path = tmp_path / "tars"
    tars = tars_of(path, {"0": (jpeg(0), "a clock"), "1": (jpeg(1), "cups")})
    shutil.copy(path / "00000.tar", path / "00001.tar")  # its samples are the first one's once more
    ours = root_of(tmp_path / "ours", folder_of(tmp_path / "pictures", {"0": (jpeg(0), "a clock")}))
    out = tmp_path / "out"
    assert run(tars, ours, "--out", out) == 0
    known = [
        v
        for s in Store(str(out)).shards(Verdict.table)
        for v in rows_of(Verdict, Store(str(out)).read_table(Verdict, s))
    ]
    assert len({(v.dataset, v.item) for v in known}) == len(known) == 5 and len({v.sample_id for v in known}) == 3
    keepers = {(v.dataset, v.item) for v in known if v.reason is None}
    assert len(keepers) == 2 and {(v.keeper_dataset, v.keeper_item) for v in known} == keepers


def test_items_are_those_of_today_after_a_file_was_renamed(run: Callable[..., int], tmp_path: Path) -> None:
    files = folder_of(tmp_path / "files", {"a": (jpeg(0), "a clock"), "b": (jpeg(0), "a clock")})
    out = tmp_path / "out"
    assert run(files, "--out", out) == 0
    for path in list(Path(files).iterdir()):
        path.rename(path.with_stem(f"new_{path.stem}"))
    assert run(files, "--out", out) == 0
    (gone,) = removed(out)
    assert Path(gone["item"]).exists() and Path(gone["keeper_item"]).exists()
