"""The page as files: the same for the same root, bounded, and true to the catalog."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import pytest

from curation.catalog import connect
from curation.core.errors import RootError
from curation.core.root import write_recipe
from curation.core.store import Store
from curation.products import PRODUCTS
from curation.report import pictures
from curation.report.choosing import SAMPLE
from curation.report.history import changes, remember
from curation.report.page import INDEX
from curation.report.write import PAGE, write_report
from flows import report
from schemas.anchor import BuildAnchor
from schemas.dense_prompts import DensePrompts
from schemas.expand import ExpandImages
from schemas.news import NamedEntity, SubjectWeight
from schemas.prompt_records import PromptCheck
from schemas.records import ImageRow
from schemas.windows import ImaginedCheck, PicturePart, Window
from tests.support import roots
from tests.support.object_store import bucket
from tests.support.report_roots import data_of, large_root
from tests.support.roots import Row, World, add_shard, every_ending, make_world, picture, recipe, release
from tests.support.s3_proxy import s3_proxy

__all__ = ["bucket"]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(str(tmp_path / "root"))
    add_shard(made, "failed.parquet", every_ending(2), until="dedupe", error="RuntimeError: the model is gone")
    release(made)
    return made


def test_the_same_root_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    write_report(world.store)
    first = files(tmp_path / "root/report")
    write_report(world.store)
    write_report(world.store, Store(str(tmp_path / "elsewhere")))
    assert files(tmp_path / "root/report") == first == files(tmp_path / "elsewhere")


def test_a_page_in_an_object_store_is_that_of_a_folder_and_asks_after_no_file_apart(
    world: World, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": proxy.url})
        far = Store(f"{bucket}/root")
        for path in (tmp_path / "root").rglob("*"):
            if path.is_file():
                far.write(str(path.relative_to(tmp_path / "root")), path.read_bytes())
        proxy.asked.clear()
        written = write_report(far)
        of_tables = {file for method, file in proxy.asked if "/tables/" in file and file.endswith(".parquet")}
        assert of_tables
        assert not [file for file in of_tables if proxy.asked["HEAD", file]], "listings tell all of them"
        write_report(world.store)
        here = files(tmp_path / "root/report")
        assert {name: far.read(f"report/{name}") for name in here} == here
    assert written.thumbnails == sum(name.endswith(".jpg") for name in here) > 20


def test_the_page_says_what_the_catalog_says(world: World) -> None:
    write_report(world.store)
    data = data_of(world.store)
    with connect(world.store.url) as catalog:
        lines = catalog.execute("SELECT stage, reason, fate, rows FROM funnel WHERE fate <> 'kept'").fetchall()
    told = [(s["stage"], r["reason"], r["fate"], r["rows"]) for s in data["funnel"]["stages"] for r in s["reasons"]]
    assert sorted(told) == sorted(lines)
    assert data["funnel"]["rows"] == len(world.expected) == data["sample"]["of"] == len(data["rows"])
    assert {(r["file"], r["row"]): (r["fate"], r["stage"], r.get("reason")) for r in data["rows"]} == world.expected
    stages = data["funnel"]["stages"]
    assert all(a["out"] == b["in"] for a, b in pairwise(stages))
    assert stages[-1]["out"] == data["funnel"]["kept"]


def test_evidence_stands_beside_what_was_rejected(world: World) -> None:
    write_report(world.store)
    rows = data_of(world.store)["rows"]
    by_reason = {row["reason"]: row for row in rows if "reason" in row}
    assert ["opt-out", "X-Robots-Tag: noai"] in by_reason["opted_out"]["evidence"]
    assert "picture" not in by_reason["opted_out"] and "picture" not in by_reason["repeated_row"]
    near = by_reason["near_duplicate"]
    assert near["near"]["distance"] == 3 and near["picture"] != near["near"]["picture"] is not None
    assert by_reason["claimed_too_small"]["detail"] == "shorter side 90 < 200"
    for row in rows:
        if "picture" in row:
            assert world.store.exists(f"report/{row['picture']}")


def test_every_host_is_told_how_it_answered(world: World) -> None:
    write_report(world.store)
    (host,) = data_of(world.store)["hosts"]
    with connect(world.store.url) as catalog:
        asked, there = catalog.execute("SELECT count(*), count(*) FILTER (reason IS NULL) FROM images").fetchall()[0]
    parts = ("pictures", "refused", "opted_out", "slow", "gone", "other")
    assert (host["host"], host["asked"], host["pictures"]) == ("pictures.example", asked, there)
    assert sum(host[part] for part in parts) == asked and host["opted_out"] == 6 and host["gone"] == 6


def test_a_page_is_written_again_only_where_the_root_has_changed(world: World, tmp_path: Path) -> None:
    assert write_report(world.store, always=False).made
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "root/report").rglob("*")}
    assert not write_report(world.store, always=False).made
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "root/report").rglob("*")} == before
    add_shard(world, "later.parquet", [Row()] * 1)
    release(world)
    assert write_report(world.store, always=False).made
    assert data_of(world.store)["sample"]["of"] == len(world.expected)
    thumbnails = [p for p in before if p.suffix == ".jpg"]
    assert all(p.stat().st_mtime_ns == before[p] for p in thumbnails), "what was there is not made again"


def test_what_changed_is_the_difference_of_two_states(world: World) -> None:
    write_report(world.store)
    assert data_of(world.store)["changes"] is None
    add_shard(world, "later.parquet", [Row(), Row("opted_out")])
    release(world)
    write_report(world.store)
    found = data_of(world.store)["changes"]
    lines = {(line["stage"], line["reason"]): line["now"] - line["before"] for line in found["lines"]}
    assert lines == {("download", "opted_out"): 1, ("release", ""): 1}
    assert found["rows_now"] - found["rows_before"] == 2 and found["recipe"] == []
    other = world.recipe.model_copy(update={"export": world.recipe.export.model_copy(update={"name": "other"})})
    write_recipe(world.store, other)
    write_report(world.store)
    (changed,) = data_of(world.store)["changes"]["recipe"]
    assert changed == {"key": "export.name", "before": '"Refined image-text pairs"', "now": '"other"'}


def test_no_password_of_the_recipe_is_on_the_page(world: World) -> None:
    write_report(world.store)
    proxy = world.recipe.download.model_copy(update={"proxy": "http://me:secret@proxy.example:8080"})
    write_recipe(world.store, world.recipe.model_copy(update={"download": proxy}))
    write_report(world.store)
    (changed,) = data_of(world.store)["changes"]["recipe"]
    assert changed == {"key": "download.proxy", "before": '"none"', "now": '"http://proxy.example:8080"'}
    assert b"secret" not in world.store.read(PAGE) + world.store.read("report/history.json")


def test_a_history_that_is_not_ours_is_left_aside(world: World) -> None:
    for damage in (b"", b"{", b"[1, {}]", b'[{"lines": [["a"]], "recipe": {}, "rows": 1, "run": ""}]', b"\xff"):
        world.store.write("report/history.json", damage)
        write_report(world.store)
        assert data_of(world.store)["changes"] is None


def test_a_state_that_stays_is_remembered_once() -> None:
    one = {"run": "a", "rows": 1, "lines": [["s", "kept", "", 1]], "recipe": {}}
    two = {**one, "rows": 2, "lines": [["s", "kept", "", 2]]}
    states = remember(remember(remember([], one), {**one, "run": "b"}), two)
    assert [s["run"] for s in states] == ["b", "a"]
    found = changes(remember(states, {**two, "run": "c"}))
    assert found is not None and (found["since"], found["until"]) == ("b", "c")


def test_a_large_root_has_a_bounded_page_with_rows_of_every_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_PICTURES", 300)
    made = large_root(str(tmp_path / "root"), 2, 1500, [picture(n) for n in range(8)], recipe(images=False))
    release(made)
    written = write_report(made.store)
    data = data_of(made.store)
    assert (written.rows, written.shown, written.thumbnails) == (3000, SAMPLE, 300)
    assert data["sample"] == {"rows": SAMPLE, "of": 3000}
    for stage in data["funnel"]["stages"]:
        for line in stage["reasons"]:
            shown = [r for r in data["rows"] if (r["stage"], r.get("reason")) == (stage["stage"], line["reason"])]
            assert min(line["rows"], 24) <= len(shown) <= line["rows"]
    assert len(list((tmp_path / "root/report/thumbnails").iterdir())) == 300
    assert all(made.store.exists(f"report/{r['picture']}") for r in data["rows"] if "picture" in r)


def test_lost_and_damaged_pictures_leave_a_page_without_them(world: World) -> None:
    lost, short, *damaged = world.store.shards(ImageRow.table)
    world.store.remove(world.store.images_file(lost))
    world.store.write(world.store.images_file(short), b"")
    for shard in damaged:
        world.store.write(world.store.images_file(shard), b"\x00" * 200_000)
    written = write_report(world.store)
    assert damaged and (written.shown, written.thumbnails) == (len(world.expected), 0)


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.name)
def test_every_product_has_a_page_even_with_nothing_in_it(product: Any, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    write_recipe(store, product.recipe())
    written = write_report(store)
    assert (written.rows, written.thumbnails) == (0, 0)
    assert data_of(store)["product"] == product.name


def test_what_is_no_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RootError):
        write_report(Store(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
    assert report.main([str(tmp_path)]) == 2


def test_no_fault_of_the_page_fails_a_run(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("curation.report.write.render", lambda *_: 1 / 0)
    report.write_quietly(world.store)
    assert "was not written: ZeroDivisionError" in capsys.readouterr().err
    assert not world.store.exists(PAGE)
    monkeypatch.undo()
    report.write_quietly(world.store)
    assert world.store.exists(PAGE)


def test_the_command_says_where_the_page_is(world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert report.main([world.store.url, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    rows = len(world.expected)
    assert said.startswith(f"report:   {tmp_path / 'out' / INDEX} ({rows} of {rows} rows, ")
    assert not world.store.exists("report")


_ONE = roots.source_row("a" * 32, "list.parquet", 0, "http://pictures.example/1.jpg", "Berlin in May", None)
_BESIDE: list[tuple[Any, list[Any], dict[str, list[str]]]] = [
    (
        BuildAnchor(),
        [
            NamedEntity(_ONE.sample_id, "Berlin", "GPE", 0, 6, None, "rules@1", None, None),
            SubjectWeight(_ONE.sample_id, "Berlin", 0, 6, 1.0, None, "named", "salience", [], None, None),
        ],
        {"named entities": ["Berlin (GPE)"], "subjects": ["Berlin 1.00"]},
    ),
    (
        ExpandImages(),
        [
            Window(_ONE.sample_id, 0, "right", [0, 0, 4, 4], [2, 0, 4, 4], 2, None, None),
            PicturePart(_ONE.sample_id, 1, [4, 0, 8, 4]),
            ImaginedCheck(
                *(_ONE.sample_id, "right", 1, True, None, None, "a hill", None, None, None, None, None, None)
            ),
        ],
        {"windows": ["right 0: [0, 0, 4, 4]"], "parts": ["1: [4, 0, 8, 4]"], "imagined": ["right 1: a hill"]},
    ),
    (
        DensePrompts(),
        [PromptCheck(_ONE.sample_id, None, None, "A cat.", 2, 3, '[{"id": 1, "question": "Is there a cat?"}]')],
        {"questions": ["Is there a cat?"]},
    ),
]


@pytest.mark.parametrize(("made_by", "records", "besides"), _BESIDE, ids=["anchor", "expand", "dense_prompts"])
def test_what_a_product_knows_besides_stands_with_its_rows(
    made_by: Any, records: list[Any], besides: dict[str, list[str]], tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "root"))
    write_recipe(store, made_by)
    for row in (_ONE, *records):
        roots.write_table(store, type(row), "list-0", [row])
    write_report(store)
    (shown,) = data_of(store)["rows"]
    assert shown["alt"] == "Berlin in May" and dict(shown["further"]) == besides
