"""What is found in a root group by group is what is found in all of it at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from curation.core.pipeline import run_reduce
from curation.core.store import Store
from curation.release.views import groups
from curation.release.views.groups import gather, root_database
from schemas.records import Placement
from tests.support.release_steps import pack_reduce, steps_for
from tests.support.roots import Row, World, every_ending, make_world, recipe

NEAR = Row(cluster=f"{7:032x}")
SHARDS = [every_ending(), [Row()] * 9, [], every_ending(3), [NEAR] * 2, [NEAR]]
LARGE = 10**6
QUERY = "SELECT sample_id, source_shard FROM verdicts WHERE through"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(str(tmp_path_factory.mktemp("made") / "root"), recipe(shard_size=5), SHARDS)


@pytest.mark.parametrize(("rows", "expected"), [(1, len(SHARDS)), (55, 2), (LARGE, 1)])
def test_every_sample_is_gathered_once(rows: int, expected: int, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "ROWS", rows)
    steps = steps_for(world.recipe)
    with root_database(world.store, "look", steps) as database:
        whole = database.sql(f"{QUERY} ORDER BY ALL").fetchall()
        database.execute("CREATE TABLE turns (n BIGINT)")
        gather(database, world.store, steps, "found", QUERY, ["INSERT INTO turns SELECT count(*) FROM rows"])
        assert database.sql("FROM found ORDER BY ALL").fetchall() == whole
        assert database.sql(f"{QUERY} ORDER BY ALL").fetchall() == whole, "the views do not hold all again"
        turns = [n for (n,) in database.sql("FROM turns").fetchall()]
    assert sum(turns) == sum(map(len, SHARDS))
    assert len(turns) == expected


def test_a_release_is_the_same_whatever_the_groups(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, bytes]] = []
    for rows in (1, LARGE):
        monkeypatch.setattr(groups, "ROWS", rows)
        shutil.copytree(world.store.path(""), tmp_path / str(rows))
        store = Store(str(tmp_path / str(rows)))
        assert not run_reduce(store, pack_reduce(world.recipe), lambda _: None).failed
        shards = store.shards(Placement.table)
        made.append({shard: store.read(store.table_file(Placement.table, shard)) for shard in shards})
    assert made[0] == made[1]
    assert len(made[0]) > len(SHARDS)
