"""Laws of the dedupe stage over a root: two keeper laws, incremental decisions, the same bytes however it got there."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.core.errors import StoreError
from curation.core.pipeline import run_reduce
from curation.core.stage import Reduction, digest
from curation.core.store import Store
from curation.dedupe.reduce import DedupeReduce, dedupe_reduce
from curation.images.phash import phash_twice
from schemas.arrow import Record, table_of
from schemas.reasons import Reason
from schemas.recipe import Decontamination, Dedupe
from schemas.records import Duplicate, ImageRow, SourceRow
from tests.support.images import natural
from tests.support.pictures import (
    Picture,
    World,
    build,
    decisions,
    image_row,
    pictures_of,
    put,
    source_row,
    worlds,
    written,
)  # fmt: skip


def run(store: Store, distance: int = 4, enabled: bool = True) -> None:
    run_reduce(store, dedupe_reduce(Dedupe(distance=distance, enabled=enabled), Decontamination()), lambda _: None)


def apart(a: Picture, b: Picture) -> int:
    return (a.phash ^ b.phash).bit_count()


def priority(picture: Picture) -> tuple[int, float, str]:
    return -picture.side, -picture.aesthetic if picture.aesthetic is not None else 1.0, picture.id


def tidy(picture: Picture) -> Picture:
    return replace(picture, aesthetic=None if picture.aesthetic != picture.aesthetic else picture.aesthetic)


@settings(deadline=None, max_examples=50)
@given(worlds(), st.integers(0, 16))
def test_keepers_are_apart_and_every_other_image_is_near_its_nearest_keeper(world: World, distance: int) -> None:
    store = build(world)
    run(store, distance)
    pictures, found = pictures_of(world), decisions(store)
    assert found.keys() == pictures.keys()
    kept = [pictures[d.sample_id] for d in found.values() if d.reason is None]
    for a, b in itertools.combinations(kept, 2):
        assert apart(a, b) > distance
    for decision in found.values():
        own = pictures[decision.sample_id]
        keeper = min(kept, key=lambda k: (apart(own, k), priority(tidy(k))))
        assert decision.keeper_id == keeper.id
        assert decision.distance == apart(own, keeper) <= distance
        same = (own.phash, own.copy) == (keeper.phash, keeper.copy)
        expected = None if own is keeper else Reason.EXACT_DUPLICATE if same else Reason.NEAR_DUPLICATE
        assert decision.reason == expected


@settings(deadline=None, max_examples=40)
@given(worlds(), st.integers(0, 8))
def test_clusters_are_the_chains_of_near_pairs_named_by_their_lowest_id(world: World, distance: int) -> None:
    store = build(world)
    run(store, distance)
    pictures = pictures_of(world)
    name = {i: i for i in pictures}
    for _ in pictures:
        for a, b in itertools.combinations(pictures.values(), 2):
            if apart(a, b) <= distance:
                name[a.id] = name[b.id] = min(name[a.id], name[b.id])
        if all(name[a] == name[b] for a in pictures for b in pictures if apart(pictures[a], pictures[b]) <= distance):
            break
    assert {d.sample_id: d.cluster_id for d in decisions(store).values()} == name


@settings(deadline=None, max_examples=40)
@given(worlds(), st.integers(0, 8), st.integers(0, 2**32))
def test_neither_shards_nor_rows_in_another_order_change_a_decision(world: World, distance: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    pictures = [p for shard in world.values() for p in shard]
    shuffled: World = {"b": [], "a": []}
    for at in random.permutation(len(pictures)):
        shuffled["ab"[random.integers(2)]].append(pictures[at])
    one, two = build(world), build(shuffled)
    run(one, distance)
    run(two, distance)
    assert decisions(one) == decisions(two)


@settings(deadline=None, max_examples=40)
@given(worlds(prefix="old"), worlds(prefix="new"), st.integers(0, 8))
def test_earlier_decisions_stay_and_new_images_follow_the_laws(old: World, new: World, distance: int) -> None:
    store = build(old)
    run(store, distance)
    before, bytes_before = decisions(store), written(store)
    build(new, store)
    run(store, distance)
    after = decisions(store)
    assert {s: b for s, b in written(store).items() if s in old} == bytes_before
    pictures = pictures_of(old | new)
    kept = [pictures[d.sample_id] for d in after.values() if d.reason is None]
    for a, b in itertools.combinations(kept, 2):
        assert apart(a, b) > distance
    for decision in after.values():
        own = pictures[decision.sample_id]
        if own.id in before:
            assert decision == before[own.id]
            continue
        keeper = min(kept, key=lambda k: (apart(own, k), priority(tidy(k))))
        assert (decision.keeper_id, decision.distance) == (keeper.id, apart(own, keeper))
        linked = {d.cluster_id for d in after.values() if apart(pictures[d.sample_id], own) <= distance}
        assert linked <= {decision.cluster_id} | {d.cluster_id for d in before.values()}


def test_a_new_image_between_two_clusters_takes_the_lower_name_and_renames_neither() -> None:
    store = build({"a": [Picture("2", 0b0), Picture("1", 0b1111)]})
    run(store, 3)
    build({"b": [Picture("0", 0b11), Picture("3", 0b111 << 60)], "c": [Picture("4", 0b1 << 60)]}, store)
    run(store, 3)
    assert {d.sample_id: d.cluster_id for d in decisions(store).values()} == {
        "2": "2", "1": "1", "0": "1", "3": "1", "4": "1",
    }  # fmt: skip


def test_more_pixels_then_the_higher_score_then_the_lower_id_are_kept() -> None:
    store = build(
        {
            "a": [Picture("1", 7, 64, 9.0), Picture("5", 7, 128, None), Picture("2", 7, 128, 3.0)],
            "b": [Picture("4", 7, 128, 4.0), Picture("3", 7, 128, 4.0), Picture("6", 7, 128, float("nan"))],
        }
    )
    run(store)
    assert {d.keeper_id for d in decisions(store).values()} == {"3"}
    unknown = build({"a": [Picture("2", 7, aesthetic=float("nan")), Picture("1", 7), Picture("3", 7)]})
    run(unknown)
    assert {d.keeper_id for d in decisions(unknown).values()} == {"1"}


def test_the_score_of_a_repeated_sample_is_that_of_the_first_row_let_through() -> None:
    store = build({"a": [Picture("1", 7, 64, 5.0), Picture("2", 7, 64, 4.0)]})
    rejected = replace(source_row(Picture("2", 7, 64, 6.0), 0), reason=Reason.UNSAFE)
    again = [source_row(Picture(i, 7, 64, a), n) for n, (i, a) in enumerate([("1", 5.0), ("2", 4.0), ("2", 8.0)], 1)]
    put(store, SourceRow, "a", [rejected, *again])
    run(store)
    assert {d.keeper_id for d in decisions(store).values()} == {"1"}


class Killed(Exception):
    pass


class KilledAfter(DedupeReduce):
    """Stops after its first table, as a killed process would."""

    def run(self, store: Store, previous: dict[str, object]) -> Reduction:
        whole = super().run(store, previous)

        def some() -> Iterator[tuple[str, pa.Table]]:
            yield from itertools.islice(whole.shards, 1)
            raise Killed

        return Reduction(some(), whole.state)


@settings(deadline=None, max_examples=30)
@given(worlds(prefix="b"), worlds(prefix="a"))
def test_a_killed_run_repeated_writes_the_same_bytes(old: World, new: World) -> None:
    straight, interrupted = build(old), build(old)
    for store in (straight, interrupted):
        run(store)
        build(new, store)
    run(straight)
    if new:
        with pytest.raises(Killed):
            run_reduce(interrupted, KilledAfter(Dedupe(distance=4)), lambda _: None)
    run(interrupted)
    assert written(interrupted) == written(straight)
    found = interrupted.reduce_entry("duplicates")
    assert found is not None and found.state["decided"] == _images_told(interrupted)


def _images_told(store: Store) -> dict[str, str]:
    return {s: e.writes[store.table_file("images", s)] for s, e in store.entries("images").items()}


def test_changed_images_of_an_old_shard_decide_all_anew() -> None:
    first = {"a": [Picture("2", 7)], "b": [Picture("1", 7, side=300)]}
    store = build({"a": first["a"]})
    run(store)
    build({"b": first["b"]}, store)
    run(store)
    assert {d.keeper_id for d in decisions(store).values()} == {"2"}
    build({"a": [Picture("2", 7), Picture("3", 7 << 40)]}, store)
    run(store)
    fresh = build({"a": [Picture("2", 7), Picture("3", 7 << 40)], "b": first["b"]})
    run(fresh)
    assert written(store) == written(fresh)
    assert decisions(store)["2"].keeper_id == "1"


def test_a_shard_that_is_gone_takes_its_keepers_with_it() -> None:
    store = build({"a": [Picture("2", 7)]})
    run(store)
    build({"b": [Picture("1", 7)]}, store)
    run(store)
    store.retire("images", "a")
    run(store)
    assert {i: d.keeper_id for i, d in decisions(store).items()} == {"1": "1"}
    assert sorted(store.entries("duplicates")) == ["b"]


def test_decisions_lost_or_overwritten_are_made_again() -> None:
    world = {"a": [Picture("2", 7), Picture("1", 7, side=50)], "b": [Picture("3", 9)]}
    store, fresh = build(world), build(world)
    run(store)
    run(fresh)
    store.retire("duplicates", "a")
    put(store, Duplicate, "b", [])
    run(store)
    assert written(store) == written(fresh)


def test_decisions_on_other_images_are_named() -> None:
    store = build({"a": [Picture("2", 7)]})
    run(store)
    name = store.table_file("duplicates", "a")
    other = build({"a": [Picture("9", 7)]})
    run(other)
    fsspec.filesystem("memory").pipe_file(store.path(name), other.read(name))
    build({"b": [Picture("1", 7)]}, store)
    with pytest.raises(StoreError, match=r"decides on other images.*delete manifest/duplicates"):
        run(store)


@settings(deadline=None, max_examples=40)
@given(worlds(prefix="old", looked=True), worlds(prefix="new", looked=True), st.integers(0, 8))
def test_disabled_every_image_is_its_own_keeper_in_the_cluster_of_what_is_alike(
    old: World, new: World, distance: int
) -> None:
    removing, keeping = build(old | new), build(old | new)
    run(removing, distance)
    run(keeping, distance, enabled=False)
    cluster = {d.sample_id: d.cluster_id for d in decisions(removing).values()}
    look = {i: None if p.look is None else 0 for i, p in pictures_of(old | new).items()}
    assert decisions(keeping) == {i: Duplicate(i, None, i, 0, c, look[i]) for i, c in cluster.items()}

    grown = build(old)
    run(grown, distance, enabled=False)
    build(new, grown)
    run(grown, distance, enabled=False)
    assert decisions(grown) == decisions(keeping)


def test_disabled_a_new_image_between_two_clusters_makes_one_of_them() -> None:
    store = build({"a": [Picture("2", 0b0), Picture("1", 0b1111)]})
    run(store, 3, enabled=False)
    assert {d.cluster_id for d in decisions(store).values()} == {"1", "2"}
    build({"b": [Picture("3", 0b11)]}, store)
    run(store, 3, enabled=False)
    assert {d.sample_id: d.cluster_id for d in decisions(store).values()} == dict.fromkeys("123", "1")


def test_duplicates_that_were_kept_go_once_dedupe_is_enabled() -> None:
    world = {"a": [Picture("2", 7), Picture("1", 7), Picture("5", 7, missing=True)], "b": []}
    store = build(world)
    run(store, enabled=False)
    assert decisions(store) == {i: Duplicate(i, None, i, 0, "1") for i in ("1", "2")}
    run(store)
    assert decisions(store)["2"].keeper_id == "1"


def test_a_local_root_an_empty_root_and_a_finished_one(tmp_path: object) -> None:
    store = Store(str(tmp_path))
    run(store)
    assert decisions(store) == {}
    build({"a": [Picture("1", 7)], "empty": [], "gone": [Picture("2", 7, missing=True)]}, store)
    run(store)
    assert decisions(store) == {"1": Duplicate("1", None, "1", 0, "1")}
    assert sorted(store.entries("duplicates")) == ["a", "empty", "gone"]
    reports: list[str] = []
    run_reduce(store, DedupeReduce(Dedupe(distance=4)), lambda outcome: reports.append(outcome.status))
    assert set(reports) == {"skipped"}


def test_tables_without_source_rows_are_decided_by_size_and_id() -> None:
    store = build({"a": [Picture("1", 7), Picture("0", 7, side=50)]})
    store.retire("rows", "a")
    run(store)
    assert {d.keeper_id for d in decisions(store).values()} == {"1"}


def test_images_without_a_sha256_are_no_exact_duplicates() -> None:
    store = build({"a": []})
    put(store, ImageRow, "a", [replace(image_row(Picture(i, 7)), sha256=None) for i in ("1", "2")])
    run(store)
    assert decisions(store)["2"].reason == Reason.NEAR_DUPLICATE


def test_records_are_written_as_declared() -> None:
    store = build({"a": [Picture("1", 7), Picture("2", 7)]})
    run(store)
    record: type[Record] = Duplicate
    assert store.read_table(record, "a").schema.equals(table_of(Duplicate, []).schema)


def test_what_is_further_apart_counts_as_the_same_where_the_second_look_agrees() -> None:
    look = int("5" * 64, 16)
    far = (1 << 14) - 1
    world = {
        "a": [Picture("0", 0, side=300, look=look), Picture("1", far, look=look ^ ((1 << 54) - 1))],
        "b": [Picture("2", far << 20, look=look ^ ((1 << 55) - 1)), Picture("3", far << 40)],
        "c": [Picture("4", (1 << 60) | (1 << 61), look=look)],
    }
    store = build(world)
    run(store)
    found = decisions(store)
    assert {i: d.keeper_id for i, d in found.items()} == {"0": "0", "1": "0", "2": "2", "3": "3", "4": "0"}
    assert found["1"] == Duplicate("1", Reason.NEAR_DUPLICATE, "0", 14, "0", 54)
    assert [found[i].second_distance for i in "0234"] == [0, 0, None, 0]
    run_reduce(store, DedupeReduce(Dedupe(distance=4, confirmed_distance=0)), lambda _: None)
    assert {i for i, d in decisions(store).items() if d.reason is None} == {"0", "1", "2", "3"}


def test_mirrored_and_turned_copies_count_where_the_recipe_says_so() -> None:
    pixels = natural(320, 240, seed=3)
    ways = {"0": pixels, "1": pixels[:, ::-1], "2": pixels.transpose(1, 0, 2)[::-1], "3": natural(320, 240, seed=4)}
    hashes = {name: phash_twice(np.ascontiguousarray(way)) for name, way in ways.items()}
    world = {"a": [Picture(name, first, look=int.from_bytes(look, "big")) for name, (first, look) in hashes.items()]}
    store = build(world)
    run(store)
    assert {d.keeper_id for d in decisions(store).values()} == {"0", "1", "2", "3"}
    run_reduce(store, DedupeReduce(Dedupe(symmetries=True)), lambda _: None)
    found = decisions(store)
    assert {i: d.keeper_id for i, d in found.items()} == {"0": "0", "1": "0", "2": "0", "3": "3"}
    assert {d.cluster_id for d in found.values()} == {"0", "3"}
    build({"b": [replace(world["a"][1], id="9")]}, store)
    run_reduce(store, DedupeReduce(Dedupe(symmetries=True)), lambda _: None)
    assert decisions(store)["9"].keeper_id == "0"


def test_images_without_a_phash_are_named() -> None:
    store = build({"a": [Picture("1", 7)]})
    put(store, ImageRow, "a", [replace(image_row(Picture("1", 7)), phash=None)])
    with pytest.raises(StoreError, match=r"images without a pHash; begin \S.* images a\b"):
        run(store)


# What the four classes that ``DedupeReduce`` replaced had as digests: existing roots keep their decisions by them.
FORMER_DIGESTS = {
    (True, False): "7f73a93ecb4d0f805ae1800b999740ec904875c8b1a823ee314218bda53b27ff",
    (True, True): "a41fe67e611e1c4d62c39e478aed0a1023ac0469782b56d53fc33ce00599c737",
    (False, False): "7088cd8f5072e7e4d464ba72a68283a1cef07fb27a5bbd399a889a4382a73e71",
    (False, True): "afb92cb5a62fbf1c4fa2fc7af2c2513b2e87a1758dfa7dc09e54b7384765c489",
}


@pytest.mark.parametrize("enabled, decontaminated", FORMER_DIGESTS)
def test_existing_roots_keep_their_decisions(enabled: bool, decontaminated: bool) -> None:
    against = Decontamination(sets=["evaluation"] if decontaminated else [])
    assert digest(dedupe_reduce(Dedupe(enabled=enabled), against)) == FORMER_DIGESTS[enabled, decontaminated]


def test_the_declaration_of_the_reduce_loads_no_compiler() -> None:
    heavy = "[m for m in ('numba', 'cv2', 'scipy', 'PIL') if m in sys.modules]"
    found = subprocess.run(
        [sys.executable, "-c", f"import sys, curation.dedupe.reduce; print({heavy})"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == "[]"
