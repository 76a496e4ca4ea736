"""What stages declare of samples is put together as declared, and refused where it cannot be meant."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, ClassVar

import duckdb
import pyarrow as pa
import pytest

from curation.caption.choice import Choice
from curation.core.errors import LapidaryError
from curation.core.pipeline import run_reduce
from curation.core.run import Step, segment
from curation.core.stage import Resources, Work
from curation.core.verdict import Annotation, Annotations, Verdict, ViewColumn
from curation.products.refine import curating_steps, release_steps
from curation.release.pack_stage import PackReduce
from curation.release.views.create import create_views
from schemas.arrow import Record
from schemas.records import SourceRow
from tests.support.roots import World, make_world, write_table


@dataclasses.dataclass(frozen=True, slots=True)
class Mark(Record):
    """A toy table: a row for every source row."""

    table: ClassVar[str] = "toy_marks"

    sample_id: Annotated[str, "as in rows"]
    source_file: Annotated[str, "as in rows"]
    source_row: Annotated[int, "as in rows"]
    reason: Annotated[str | None, "why it was rejected"]


@dataclasses.dataclass(frozen=True)
class Rejects:
    """A toy that decides on samples."""

    verdict: Verdict
    name: str = "marks"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow,)
    writes: ClassVar[type[Record]] = Mark
    resources: ClassVar[Resources] = Resources()

    def open(self) -> AbstractContextManager[Work]:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Adds:
    """A toy that adds to a released sample's .json."""

    annotations: Annotations
    name: str = "adds"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow,)
    writes: ClassVar[type[Record]] = Mark
    resources: ClassVar[Resources] = Resources()

    def open(self) -> AbstractContextManager[Work]:
        raise NotImplementedError


_BY_ROW = Verdict(Mark.table, (Mark,), ("it's odd",), waiting="v.source_row IS NULL", reason="v.reason", by_row=True)


def by_sample(**settings: Any) -> Verdict:
    rows = f"(SELECT sample_id, any_value(reason) AS reason FROM {Mark.table} GROUP BY sample_id)"
    return Verdict(rows, (Mark,), ("it's odd",), reason="v.reason", settings=settings)


def steps_with(world: World, *toys: Any, first: bool = False) -> list[Step]:
    """LAION-refined with the toys behind planning, or behind everything that decides on samples."""
    choice = Choice.of(world.recipe)
    before = curating_steps(world.recipe, (), choice)
    before.insert(1 if first else len(before), segment("toys", toys, over=SourceRow))
    return release_steps(world.recipe, before, choice)


def marked(tmp_path: Path) -> World:
    """A world in which every third row is marked; repeated rows share a sample_id with those that they repeat."""
    world = make_world(str(tmp_path / "root"))
    for shard in world.store.shards(SourceRow.table):
        rows = world.store.read_table(SourceRow, shard, ["sample_id", "source_file", "source_row"]).to_pylist()
        marks = [Mark(**r, reason="it's odd" if r["source_row"] % 3 == 0 else None) for r in rows]
        write_table(world.store, Mark, shard, marks)
    return world


def asked(world: World, steps: list[Step], query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as views:
        create_views(views, world.store, steps)
        return views.execute(query).fetchall()


def packed(world: World, steps: list[Step]) -> None:
    run_reduce(world.store, next(p for s in steps for p in s.parts if isinstance(p, PackReduce)), lambda _: None)


_FATES = "SELECT source_file, source_row, stage, reason FROM samples ORDER BY ALL"


@pytest.mark.parametrize("column", [(), (ViewColumn("mark", "v.reason", "its mark", in_samples=True),)])
def test_a_verdict_by_row_takes_its_turn_in_the_list(tmp_path: Path, column: tuple[ViewColumn, ...]) -> None:
    world = marked(tmp_path)
    toy = Rejects(dataclasses.replace(_BY_ROW, columns=column))
    before = asked(world, steps_with(world), _FATES)
    last = asked(world, steps_with(world, toy), _FATES)
    expected = [(*row[:2], "marks", "it's odd") if row[2] == "release" and row[1] % 3 == 0 else row for row in before]
    assert last == expected != before
    first = asked(world, steps_with(world, toy, first=True), _FATES)
    assert all(row[2] in ("plan", "marks") for row in first if row[1] % 3 == 0)
    if column:
        for early in (True, False):
            steps = steps_with(world, toy, first=early)
            query = "SELECT DISTINCT mark FROM samples WHERE stage = 'marks'"
            assert asked(world, steps, query) == [("it's odd",)]


def test_rows_without_a_verdict_by_row_wait_only_where_nothing_earlier_decided(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"))
    query = "SELECT stage, count(*) FROM samples WHERE fate = 'rejected' GROUP BY stage ORDER BY stage"
    assert asked(world, steps_with(world, Rejects(_BY_ROW)), query) == asked(world, steps_with(world), query)


def test_a_table_may_be_asked_by_row_and_by_sample(tmp_path: Path) -> None:
    world = marked(tmp_path)
    both = dataclasses.replace(
        by_sample(),
        relation=f"(SELECT * FROM {Mark.table} WHERE source_row % 3 = 1)",
        waiting="false",
    )
    rows = dataclasses.replace(both, by_row=True, reason="CASE WHEN v.source_row % 3 = 1 THEN 'it''s odd' END")
    steps = steps_with(world, Rejects(rows, "by_row"), Rejects(both, "by_sample"))
    found = asked(world, steps, "SELECT DISTINCT stage FROM samples WHERE reason = 'it''s odd'")
    assert found == [("by_row",)]


def test_a_column_may_have_image_id_in_its_name(tmp_path: Path) -> None:
    world = marked(tmp_path)
    column = ViewColumn("other", "(SELECT 'x' AS my_image_id)", "a name", in_samples=True)
    steps = steps_with(world, Rejects(dataclasses.replace(by_sample(), columns=(column,))))
    assert asked(world, steps, "SELECT DISTINCT other FROM samples") == [("x",)]


def test_a_reason_that_would_reject_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="declares no reasons"):
        Verdict.each(Mark, ())


@pytest.mark.parametrize("taken", ["width", "stage", "split", "reason_0", "ruled_at"])
def test_a_column_that_the_views_have_is_refused(tmp_path: Path, taken: str) -> None:
    verdict = dataclasses.replace(by_sample(), columns=(ViewColumn(taken, "v.reason", "a clash"),))
    world = make_world(str(tmp_path / "root"))
    with pytest.raises(ValueError, match=f"column '{taken}'"):
        asked(world, steps_with(world, Rejects(verdict)), "FROM samples")


def test_a_stage_cannot_be_called_as_the_end_is(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"))
    with pytest.raises(ValueError, match="'release'"):
        asked(world, steps_with(world, Rejects(by_sample(), "release")), "FROM samples")


def test_settings_of_two_stages_do_not_hide_one_another(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"))
    with pytest.raises(ValueError, match=r"'other'.*: minimum"):
        steps_with(world, Rejects(by_sample(minimum=1)), Rejects(by_sample(minimum=2), "other"))


def test_samples_that_would_stand_in_the_release_twice_are_refused_before_any_is_placed(tmp_path: Path) -> None:
    world = marked(tmp_path)
    steps = steps_with(world, Adds(Annotations(Mark.table, (Mark,), (Annotation("m", "a.source_row", pa.int64()),))))
    with pytest.raises(LapidaryError, match=r"more than once.*: adds$"):
        packed(world, steps)
    assert world.store.shards("placements") == []


def test_keys_of_a_sample_are_quoted_and_hide_none_of_its_own(tmp_path: Path) -> None:
    world = marked(tmp_path)
    found = Annotations(Mark.table, (Mark,), (Annotation("it's", "a.source_row", pa.int64()),), by_row=True)
    for key in ("caption", "bytes"):
        hidden = dataclasses.replace(found, keys=(Annotation(key, "a.source_row", pa.int64()),))
        with pytest.raises(ValueError, match=f"key '{key}' already"):
            packed(world, steps_with(world, Adds(hidden)))
    steps = steps_with(world, Adds(found))
    packed(world, steps)
    query = """SELECT bool_and(annotations LIKE format('%"it''s":{}}}', source_row)) FROM placements"""
    assert asked(world, steps, query) == [(True,)]
