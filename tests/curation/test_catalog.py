"""The catalog: one row and one fate for every source row, whatever state the root is in."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from curation.catalog import connect, conservation, main, refresh
from curation.core.errors import RootError
from curation.core.run import RunRecord
from curation.core.store import Store
from schemas.arrow import rows_of
from schemas.captions import Caption, CaptionCheck
from schemas.reasons import Reason
from schemas.recipe import Dedupe
from schemas.records import ImageRow, Released, SourceRow
from tests.support.roots import (
    STAGES,
    Row,
    World,
    add_shard,
    every_ending,
    make_world,
    recipe,
    release,
    write_table,
)


def fates(world: World) -> dict[tuple[str, int], tuple[str, str, str | None]]:
    query = "SELECT source_file, source_row, fate, stage, reason FROM samples"
    return {
        (file, row): (fate, stage, reason)
        for file, row, fate, stage, reason in connect(world.store.url).execute(query).fetchall()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(str(tmp_path_factory.mktemp("catalog") / 'it\'s a [root] *?{a,b}; "é"'))
    add_shard(world, "failed.parquet", every_ending(2), until="dedupe", error="RuntimeError: the model's gone")
    add_shard(world, "waiting.parquet", every_ending(2), until="plan")
    add_shard(world, "unscored.parquet", every_ending(2), until="check")
    release(world)
    return world


def test_every_source_row_has_the_fate_that_its_stages_gave_it(finished: World) -> None:
    assert fates(finished) == finished.expected
    assert {fate for fate, _, _ in finished.expected.values()} == {"kept", "rejected", "failed"}


def test_fates_add_up_to_the_source(finished: World) -> None:
    found = conservation(finished.store)
    assert found.ok, str(found)
    assert found.source == len(finished.expected) == found.kept + found.rejected + found.failed
    assert found.kept == len(finished.kept_ids())


def test_a_failed_shard_says_why_in_each_of_its_rows(finished: World) -> None:
    query = "SELECT DISTINCT stage, detail FROM samples WHERE reason = 'shard_failed'"
    assert connect(finished.store.url).execute(query).fetchall() == [("recaption", "RuntimeError: the model's gone")]


def test_a_repeat_keeps_the_sample_id_of_the_row_it_repeats(finished: World) -> None:
    query = """
        SELECT r.sample_id = o.sample_id, o.fate, r.width FROM samples r
        JOIN samples o ON o.source_file = r.source_file AND o.source_row = 0 WHERE r.reason = 'repeated_row'
    """
    found = connect(finished.store.url).execute(query).fetchall()
    assert ("part-0.parquet", 0) in finished.expected and (True, "kept", None) in found
    assert all(same and width is None for same, _, width in found)


@pytest.mark.parametrize("until", STAGES)
def test_a_half_finished_root_can_be_asked_and_loses_no_row(tmp_path: Path, until: str) -> None:
    world = make_world(str(tmp_path / "root"), shards=[])
    add_shard(world, "part.parquet", every_ending(3), until=until)
    expected = {k: ("failed", "release", "unfinished") if v[0] == "kept" else v for k, v in world.expected.items()}
    assert fates(world) == expected
    assert conservation(world.store).ok


def test_a_root_with_a_recipe_alone_has_empty_views(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[])
    views = [v for (v,) in connect(world.store.url).execute("SELECT DISTINCT view FROM docs").fetchall()]
    asked = {v: connect(world.store.url).execute(f'SELECT count(*) FROM "{v}"').fetchone() for v in views}
    full = {"docs", "stages", "preferred", "prices"}
    assert {v for v, count in asked.items() if count != (0,)} == full
    assert str(conservation(world.store)) == "0 source rows = 0 kept + 0 rejected + 0 failed"


def test_a_folder_called_key_equals_value_above_a_root_changes_no_column(tmp_path: Path, finished: World) -> None:
    """DuckDB takes such folders for columns, unless it is told not to."""
    place = tmp_path / "sample_id=none" / "kind=none"
    place.mkdir(parents=True)
    shutil.copytree(finished.store.path(""), place / "root")
    query = "SELECT * FROM samples ORDER BY ALL"
    there = connect(str(place / "root")).execute(query).fetchall()
    assert there == connect(finished.store.url).execute(query).fetchall()


def test_options_may_stand_before_or_behind_the_query(finished: World, capsys: pytest.CaptureFixture[str]) -> None:
    root, query = finished.store.url, "SELECT count(*) AS n FROM samples"
    for words in (["--csv", root, query], [root, "--csv", query], [root, query, "--csv"]):
        assert main(words) == 0
    printed = capsys.readouterr().out.split()
    assert printed[:2] == printed[2:4] == printed[4:]


def test_every_view_and_every_column_is_documented(finished: World) -> None:
    undocumented = connect(finished.store.url).execute('SELECT view, "column" FROM docs WHERE doc IS NULL').fetchall()
    assert undocumented == []


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        (["boilerplate_opening", "cut_off", "wrong_language", "too_short"], "wrong_language"),
        (["filler", "boilerplate_opening", "repetition"], "repetition"),
        (["markup", "unknown_name"], "unknown_name"),
        (["boilerplate_opening"], "boilerplate_opening"),
        ([], "too_short"),
    ],
)
def test_a_caption_is_rejected_for_what_could_not_be_mended(tmp_path: Path, reasons: list[str], reason: str) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row("refused")]])
    (shard,) = world.store.shards("caption_checks")
    rows = list(rows_of(CaptionCheck, world.store.read_table(CaptionCheck, shard)))
    changed = [dataclasses.replace(r, reasons=[Reason(x) for x in reasons]) if r.kind == "dense" else r for r in rows]
    write_table(world.store, CaptionCheck, shard, changed)
    assert fates(world) == {("part-0.parquet", 0): ("rejected", "check", reason)}


def test_a_silent_kind_does_not_hide_why_another_was_rejected(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row("refused")]])
    (shard,) = world.store.shards("captions")
    rows = list(rows_of(Caption, world.store.read_table(Caption, shard)))
    silent = [dataclasses.replace(r, text=None, reason=Reason.MODEL_ERROR) if r.kind == "dense" else r for r in rows]
    write_table(world.store, Caption, shard, silent)
    assert fates(world) == {("part-0.parquet", 0): ("rejected", "check", "refusal")}


def test_the_alt_text_steps_in_only_where_the_recipe_says_so(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), recipe(alt_text_fallback=False), [[Row("kept_by_alt_text"), Row()]])
    release(world)
    assert fates(world) == {
        ("part-0.parquet", 0): ("rejected", "recaption", "model_error"),
        ("part-0.parquet", 1): ("kept", "release", None),
    }


def test_what_a_killed_writer_left_without_an_entry_is_not_counted(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row(), Row()]])
    name = add_shard(world, "late.parquet", [Row()])
    world.store.remove(f"manifest/images/{name}.json")
    assert fates(world)["late.parquet", 0] == ("failed", "download", "unfinished")


def test_a_note_on_the_source_of_a_kept_row_is_its_detail(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row(), Row(), Row("gone")]])
    (shard,) = world.store.shards("rows")
    rows = list(rows_of(SourceRow, world.store.read_table(SourceRow, shard)))
    write_table(
        world.store, SourceRow, shard, [dataclasses.replace(r, detail="odd") if r.source_row else r for r in rows]
    )
    release(world)
    found = connect(world.store.url).execute("SELECT source_row, detail FROM samples ORDER BY source_row").fetchall()
    assert found[:2] == [(0, None), (1, "odd")]
    assert found[2][1] != "odd"  # a rejection has a detail of its own


def test_shards_that_the_source_no_longer_has_are_nobodys(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row(), Row("gone")]])
    name = add_shard(world, "withdrawn.parquet", [Row()])
    world.store.retire("rows", name)
    assert {file for file, _ in fates(world)} == {"part-0.parquet"}
    count = connect(world.store.url).execute("SELECT count(*) FROM images").fetchone()
    assert count == (2,)


def test_without_dedupe_no_decision_of_it_counts(tmp_path: Path) -> None:
    found = recipe().model_copy(update={"dedupe": Dedupe(enabled=False)})
    world = make_world(str(tmp_path / "root"), found, shards=[[Row(), Row()]])
    world.store.retire("duplicates", world.store.shards("rows")[0])
    release(world)
    assert {fate for fate, _, _ in fates(world).values()} == {"kept"}


def test_a_sample_that_is_released_twice_breaks_conservation(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row(), Row()]])
    release(world)
    shard = world.store.shards("released")[0]
    ident = sorted(world.kept_ids())[0]
    write_table(world.store, Released, "extra-000000", [Released(ident, "train", "extra-000000", 0, 1)] * 2)
    found = conservation(world.store)
    assert not found.ok and any("more than once" in p for p in found.problems), shard


def test_a_row_that_stands_twice_in_the_source_breaks_conservation(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row()]])
    (name,) = world.store.shards("rows")
    rows = list(rows_of(SourceRow, world.store.read_table(SourceRow, name)))
    write_table(world.store, SourceRow, "again", rows)
    assert "1 source rows have more than one fate" in conservation(world.store).problems


def test_the_file_answers_from_anywhere_and_a_moved_root_heals(finished: World, tmp_path: Path) -> None:
    refresh(finished.store)
    moved = tmp_path / "moved"
    shutil.copytree(finished.store.path(""), moved)
    before = ask_file(Path(finished.store.path("catalog.duckdb")), tmp_path)
    assert before == len(finished.expected)
    (moved / "tables" / "rows" / "extra.parquet").unlink(missing_ok=True)
    shutil.rmtree(moved / "manifest" / "rows")
    (moved / "manifest" / "rows").mkdir()
    assert ask_file(moved / "catalog.duckdb", tmp_path) == before  # still speaks of the old place
    connect(str(moved), refresh=True).close()
    assert ask_file(moved / "catalog.duckdb", tmp_path) == 0  # speaks of the new one, which has no rows


def ask_file(path: Path, cwd: Path) -> int:
    code = (
        "import duckdb, sys\n"
        "with duckdb.connect(sys.argv[1], read_only=True) as catalog:\n"
        "    print(catalog.execute('SELECT count(*) FROM samples').fetchone()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=cwd, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_root_on_an_object_store_is_asked_in_memory() -> None:
    world = make_world("memory://catalog-test/root", shards=[every_ending(3)])
    release(world)
    refresh(world.store)
    assert fates(world) == world.expected
    assert conservation(world.store).ok
    assert not world.store.exists("catalog.duckdb")


def test_runs_are_a_view(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row()]])
    record = RunRecord("python -m flows.refine_laion", status="completed")
    record.done["images"] = 3
    record.write(world.store)
    query = "SELECT run_id, command, status, done->>'images', year(started) > 2000 FROM runs"
    found = connect(world.store.url).execute(query).fetchall()
    assert found == [(record.run_id, "python -m flows.refine_laion", "completed", "3", True)]


def test_the_command_line_prints_tables_csv_and_json(finished: World, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT source_file, count(*) AS n FROM samples GROUP BY 1 ORDER BY 1 LIMIT 2"
    assert main([finished.store.url, query]) == 0
    table = capsys.readouterr().out
    assert "source_file" in table and "failed.parquet" in table
    assert main([finished.store.url, query, "--csv"]) == 0
    read = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert main([finished.store.url, query, "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["source_file"], int(r["n"])) for r in read] == [(t["source_file"], t["n"]) for t in printed]
    assert main([finished.store.url]) == 0
    assert "Every source row with its one fate" in capsys.readouterr().out


WIDE = (
    "SELECT 'a' || chr(9) || 'c' || chr(10) AS \"[red]name\", "
    "rtrim(repeat('word ', 100)) AS long, NULL AS none, '' AS empty"
)


def test_what_is_piped_is_a_line_a_row_with_a_tab_between_values(
    finished: World, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "SELECT * FROM samples ORDER BY ALL"
    assert main([finished.store.url, query]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main([finished.store.url, query, "--format", "tsv"]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert len(lines) == 1 + len(finished.expected)
    assert {line.count("\t") for line in lines} == {lines[0].count("\t")}
    assert "source_file" in lines[0].split("\t") and not any("  " in line for line in lines)


@pytest.mark.parametrize(("form", "lines"), [("tsv", 2), ("table", 5), ("json", 1)])
def test_no_form_wraps_or_cuts_a_value_or_fills_a_line_with_blanks(
    form: str, lines: int, finished: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main([finished.store.url, WIDE, "--format", form]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == lines and ("word " * 100).strip() in printed
    assert r"a\tc\n" in printed and "[red]name" in printed
    assert max(map(len, printed.splitlines())) < 600


def test_on_a_terminal_a_table_is_as_wide_as_the_terminal(
    finished: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    assert main([finished.store.url, WIDE]) == 0
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert len(lines) > 5 and {len(line) for line in lines} == {60}


@pytest.mark.parametrize("query", ["SELEC 1", "SELECT * FROM nowhere", "SELECT sample_idd FROM samples"])
def test_a_query_that_cannot_be_answered_is_one_line(
    finished: World, query: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([finished.store.url, query]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("error: ") and printed.err.count("\n") == 1


def test_a_folder_that_is_no_root_is_said_to_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere"), "SELECT 1"]) == 2
    assert "is not a dataset root" in capsys.readouterr().err
    with pytest.raises(RootError):
        connect("nosuchprotocol://x")


def test_untrusted_text_does_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nasty = "\x1b[2J[red]gone\x00\u202eback\r\n"
    world = make_world(str(tmp_path / "root"), shards=[[Row(alt_text=nasty)]])
    assert main([world.store.url, "SELECT alt_text FROM samples"]) == 0
    printed = capsys.readouterr().out
    assert not set(nasty) & set("\x1b\x00\u202e\r") & set(printed)
    assert r"\x1b[2J[red]gone\x00\u202eback" in printed


def test_a_root_that_cannot_be_written_can_be_asked(finished: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Store, "scratch", unwritable)
    assert main([finished.store.url, "SELECT 1"]) == 0


def test_the_catalog_holds_views_only(finished: World) -> None:
    refresh(finished.store)
    with duckdb.connect(finished.store.path("catalog.duckdb"), read_only=True) as catalog:
        assert catalog.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)
        assert catalog.execute("SELECT count(*) FROM images").fetchone() == (
            sum(e.rows_out for e in finished.store.entries(ImageRow.table).values()),
        )
