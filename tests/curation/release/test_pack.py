"""Packing: what is kept stands in the release exactly once, and stays where it was put."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.catalog import connect, conservation
from curation.core.pipeline import run_reduce
from curation.core.stage import digest
from curation.core.store import Store
from curation.load.loader import load
from schemas.arrow import rows_of
from schemas.captions import CaptionCheck, Score
from schemas.records import Duplicate, Placement
from tests.support.kills import every_kill, killed_at
from tests.support.release_steps import pack_reduce
from tests.support.roots import (
    KEPT,
    REJECTED,
    Row,
    World,
    add_shard,
    every_ending,
    make_world,
    recipe,
    release,
    write_table,
)


def pack(world: World) -> None:
    assert not run_reduce(world.store, pack_reduce(world.recipe), lambda _: None).failed


def placements(store: Store) -> list[Placement]:
    shards = store.shards("placements")
    return [row for shard in shards for row in rows_of(Placement, store.read_table(Placement, shard))]


def table_bytes(store: Store) -> dict[str, bytes]:
    return {s: store.read(store.table_file("placements", s)) for s in store.shards("placements")}


def released_bytes(store: Store) -> dict[str, bytes]:
    return {n: store.read(f"release/{n}") for n in store.names("release", ".tar")}


def test_shards_hold_exactly_shard_size_samples_and_the_last_fewer(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), recipe(shard_size=7), [[Row()] * 40, [Row()] * 35])
    pack(world)
    by_shard = Counter(p.shard for p in placements(world.store))
    for split in ("train", "val", "test"):
        sizes = [by_shard[s] for s in sorted(by_shard) if s.startswith(split)]
        assert sizes and all(size == 7 for size in sizes[:-1]) and 1 <= sizes[-1] <= 7
        assert [s for s in sorted(by_shard) if s.startswith(split)] == [f"{split}-{n:06d}" for n in range(len(sizes))]
    found = placements(world.store)
    assert len({p.sample_id for p in found}) == len(found) == 75
    for shard in by_shard:
        assert [p.position for p in found if p.shard == shard] == list(range(by_shard[shard]))


def test_near_duplicates_never_straddle_splits(tmp_path: Path) -> None:
    rows = [Row(cluster=f"{n % 12:032x}") for n in range(60)]
    world = make_world(str(tmp_path / "root"), shards=[rows[:30], rows[30:]])
    pack(world)
    cluster = {
        d.sample_id: d.cluster_id
        for s in world.store.shards("duplicates")
        for d in rows_of(Duplicate, world.store.read_table(Duplicate, s))
    }
    splits = defaultdict(set)
    for p in placements(world.store):
        splits[cluster[p.sample_id]].add(p.split)
    assert len(splits) == 12 and all(len(s) == 1 for s in splits.values())
    assert len(set.union(*splits.values())) > 1


def test_splits_have_their_shares(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), recipe(val=0.25, test=0.25, shard_size=1000), [[Row()] * 800])
    pack(world)
    count = Counter(p.split for p in placements(world.store))
    assert abs(count["val"] - 200) < 50 and abs(count["test"] - 200) < 50 and abs(count["train"] - 400) < 60


def test_the_order_depends_on_the_seed_and_the_samples_alone(tmp_path: Path) -> None:
    def order(name: str, seed: int) -> list[str]:
        world = make_world(str(tmp_path / name), recipe(seed=seed, val=0, test=0), [[Row()] * 20, [Row()] * 20])
        pack(world)
        return [p.sample_id for p in placements(world.store)]

    first = order("a", 0)
    assert order("b", 0) == first
    other = order("c", 1)
    assert other != first and sorted(other) == sorted(first)
    assert first != sorted(first)


def test_growth_appends_shards_and_changes_no_byte_of_the_earlier_ones(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[every_ending(9)])
    release(world)
    tables, tars = table_bytes(world.store), released_bytes(world.store)
    add_shard(world, "growth.parquet", every_ending(11))
    totals = release(world)
    assert {s: b for s, b in table_bytes(world.store).items() if s in tables} == tables
    assert {s: b for s, b in released_bytes(world.store).items() if s in tars} == tars
    assert totals.skipped == len(tables) and totals.done == len(table_bytes(world.store)) - len(tables) > 0
    assert Counter(p.sample_id for p in placements(world.store)) == Counter(world.kept_ids())
    assert conservation(world.store).ok
    release(world)
    assert {s: b for s, b in released_bytes(world.store).items() if s in tars} == tars


def test_a_new_member_of_a_placed_cluster_follows_it_into_its_split(tmp_path: Path) -> None:
    found = recipe(val=0.3, test=0.3)
    world = make_world(str(tmp_path / "root"), found, [[Row() for _ in range(12)]])
    pack(world)
    first = placements(world.store)
    # The clusters were named otherwise before: only where their members stand can tell the split.
    shard = world.store.shards("duplicates")[0]
    renamed = {p.sample_id: f"{n:032x}" for n, p in enumerate(first)}
    rows = [
        dataclasses.replace(d, cluster_id=renamed[d.sample_id])
        for d in rows_of(Duplicate, world.store.read_table(Duplicate, shard))
    ]
    write_table(world.store, Duplicate, shard, rows)
    add_shard(world, "growth.parquet", [Row(cluster=f"{n:032x}") for n in range(12)])
    pack(world)
    split = {p.sample_id: p.split for p in placements(world.store)}
    for n, p in enumerate(first):
        assert split[p.sample_id] == p.split
        assert split[world.ids["growth.parquet", n]] == p.split
    assert len(set(split.values())) > 1


def test_placed_clusters_that_become_one_stand_in_one_split(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), recipe(val=0.3, test=0.3), [[Row() for _ in range(12)]])
    pack(world)
    split = {p.sample_id: p.split for p in placements(world.store)}
    one = next(iter(split))
    joined = {one, next(i for i in split if split[i] != split[one])}
    shard = world.store.shards("duplicates")[0]
    found = rows_of(Duplicate, world.store.read_table(Duplicate, shard))
    rows = [dataclasses.replace(d, cluster_id=min(joined)) if d.sample_id in joined else d for d in found]
    write_table(world.store, Duplicate, shard, rows)
    add_shard(world, "growth.parquet", [Row(cluster=min(joined))])
    pack(world)
    split = {p.sample_id: p.split for p in placements(world.store)}
    assert len(split) == 13
    assert len({split[i] for i in (*joined, world.ids["growth.parquet", 0])}) == 1


def test_a_growth_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    worlds = []
    for name in ("killed", "not"):
        world = make_world(str(tmp_path / name), shards=[every_ending(9)])
        pack(world)
        add_shard(world, "growth.parquet", every_ending(11))
        worlds.append(world)
    killed, other = worlds

    class Killed(BaseException):
        pass

    seen: list[str] = []

    def kill(outcome: object) -> None:
        seen.append(str(outcome))
        if len(seen) == 6:
            raise Killed

    with pytest.raises(Killed):
        run_reduce(killed.store, pack_reduce(killed.recipe), kill)
    assert killed.store.reduce_entry("placements") is not None
    assert table_bytes(killed.store) != {}
    pack(killed)
    pack(other)
    assert table_bytes(killed.store) == table_bytes(other.store)
    assert not list(Path(killed.store.path("")).glob(".tmp-*"))


def test_when_an_earlier_sample_changes_all_is_packed_as_in_a_fresh_root(tmp_path: Path) -> None:
    grown = make_world(str(tmp_path / "grown"), shards=[[Row()] * 10])
    release(grown)
    (shard,) = grown.store.shards("caption_checks")
    add_shard(grown, "growth.parquet", [Row()] * 10)
    fresh = make_world(str(tmp_path / "fresh"), shards=[[Row()] * 10])
    add_shard(fresh, "growth.parquet", [Row()] * 10)
    for world in (grown, fresh):
        rows = list(rows_of(CaptionCheck, world.store.read_table(CaptionCheck, shard)))
        rows[0] = dataclasses.replace(rows[0], caption="Another caption.", words=2)
        write_table(world.store, CaptionCheck, shard, rows)
        release(world)
    assert grown.store.read("release/SHA256SUMS") == fresh.store.read("release/SHA256SUMS")
    assert conservation(grown.store).ok


def clusters_by_split(share: float, count: int) -> tuple[list[str], list[str]]:
    """Names of clusters that stand in train, and of those whose hash is below the test split's share."""
    names = [f"{n:032x}" for n in range(count)]
    below = {n for n in names if int(hashlib.sha256(n.encode()).hexdigest()[:12], 16) < share * 2**48}
    return [n for n in names if n not in below], sorted(below)


def test_packing_anew_killed_wherever_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root that has grown by training samples alone, in which a sample of the test split has changed."""
    train, test = clusters_by_split(0.5, 12)
    actual = recipe(shard_size=50, val=0, test=0.5)
    whole = make_world(str(tmp_path / "whole"), actual, [[Row(cluster=c) for c in (*test[:3], *train[:4])]])
    pack(whole)
    add_shard(whole, "growth.parquet", [Row(cluster=c) for c in train[4:]])
    pack(whole)
    first = placements(whole.store)[0]
    assert first.shard == "test-000000"
    assert whole.store.shards("placements") == ["test-000000", "train-000000", "train-000001"]
    shard, rows = next(
        (s, rows)
        for s in whole.store.shards("caption_checks")
        for rows in [list(rows_of(CaptionCheck, whole.store.read_table(CaptionCheck, s)))]
        if first.sample_id in {r.sample_id for r in rows}
    )
    rows = [
        dataclasses.replace(r, caption="Another caption.") if r.sample_id == first.sample_id and r.passed else r
        for r in rows
    ]
    write_table(whole.store, CaptionCheck, shard, rows)
    roots: list[World] = []

    def prepare() -> Callable[[], object]:
        copied = shutil.copytree(tmp_path / "whole", tmp_path / f"killed-{len(roots)}")
        roots.append(dataclasses.replace(whole, store=Store(str(copied))))
        return lambda: pack(roots[-1])

    for _ in every_kill(prepare, monkeypatch, step=3):
        pack(roots[-1])
    found = [table_bytes(world.store) for world in roots]
    assert len(found) > 3 and sorted(found[-1]) == ["test-000000", "train-000000"]
    assert all(tables == found[-1] for tables in found)


def test_another_packing_that_was_interrupted_leaves_nothing_when_its_settings_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(str(tmp_path / "root"), recipe(val=0, test=0), [[Row()] * 20])
    pack(world)
    before = table_bytes(world.store)
    other = dataclasses.replace(world, recipe=recipe(val=0, test=0.5))
    assert killed_at(3, lambda: pack(other), monkeypatch)
    assert "test-000000" in world.store.shards("placements")
    release(world)
    assert table_bytes(world.store) == before
    assert Counter(p.sample_id for p in placements(world.store)) == Counter(world.kept_ids())
    assert conservation(world.store).ok


def test_a_withdrawn_sample_leaves_the_release(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row()] * 6])
    name = add_shard(world, "withdrawn.parquet", [Row()] * 6)
    release(world)
    gone = {world.ids[key] for key in world.ids if key[0] == "withdrawn.parquet"}
    for table in ("rows", "repeats", "images", "duplicates", "captions", "caption_checks", "scores"):
        world.store.retire(table, name)
    release(world)
    left = {p.sample_id for p in placements(world.store)}
    assert not gone & left and len(left) == 6
    assert conservation(world.store).ok


def test_only_what_bytes_depend_on_is_in_the_digest() -> None:
    base = digest(pack_reduce(recipe()))
    assert digest(pack_reduce(recipe(license="mit", name="Other"))) == base
    assert digest(pack_reduce(recipe(seed=1))) != base
    assert digest(pack_reduce(recipe(prefer=["short"]))) != base
    assert digest(pack_reduce(recipe(scores=False))) != base


def test_the_preferred_caption_that_passed_is_released(tmp_path: Path) -> None:
    world = make_world(str(tmp_path / "root"), shards=[[Row(e) for e in KEPT]])
    pack(world)
    found = {p.source_row: p for p in placements(world.store)}
    assert [found[n].caption_kind for n in range(3)] == ["dense", "short", "alt_text"]
    assert found[0].captions != "{}" and found[2].captions == "{}"
    assert found[2].caption == found[2].alt_text and (found[2].prompt, found[2].model) == ("", "")
    assert found[1].prompt == "short@1" and found[1].similarity == pytest.approx(0.3)
    assert found[0].alt_text_similarity == pytest.approx(0.2)


@pytest.mark.parametrize("limit", [0.1, None])
def test_every_caption_of_a_released_sample_is_as_like_its_image_as_the_recipe_demands(
    tmp_path: Path, limit: float | None
) -> None:
    """A sample of which one caption is like the image and another is not, whichever is the preferred one."""
    actual = recipe()
    actual = actual.model_copy(update={"scores": actual.scores.model_copy(update={"min_caption_similarity": limit})})
    world = make_world(str(tmp_path / "root"), actual, [[Row()] * 3])
    (shard,) = world.store.shards("scores")
    likeness = [{"dense": 0.02}, {"short": 0.02}, {"dense": 0.11, "short": 0.0}]
    found = {world.ids["part-0.parquet", n]: unlike for n, unlike in enumerate(likeness)}
    rows = [
        dataclasses.replace(s, similarity=found[s.sample_id].get(s.kind, s.similarity))
        for s in rows_of(Score, world.store.read_table(Score, shard))
    ]
    write_table(world.store, Score, shard, rows)
    release(world)
    for p in placements(world.store):
        kinds = {k for k in ("dense", "short") if limit is None or found[p.sample_id].get(k, 0.3) >= limit}
        assert set(json.loads(p.captions)) == kinds and p.caption_kind in kinds
    for sample in load(world.store.url, captions={"dense": 1.0}, shuffle=0):
        like = limit is None or found[sample["json"]["sample_id"]].get("dense", 0.3) >= limit
        assert (sample["caption_kind"] == "dense") == like


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.sampled_from([*REJECTED, *KEPT]), max_size=12).map(lambda e: ["kept", *e]), min_size=1, max_size=3
    ),
    st.booleans(),
)
def test_what_is_packed_is_what_the_catalog_calls_kept(
    tmp_path_factory: pytest.TempPathFactory, endings: list[list[str]], scores: bool
) -> None:
    url = str(tmp_path_factory.mktemp("pack") / "root")
    world = make_world(url, recipe(scores=scores), [[Row(e) for e in shard] for shard in endings])
    release(world)
    assert Counter(p.sample_id for p in placements(world.store)) == Counter(world.kept_ids())
    found = connect(url).execute("SELECT source_file, source_row, fate, stage, reason FROM samples").fetchall()
    assert {(f, r): (fate, stage, reason) for f, r, fate, stage, reason in found} == world.expected
    assert conservation(world.store).ok
