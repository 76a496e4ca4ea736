"""A root whose entries are compacted behind every step is the same root, whenever its runs are killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from curation.core import manifest
from curation.core.store import Store
from curation.takedown.proof import Traces, prove
from tests.support.buried import COPIED, RESULTS, TWICE, Listed, ends_like, take_down
from tests.support.picture_web import PictureWeb
from tests.support.runs import counted
from tests.support.toy import fingerprint


@pytest.fixture
def plain(listed: Listed) -> Listed:
    assert not Path(listed.url, "manifest/images/compacted").exists()
    return listed


@pytest.fixture
def compacting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "LEAST", 1)


def test_a_release_is_the_same_bytes_whether_or_not_entries_are_compacted(
    plain: Listed, tmp_path: Path, compacting: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    root = plain.elsewhere(tmp_path / "compacted root")
    ends_like(root, plain, monkeypatch, step=7 if request.config.getoption("--chaos") else 45)
    assert root.store.names("manifest/placements", ".json") == ["_reduce.json"]


def test_an_old_root_opens_unchanged_and_is_compacted_by_its_next_run(plain: Listed, compacting: None) -> None:
    before, entries = fingerprint(plain.store, *RESULTS), dict(plain.store.entries("captions"))
    assert {o.status for o in plain.run()} == {"skipped"}
    assert plain.store.names("manifest/captions", ".json") == [] and dict(plain.store.entries("captions")) == entries
    assert {o.status for o in plain.run()} == {"skipped"}
    assert fingerprint(plain.store, *RESULTS) == before


def test_a_takedown_reaches_compacted_entries(plain: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plain.elsewhere(tmp_path / "compacted root")
    shutil.copytree(plain.url, root.url)
    monkeypatch.setattr(manifest, "LEAST", 1)
    root.run()
    ((shard,),) = plain.ask("SELECT min(shard) FROM released WHERE split = 'train'")
    all_of_it = [s for (s,) in plain.ask(f"SELECT sample_id FROM released WHERE shard = '{shard}'")]
    wanted = {"urls": [plain.web.url(COPIED)], "samples": [plain.sample(TWICE), *all_of_it]}
    choice = take_down(root.url, **wanted)
    take_down(plain.url, **wanted)
    assert fingerprint(root.store, *RESULTS) == fingerprint(plain.store, *RESULTS)
    assert prove(root.store, Traces.of(choice.stones, choice.texts, choice.clear)) == []
    for table in ("rows", "images", "captions", "placements", "released"):
        there = {shard: entry.writes for shard, entry in root.store.entries(table).items()}
        assert there == {shard: entry.writes for shard, entry in plain.store.entries(table).items()}, table
    assert shard not in root.store.shards("placements")
    assert {o.status for o in root.run()} == {"skipped"} and shard not in root.store.shards("placements")
    counted(root.url)


def test_what_was_compacted_is_found_on_an_object_store(pictures: PictureWeb, tmp_path: Path) -> None:
    """With as many shards as its requests are worth a file for."""
    made = Listed.of(pictures, tmp_path, f"memory://{tmp_path.name}/root")
    made.settings = (*made.settings, "source.shard_rows=1")
    made.run()
    store = Store(made.url)
    assert store.count("rows") == len(made.rows) and store.names("manifest/rows", ".json") == []
    assert {o.status for o in made.run()} == {"skipped"}
    counted(made.url)
