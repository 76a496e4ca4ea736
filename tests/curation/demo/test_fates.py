"""The real plan, download and deduplication find for every row of the demo web what its truth says."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.core.engines.local import LocalEngine
from curation.core.job import Outcome
from curation.core.pipeline import run_reduce, run_segment
from curation.core.store import Store
from curation.dedupe.reduce import DedupeReduce
from curation.demo.web import DemoWeb
from curation.fetch.download_stage import DownloadStage
from curation.sources.discover import open_source
from curation.sources.planner import plan
from curation.sources.repeats_stage import RepeatReduce
from schemas.arrow import Record
from schemas.recipe import Download
from schemas.records import Duplicate, ImageRow, Repeat, SourceRow
from schemas.refine import RefineLaion

Place = tuple[str, int]


def _quiet(outcome: Outcome) -> None:
    assert outcome.status == "done", outcome


def _rows(store: Store, record: type[Record]) -> list[dict[str, object]]:
    return [row for shard in store.entries(record.table) for row in store.read_table(record, shard).to_pylist()]


def _found(store: Store) -> dict[Place, tuple[str, object]]:
    """Stage and reason of every rejected row."""
    found: dict[Place, tuple[str, object]] = {}
    place_of: dict[object, Place] = {}
    for record in (SourceRow, Repeat):
        for row in _rows(store, record):
            place = (Path(str(row["source_file"])).name, int(str(row["source_row"])))
            if row["reason"] is not None:
                found[place] = ("plan", row["reason"])
            else:
                # A repeated row shares its id with the one that goes on, which is the first.
                place_of[row["sample_id"]] = min(place, place_of.get(row["sample_id"], place))
    for record, stage in ((ImageRow, "download"), (Duplicate, "dedupe")):
        for row in _rows(store, record):
            if row["reason"] is not None:
                found[place_of[row["sample_id"]]] = (stage, row["reason"])
    return found


def test_every_row_ends_as_the_world_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.demo.serving.SLOW_SECONDS", 0.3)
    monkeypatch.setattr("curation.demo.serving.DRIP_SECONDS", 0.5)
    recipe = RefineLaion()
    with DemoWeb(3, 100) as web:
        web.write(tmp_path / "list")
        download = Download(allow_private_hosts=[web.host_port], timeout=2, retries=1, backoff=0.1)
        store = Store(str(tmp_path / "root"))
        plan(store, open_source([str(tmp_path / "list" / "part-*.parquet")]), recipe.source, _quiet)
        run_reduce(store, RepeatReduce(recipe.source.max_text_repeats), _quiet)
        run_segment(store, LocalEngine(), [DownloadStage(download)], list(store.entries(SourceRow.table)), _quiet)
        run_reduce(store, DedupeReduce(recipe.dedupe), _quiet)
        found = _found(store)
        for actual in web.truth:
            expected = (actual.stage, actual.reason.value) if actual.reason else None
            assert found.get((actual.source_file, actual.source_row)) == expected, (actual.trouble, actual.url)
        assert web.trapped == 0
