"""What people decide reaches the release, as far as judgement reaches, and is never lost."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from curation.catalog import connect, conservation
from curation.core.engines.local import LocalEngine
from curation.core.pipeline import run_reduce, run_segment
from curation.core.stage import digest
from curation.core.store import Store
from curation.release.differences import compare
from curation.release.export_stage import ExportStage
from curation.reviews import journal
from curation.reviews.journal import read_all
from curation.reviews.review_step import ReviewStep
from flows.review import main as review
from flows.takedown import main as takedown
from tests.support.decided import decide, released
from tests.support.object_store import bucket
from tests.support.release_steps import finish_release, pack_reduce, steps_for
from tests.support.roots import World, add_shard, every_ending, make_world, recipe, release

__all__ = ["bucket"]

EDITED = "A red kite over a pond; nobody is in it."


def run_again(world: World) -> None:
    """The steps from the decisions on, as a run does them."""
    (step,) = (s for s in steps_for(world.recipe) if isinstance(s, ReviewStep))
    step.run(world.store, LocalEngine(), lambda _: None)
    run_reduce(world.store, pack_reduce(world.recipe), lambda _: None)
    stage = ExportStage(images=world.recipe.export.images)
    run_segment(world.store, LocalEngine(), [stage], world.store.shards("placements"), lambda _: None)
    finish_release(world.store, world.recipe)
    counts = conservation(world.store)
    assert counts.ok, counts


@contextmanager
def asked(world: World) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(world.store.url) as connection:
        yield connection


def samples(world: World, where: str) -> list[str]:
    with asked(world) as connection:
        found = connection.execute(f"SELECT sample_id FROM samples WHERE {where} ORDER BY sample_id").fetchall()
    return [row[0] for row in found]


def of(world: World, sample: str) -> tuple[str, str | None, str | None]:
    with asked(world) as connection:
        query = (
            "SELECT fate, reason, caption FROM samples WHERE sample_id = ? AND reason IS DISTINCT FROM 'repeated_row'"
        )
        ((fate, reason, caption),) = connection.execute(query, [sample]).fetchall()
    return fate, reason, caption


def files_of(store: Store) -> list[str]:
    """The files of the release, without those of its folders."""
    return [n for n in store.names("release") if "." in n or n == "SHA256SUMS"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(str(tmp_path_factory.mktemp("finished") / "root"), recipe(shard_size=5), [every_ending(8)])
    release(made)
    return made


@pytest.fixture
def world(finished: World, tmp_path: Path) -> World:
    """A copy of the root, to decide about."""
    shutil.copytree(finished.store.path(""), tmp_path / "root")
    return World(Store(str(tmp_path / "root")), finished.recipe, dict(finished.expected), dict(finished.ids))


def test_a_root_without_decisions_is_finished_as_before(world: World) -> None:
    pack = pack_reduce(world.recipe)
    assert "reviews" not in {r.table for r in pack.reads} and {r.table for r in pack.beside} == {"reviews"}
    before = {n: world.store.read(f"release/{n}") for n in files_of(world.store)}
    was = digest(pack), world.store.reduce_entry("placements")
    run_again(world)
    assert (digest(pack), world.store.reduce_entry("placements")) == was
    assert {n: world.store.read(f"release/{n}") for n in files_of(world.store)} == before
    assert not world.store.exists("manifest/reviews/_reduce.json")


def test_a_reject_takes_out_an_edit_goes_out_and_both_are_undone(world: World) -> None:
    before = released(world.store)
    first, second = sorted(before)[:2]
    reject = decide(world.store, first, "reject", reason="judged_unsafe", note="a note")
    edit = decide(world.store, second, "edit", after=EDITED, kind=before[second][1]["caption_kind"])
    run_again(world)
    after = released(world.store)
    assert first not in after and after.keys() == before.keys() - {first}
    fate, reason, _ = of(world, first)
    assert (fate, reason) == ("rejected", "judged_unsafe")
    text, about = after[second]
    assert text == EDITED and about["captions"][about["caption_kind"]] == EDITED and about["words"] == 10
    assert not about.get("model") and "similarity" not in about
    assert {s: after[s][0] for s in after if s != second} == {s: before[s][0] for s in after if s != second}
    decide(world.store, first, "undo", undoes=reject)
    decide(world.store, second, "undo", undoes=edit)
    run_again(world)
    assert released(world.store) == before


def test_an_object_store_has_decisions_too(bucket: str) -> None:
    made = make_world(f"{bucket}/root", recipe(shard_size=5), [every_ending(1)])
    release(made)
    before = released(made.store)
    gone, edited, *_ = sorted(before)
    decide(made.store, gone, "reject", reason="false_statement")
    decide(made.store, edited, "edit", after=EDITED, kind="dense", words=10, clip_tokens=13)
    run_again(made)
    after = released(made.store)
    assert after.keys() == before.keys() - {gone} and after[edited][0] == EDITED


def test_the_last_decision_that_stands_decides(world: World) -> None:
    sample = min(released(world.store))
    decide(world.store, sample, "reject", reason="judged_false")
    edit = decide(world.store, sample, "edit", after=EDITED, kind="dense")
    run_again(world)
    assert of(world, sample) == ("kept", None, EDITED)
    decide(world.store, sample, "undo", undoes=edit)
    run_again(world)
    assert of(world, sample)[:2] == ("rejected", "judged_false")
    decide(world.store, sample, "keep")
    run_again(world)
    fate, _, caption = of(world, sample)
    assert fate == "kept" and caption != EDITED


def test_a_keep_brings_back_what_captions_were_rejected_for_and_nothing_else(world: World) -> None:
    every = samples(world, "fate = 'rejected' AND reason <> 'repeated_row'")
    with asked(world) as connection:
        found = connection.execute("SELECT sample_id, stage, reason FROM samples WHERE fate = 'rejected'").fetchall()
    stages = {sample: stage for sample, stage, reason in found if reason != "repeated_row"}
    for sample in every:
        decide(world.store, sample, "keep", after=f"seen: {sample[:6]}", kind="dense")
    run_again(world)
    after = released(world.store)
    back = {s for s, stage in stages.items() if stage in ("recaption", "check", "scores")}
    assert back and set(stages.values()) >= {"plan", "download", "dedupe"}
    assert after.keys() & stages.keys() == back
    for sample in back:
        assert after[sample][0] == f"seen: {sample[:6]}"
        assert of(world, sample)[0] == "kept"
    for sample in stages.keys() - back:
        assert of(world, sample)[0] == "rejected"


def test_a_keep_without_a_text_brings_nothing_back(world: World) -> None:
    sample = samples(world, "stage = 'recaption' AND fate = 'rejected'")[0]
    decide(world.store, sample, "keep")
    run_again(world)
    assert of(world, sample)[0] == "rejected"


def test_decisions_survive_a_root_that_grows(world: World) -> None:
    first, second = sorted(released(world.store))[:2]
    decide(world.store, first, "reject", reason="judged_private")
    decide(world.store, second, "edit", after=EDITED, kind="dense")
    run_again(world)
    add_shard(world, "more.parquet", every_ending(5))
    run_again(world)
    assert of(world, first)[1] == "judged_private" and of(world, second)[2] == EDITED
    assert len(released(world.store)) > 8


def test_an_audit_counts_captions_as_they_were_read(world: World) -> None:
    """Who mends what an audit finds makes the rest of the release no better; what was made anew was not audited."""
    before = released(world.store)
    judged = sorted(before)[:6]
    for n, sample in enumerate(judged):
        answers = {"anything_false": n < 2, "subject_missing": False}
        seen = before[sample][0] if n < 5 else "a caption that the release has no more"
        decide(world.store, sample, "audit", audit="seed 0", before=seen, **answers)
        decide(world.store, sample, "audit", audit="seed 0", before=seen, who="ben", **answers)
    decide(world.store, judged[0], "reject", reason="judged_false")
    decide(world.store, judged[1], "edit", after=EDITED, kind=before[judged[1]][1]["caption_kind"])
    run_again(world)
    card = world.store.read("release/README.md").decode()
    assert "## Review by people" in card and "1 were taken out, 1 were released with an edited caption" in card
    assert "| anything false | 2 of 5 | 40.0% | 11.8% to 76.9% |" in card
    assert "| main subject missing | 0 of 5 |" in card and "| pair 1 | 5 | 1.00 | one answer only |" in card
    assert "ann" not in card.partition("## Review by people")[2].partition("\n## ")[0].replace("anything", "")


def test_a_difference_tells_what_people_edited(world: World, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(world.store.path("release"), old / "release")
    first, second = sorted(released(world.store))[:2]
    decide(world.store, first, "edit", after=EDITED, kind="dense")
    decide(world.store, second, "reject", reason="judged_poor_image")
    run_again(world)
    with asked(world) as database:
        found = compare(Store(str(old)), world.store, database, catalog=True)
    assert found.recaptioned == found.by_review == (first,) and found.removed == (second,)
    said = list(found.lines())
    assert "1 sample with another caption (1 by review)" in said and any(
        "reviews/judged_poor_image 1" in s for s in said
    )


def test_a_takedown_reaches_what_was_decided_about_its_samples(world: World) -> None:
    store = world.store
    first, second = sorted(released(store))[:2]
    decide(store, first, "edit", after="A secret garden that nobody else describes.", kind="dense")
    decide(store, second, "reject", reason="judged_off_topic")
    run_again(world)
    decide(store, first, "reject", reason="judged_private", note="not yet in the table, secret garden")
    assert takedown([store.url, "--sample", first, "--reason", "asked for", "--yes", "--verify"]) == 0
    assert [r.sample_id for r in read_all(store)] == [second]
    assert not any(b"secret garden" in p.read_bytes() for p in Path(store.path("")).rglob("*") if p.is_file())
    assert of(world, second)[1] == "judged_off_topic"
    before = {n: store.read(n) for n in every_file(store)}
    run_again(world)
    assert {n: store.read(n) for n in every_file(store)} == before


def every_file(store: Store) -> list[str]:
    """The files of tables and of the release."""
    folder = Path(store.path(""))
    return [
        str(p.relative_to(folder)) for part in ("tables", "release") for p in (folder / part).rglob("*") if p.is_file()
    ]


def test_many_files_become_one_and_nothing_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_TOGETHER", 3)
    ids = sorted(released(world.store))
    for sample in ids[:5]:
        decide(world.store, sample, "reject", reason="judged_false")
    before = read_all(world.store)
    run_again(world)
    assert len(world.store.names("reviews")) == 1 and read_all(world.store) == before
    decide(world.store, ids[0], "keep")
    run_again(world)
    assert released(world.store).keys() == set(ids) - set(ids[1:5])


def test_csv_has_every_decision_and_no_formula(world: World, tmp_path: Path) -> None:
    sample = min(released(world.store))
    decide(world.store, sample, "edit", after="=HYPERLINK(1)", note='a "note", with commas', kind="dense")
    assert review([world.store.url, "--csv", str(tmp_path / "all.csv")]) == 0
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["after"], row["note"], row["action"]) == ("'=HYPERLINK(1)", 'a "note", with commas', "edit")


def test_what_was_decided_is_applied_without_a_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    sample = min(released(world.store))
    decide(world.store, sample, "reject", reason="judged_unsafe")
    assert review([world.store.url, "--apply"]) == 0 and "kept" in capsys.readouterr().out
    assert sample not in released(world.store)


def test_a_damaged_file_is_named_and_stops(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.store.write("reviews/x.json", b'{"review_id": 3}')
    assert review([world.store.url, "--csv", "-"]) == 2 and "x.json" in capsys.readouterr().err


def test_a_decision_changes_its_own_shard_alone(world: World) -> None:
    store = world.store
    tars = {n: store.read(f"release/{n}") for n in store.names("release", ".tar")}
    assert len(tars) >= 3
    shard, first, second = two_of_a_shard(world)
    reject = decide(store, first, "reject", reason="judged_false")
    decide(store, second, "edit", after=EDITED, kind="dense")
    run_again(world)
    after = {n: store.read(f"release/{n}") for n in store.names("release", ".tar")}
    assert after.keys() == tars.keys()
    assert [n for n in tars if after[n] != tars[n]] == [f"{shard}.tar"]
    decide(store, first, "undo", undoes=reject)
    run_again(world)
    back = {n: store.read(f"release/{n}") for n in store.names("release", ".tar")}
    assert {n: back[n] for n in after} == after and len(back) == len(after) + 1
    assert first in released(store)


def two_of_a_shard(world: World) -> tuple[str, str, str]:
    with asked(world) as connection:
        query = (
            "SELECT shard, list(sample_id ORDER BY position) FROM placements GROUP BY shard ORDER BY count(*) DESC, 1"
        )
        shard, ids = connection.execute(query).fetchall()[0]
    return shard, ids[0], ids[1]


@pytest.mark.parametrize("writes", [0, 1])
def test_packing_that_is_killed_amid_what_was_decided_ends_with_the_same_bytes(
    world: World, tmp_path: Path, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(released(world.store))
    for sample in ids[::3]:
        decide(world.store, sample, "reject", reason="judged_false")
    decide(world.store, ids[1], "edit", after=EDITED, kind="dense")
    shutil.copytree(world.store.path(""), tmp_path / "other")
    other = World(Store(str(tmp_path / "other")), world.recipe)
    run_again(other)
    done = 0
    rewrite = Store.rewrite

    def killed(self: Store, *given: Any) -> Any:
        nonlocal done
        if given[0].table == "placements":
            done += 1
            if done > writes:
                raise KeyboardInterrupt
        return rewrite(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "rewrite", killed)
        with pytest.raises(KeyboardInterrupt):
            run_again(world)
    run_again(world)
    assert every_file(world.store) == every_file(other.store)
    assert all(world.store.read(n) == other.store.read(n) for n in every_file(other.store))
