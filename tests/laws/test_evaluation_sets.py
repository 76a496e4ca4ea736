"""Whole runs whose recipe names evaluation sets: nothing near an evaluation item is released, and each says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.catalog import connect
from curation.core.errors import UsageError
from curation.core.store import Store
from curation.demo.near import transformed
from curation.demo.render import jpeg, render
from curation.demo.world import scene
from curation.report.write import write_report
from flows import dedupe as flow
from tests.support.report_roots import data_of
from tests.support.runs import RESULT, counted, refine
from tests.support.toy import fingerprint

QUICK = ["caption.backend=scripted", "source.shard_rows=6", "export.shard_size=5", "export.val=0", "export.test=0"]
WORDS = "a brass clock with no hands stands beside seven blue cups"


def put(folder: Path, name: str, data: bytes, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jpg").write_bytes(data)
    (folder / f"{name}.txt").write_text(text)


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """Ten pictures; 7 is a copy of 1, which the evaluation set has too; 9 shares words with an evaluation text."""
    for n in range(9):
        pixels = render(scene(31, 1 if n == 7 else n))
        data = transformed(pixels, "re-encoded at 30") if n == 7 else jpeg(scene(31, n))
        put(tmp_path / "training", f"a{n}", data, f"picture {n}")
    put(tmp_path / "training", "a9", jpeg(scene(31, 9)), f"See: {WORDS.upper()}!")
    return tmp_path / "training"


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    put(tmp_path / "evaluation", "one", transformed(render(scene(31, 1)), "watermarked"), "nothing in common")
    put(tmp_path / "evaluation", "two", transformed(render(scene(31, 3)), "mirrored"), "nothing either")
    put(tmp_path / "evaluation", "three", jpeg(scene(77, 3)), WORDS)
    return tmp_path / "evaluation"


def fates(root: Path) -> dict[str, tuple[str | None, str | None]]:
    """Reason and detail by alt text's last word."""
    with connect(str(root)) as catalog:
        rows = catalog.execute("SELECT alt_text, reason, detail FROM samples").fetchall()
    return {text.split()[-1]: (reason, detail) for text, reason, detail in rows}


def test_what_an_evaluation_set_has_is_not_released_and_says_why(
    training: Path, evaluation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    with_sets = [*QUICK, f'decontamination.sets=["{evaluation}"]']
    refine(str(root), str(training), with_sets)
    assert counted(str(root)).kept == 6
    actual = fates(root)
    gone = {name: reason for name, (reason, _) in actual.items() if reason is not None}
    near = "near_evaluation_item"
    assert gone == {"1": near, "3": near, "7": near, "CUPS!": "shared_text"}
    assert f"bits from {evaluation}/one.jpg in {evaluation}" in str(actual["1"][1])
    assert (
        str(actual["CUPS!"][1]) == f'"{" ".join(WORDS.split()[:8])}" stands in {evaluation}/three.jpg of {evaluation}'
    )
    with connect(str(root)) as catalog:
        found = catalog.execute(
            "SELECT sample_id, item, distance FROM evaluation_overlaps WHERE reason = $1 ORDER BY 2", [near]
        )
        rows = found.fetchall()
    assert [item for _, item, _ in rows] == [f"{evaluation}/{name}.jpg" for name in ("one", "one", "two")]
    assert all(0 <= distance <= 14 for *_, distance in rows)
    assert flow.main(["explain", str(root), rows[0][0], "--html", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "evaluation item" in page and page.count("<img") == 2
    write_report(Store(str(root)))
    shown = [row["near"] for row in data_of(Store(str(root)))["rows"] if row.get("reason") == near]
    assert len(shown) == 3 and all((root / "report" / item["picture"]).exists() for item in shown)

    before = fingerprint(Store(str(root)), *RESULT)
    assert all(
        o.status == "skipped" for o in refine(str(root), str(training), with_sets) if o.table == "evaluation_overlaps"
    )
    assert fingerprint(Store(str(root)), *RESULT) == before
    put(evaluation, "four", transformed(render(scene(31, 5)), "brighter"), "later")
    refine(str(root), str(training), with_sets)
    assert fates(root)["5"][0] == near and counted(str(root)).kept == 5
    refine(str(root), str(training), [*QUICK, "decontamination.sets=[]"])
    assert counted(str(root)).kept == 9
    assert {fates(root)[name][0] for name in ("1", "7")} == {None, "near_duplicate"}


def test_growth_and_disabled_dedupe_are_decontaminated_alike(training: Path, evaluation: Path, tmp_path: Path) -> None:
    with_sets = [*QUICK, f'decontamination.sets=["{evaluation}"]', "dedupe.enabled=false"]
    refine(str(tmp_path / "plain"), str(training), with_sets)
    assert counted(str(tmp_path / "plain")).kept == 6
    grown = tmp_path / "grown"
    for name in ("x1", "x2"):
        put(training.parent / "more", name, transformed(render(scene(31, 1)), "brighter"), f"again {name}")
    put(training.parent / "more", "x3", transformed(render(scene(31, 0)), "re-encoded at 30"), "again x3")
    refine(str(grown), str(training), with_sets[:-1])
    keepers = fates(grown)
    for path in (training.parent / "more").iterdir():
        path.rename(training / f"b{path.name}")
    refine(str(grown), str(training), with_sets[:-1])
    found = fates(grown)
    assert found["x1"][0] == found["x2"][0] == "near_evaluation_item"
    assert found["x3"][0] == "near_duplicate" and {n: found[n] for n in keepers} == keepers
    assert counted(str(grown)).kept == 6


def test_wrong_sets_are_told_before_any_work(training: Path, evaluation: Path, tmp_path: Path) -> None:
    (tmp_path / "list.tsv").write_text("http://x.example/1.jpg\ta cat\n")
    root = tmp_path / "root"
    for sets, says in (
        (str(tmp_path / "nowhere"), "nowhere"),
        (str(tmp_path / "list.tsv"), "addresses without pixels"),
    ):
        with pytest.raises(UsageError, match=says):
            refine(str(root), str(training), [*QUICK, f'decontamination.sets=["{sets}"]'])
    assert not (root / "tables").exists()
    refine(str(root), str(training), QUICK)
    with pytest.raises(UsageError, match="the root itself"):
        refine(str(root), str(training), [*QUICK, f'decontamination.sets=["{root}"]'])
