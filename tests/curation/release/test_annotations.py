"""What stages know of a sample beside its caption: null is nowhere, and a change costs the shards that it concerns."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import Totals, run_reduce, run_segment
from curation.core.store import Store
from curation.core.verdict import Annotation, Annotations
from curation.release.export_stage import ExportStage
from curation.release.pack_stage import PackReduce
from schemas.arrays import strings
from schemas.arrow import Record, rows_of
from schemas.captions import CaptionCheck
from schemas.records import Placement, SourceRow
from tests.curation.release.test_declarations import Adds, steps_with
from tests.support.kills import every_kill
from tests.support.roots import Row, World, add_shard, make_world, recipe, write_table


@dataclasses.dataclass(frozen=True, slots=True)
class Mark(Record):
    """A toy table, with a row for some samples only."""

    table: ClassVar[str] = "toy_notes"

    sample_id: Annotated[str, "as in rows"]
    mark: Annotated[str | None, "a text"]
    further: Annotated[str | None, "an object as JSON"]


@dataclasses.dataclass(frozen=True)
class AddsMarks(Adds):
    """A toy that adds what its table says."""

    writes: ClassVar[type[Record]] = Mark


ADDS = AddsMarks(
    Annotations(
        Mark.table,
        (Mark,),
        (
            Annotation("mark", "a.mark", pa.string()),
            Annotation("marks", "coalesce(a.mark, 'none')", pa.string()),
            Annotation("further", "a.further::JSON", pa.struct([]), found_in="a.further"),
        ),
    )
)
Marks = Mapping[str, tuple[str | None, str | None]]
_IN_TURN: tuple[tuple[str | None, str | None] | None, ...] = (
    ("one", '{"a": 1, "b": null, "c": {"d": null, "e": [null]}}'),
    (None, '{"b": null}'),
    ("two", None),
    None,  # no row
)


def mark(world: World, marks: Marks) -> None:
    """Writes the toy's table, with a row for these samples."""
    for shard in world.store.shards(SourceRow.table):
        there = strings(world.store.read_table(SourceRow, shard, ["sample_id"])["sample_id"])
        write_table(world.store, Mark, shard, [Mark(s, *marks[s]) for s in dict.fromkeys(there) if s in marks])


def packing(world: World) -> PackReduce:
    return next(p for s in steps_with(world, ADDS) for p in s.parts if isinstance(p, PackReduce))


def packed(world: World) -> Totals:
    """Packs and exports; what the export did."""
    assert not run_reduce(world.store, packing(world), lambda _: None).failed
    shards = world.store.shards(Placement.table)
    return run_segment(world.store, LocalEngine(), [ExportStage()], shards, lambda _: None)


def placements(store: Store) -> dict[str, Placement]:
    shards = store.shards(Placement.table)
    return {row.sample_id: row for s in shards for row in rows_of(Placement, store.read_table(Placement, s))}


def tables(store: Store) -> dict[str, bytes]:
    return {s: store.read(store.table_file(Placement.table, s)) for s in store.shards(Placement.table)}


def test_what_is_null_stands_neither_in_the_json_nor_in_the_metadata(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), recipe(val=0, test=0), [[Row()] * 8])
    samples = sorted(world.kept_ids())
    marks = dict(zip(samples, _IN_TURN * 2, strict=True))
    mark(world, {s: m for s, m in marks.items() if m is not None})
    packed(world)
    for shard in world.store.shards(Placement.table):
        metadata = pq.read_table(io.BytesIO(world.store.read(f"release/metadata/{shard}.parquet"))).to_pylist()
        with tarfile.open(fileobj=io.BytesIO(world.store.read(f"release/{shard}.tar"))) as tar:
            for row in metadata:
                member = tar.extractfile(f"{row['sample_id']}.json")
                assert member is not None
                told: dict[str, Any] = json.load(member)
                expected = {
                    _IN_TURN[0]: {"mark": "one", "marks": "one", "further": {"a": 1, "c": {"e": [None]}}},
                    _IN_TURN[1]: {"marks": "none", "further": {}},
                    _IN_TURN[2]: {"mark": "two", "marks": "two"},
                    _IN_TURN[3]: {"marks": "none"},
                }[marks[row["sample_id"]]]
                assert json.loads(row["annotations"]) == expected
                assert {key: told[key] for key in ("mark", "marks", "further") if key in told} == expected


def grown(folder: Path) -> tuple[World, dict[str, tuple[str | None, str | None]]]:
    """A root of two packings, whose places a fresh root would not have."""
    world = make_world(str(folder), recipe(shard_size=3, val=0.3, test=0), [[Row()] * 10])
    marks: dict[str, tuple[str | None, str | None]] = dict.fromkeys(world.kept_ids(), ("first", None))
    mark(world, marks)
    packed(world)
    add_shard(world, "growth.parquet", [Row()] * 10)
    marks |= dict.fromkeys(world.kept_ids(), ("first", None))
    mark(world, marks)
    packed(world)
    return world, marks


@pytest.mark.parametrize("changed", [("second", None), (None, None), None])
def test_an_annotation_that_changes_costs_its_own_shard(
    tmp_path: Path, changed: tuple[str | None, str | None] | None
) -> None:
    world, marks = grown(tmp_path / "root")
    before, bytes_before = placements(world.store), tables(world.store)
    sample = next(s for s, p in before.items() if p.shard == "train-000001")
    after = {s: m for s, m in marks.items() if s != sample} | ({sample: changed} if changed is not None else {})
    mark(world, after)
    done = packed(world)
    found, bytes_found = placements(world.store), tables(world.store)
    assert [s for s in bytes_before if bytes_found[s] != bytes_before[s]] == ["train-000001"]
    assert bytes_found.keys() == bytes_before.keys()
    assert (done.done, done.skipped) == (1, len(bytes_found) - 1)
    assert [s for s in before if found[s] != before[s]] == [sample]
    said = json.loads(found[sample].annotations)
    assert said == (
        {"marks": "none"} if changed is None or changed[0] is None else {"mark": "second", "marks": "second"}
    )


def test_growth_with_annotations_that_change_appends(tmp_path: Path) -> None:
    """As ranks among all samples do, each time that some come."""
    world, _ = grown(tmp_path / "root")
    before = placements(world.store)
    add_shard(world, "more.parquet", [Row()] * 5)
    mark(world, dict.fromkeys(world.kept_ids(), ("another", None)))
    packed(world)
    found = placements(world.store)
    assert len(found) == len(before) + 5
    for sample, place in before.items():
        now = found[sample]
        assert (now.shard, now.position) == (place.shard, place.position)
        assert json.loads(now.annotations)["mark"] == "another"


def packed_despite_kills(whole: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of the folder ``whole``, packed; copies whose packing was killed anywhere and run again are the same."""
    roots: list[World] = []

    def pack(world: World) -> None:
        assert not run_reduce(world.store, packing(world), lambda _: None).failed

    def prepare() -> Callable[[], object]:
        copied = shutil.copytree(tmp_path / "whole", tmp_path / f"killed-{len(roots)}")
        roots.append(dataclasses.replace(whole, store=Store(str(copied))))
        return lambda: pack(roots[-1])

    for _ in every_kill(prepare, monkeypatch, step=7):
        pack(roots[-1])
    found = [tables(world.store) for world in roots]
    assert len(found) > 3 and all(one == found[-1] for one in found)
    return roots[-1].store


def test_a_run_killed_among_changed_annotations_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, marks = grown(tmp_path / "whole")
    places = placements(whole.store)
    mark(whole, {s: ("second" if n % 3 else "first", None) for n, s in enumerate(marks)})
    last = packed_despite_kills(whole, tmp_path, monkeypatch)
    now = placements(last)
    assert {s: (p.shard, p.position) for s, p in now.items()} == {s: (p.shard, p.position) for s, p in places.items()}


def test_a_plan_for_annotations_does_not_outlive_a_packing_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caption changes behind it: all is placed anew, wherever that is killed."""
    whole, marks = grown(tmp_path / "whole")
    mark(whole, dict.fromkeys(marks, ("second", None)))
    packed(whole)
    first = next(p for p in placements(whole.store).values() if p.shard == "train-000000")
    for shard in whole.store.shards(CaptionCheck.table):
        rows = list(rows_of(CaptionCheck, whole.store.read_table(CaptionCheck, shard)))
        if any(r.sample_id == first.sample_id for r in rows):
            write_table(
                *(whole.store, CaptionCheck, shard),
                [dataclasses.replace(r, caption="Another.") if r.sample_id == first.sample_id else r for r in rows],
            )
    last = packed_despite_kills(whole, tmp_path, monkeypatch)
    assert tables(last).keys() != tables(whole.store).keys()
