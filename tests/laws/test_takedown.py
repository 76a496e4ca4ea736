"""What is taken down is gone from every byte of a root, stays gone, and nothing else changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.buried import COPIED, TWICE, Listed, take_down
from tests.support.picture_web import PictureWeb
from tests.support.runs import counted
from tests.support.toy import fingerprint

ALL = ("tables", "images", "release", "replies", "manifest", "index", "tombstones.jsonl")


@pytest.fixture(scope="module")
def web() -> Iterator[PictureWeb]:
    with PictureWeb(60) as served:
        yield served


@pytest.fixture(scope="module")
def made(web: PictureWeb, tmp_path_factory: pytest.TempPathFactory) -> Listed:
    """A finished root; tests work on copies."""
    listed = Listed.of(web, tmp_path_factory.mktemp("made"))
    listed.run()
    return listed


@pytest.fixture
def listed(made: Listed, tmp_path: Path) -> Listed:
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    return Listed(made.web, tmp_path, str(tmp_path / "root"), list(made.rows))


def test_what_is_taken_down_leaves_and_nothing_is_left_to_do(listed: Listed) -> None:
    gone = {listed.sample(COPIED), listed.sample(TWICE)}
    before = fingerprint(listed.store, "release", "tables", "images")
    choice = take_down(listed.url, urls=[listed.web.url(COPIED)], samples=[listed.sample(TWICE)])
    assert {one.sample_id for one in choice.goes} > gone and len(choice.goes) == 4  # the copy, and the second text
    counts = counted(listed.url)
    fates = "SELECT fate, reason, count(*) FROM samples WHERE reason = 'taken_down' GROUP BY ALL"
    assert listed.ask(fates) == [("rejected", "taken_down", 4)] and counts.source == len(listed.rows)
    after = fingerprint(listed.store, *ALL)
    asked = listed.web.requests.total()
    done = [(o.table, o.shard, o.error) for o in listed.run() if o.status != "skipped"]
    assert not done and listed.web.requests.total() == asked
    assert fingerprint(listed.store, *ALL) == after
    touched = {f"release/{shard}.tar" for shard in choice.shards}
    tars = {name for name in before if name.startswith("release/") and name.endswith(".tar")}
    assert {name for name in tars if before[name] != after.get(name)} == touched and touched < tars
