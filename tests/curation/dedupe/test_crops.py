"""Laws of crops: a picture goes for a larger one that it is a part of, whenever the two come."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.core.pipeline import run_reduce
from curation.core.store import Store
from curation.dedupe import keep
from curation.dedupe.reduce import DedupeReduce
from curation.demo.render import encode
from curation.images.phash import crop_hashes, phash_twice
from curation.images.windows import WINDOWS
from schemas.recipe import Dedupe
from schemas.records import CropHash
from tests.support.images import natural
from tests.support.pictures import Picture, World, build, decisions, pictures_of, put, written
from tests.support.runs import counted, refine

RECIPE = Dedupe(distance=2, confirmed_distance=0, crops=True)
Words = dict[str, np.ndarray]


def window(pixels: np.ndarray, left: float, top: float, share: float) -> np.ndarray:
    h, w = pixels.shape[:2]
    y, x = round(h * top), round(w * left)
    return np.ascontiguousarray(pixels[y : y + round(h * (1 - share)), x : x + round(w * (1 - share))])


def test_a_window_of_a_picture_hashes_as_that_part_alone_does() -> None:
    pixels = natural(400, 300, seed=5)
    found = crop_hashes(pixels)
    assert len(found) == 40 * len(WINDOWS)
    for at in (0, 4, 9, len(WINDOWS) - 1):
        share, across, down = WINDOWS[at]
        high, wide = round(300 * (1 - share)), round(400 * (1 - share))
        top, left = round((300 - high) * down), round((400 - wide) * across)
        first, second = phash_twice(np.ascontiguousarray(pixels[top : top + high, left : left + wide]))
        assert found[40 * at : 40 * at + 40] == first.to_bytes(8, "big") + second
    assert len(crop_hashes(pixels[:3, :2])) == len(found)


@pytest.mark.parametrize("place", [(0.075, 0.075, 0.15), (0.0, 0.15, 0.15), (0.05, 0.1, 0.15), (0.08, 0.0, 0.08)])
def test_crops_go_for_the_whole_and_are_not_found_without(place: tuple[float, float, float]) -> None:
    whole, other = natural(640, 480, seed=1), natural(640, 480, seed=2)
    shown = {"1": (whole, 640), "2": (window(whole, *place), 560), "3": (other, 640)}
    store = pictured(build({}), {"a": shown})
    run_reduce(store, DedupeReduce(Dedupe(crops=True)), lambda _: None)
    assert {i: d.keeper_id for i, d in decisions(store).items()} == {"1": "1", "2": "1", "3": "3"}
    assert {d.cluster_id for d in decisions(store).values()} == {"1", "3"}
    if place[2] == 0.15:
        run_reduce(store, DedupeReduce(Dedupe()), lambda _: None)
        assert decisions(store)["2"].reason is None


def pictured(store: Store, shards: dict[str, dict[str, tuple[np.ndarray, int]]]) -> Store:
    """Shards of real pixels, each with its side."""
    for shard, shown in shards.items():
        pictures, rows = [], []
        for name, (pixels, side) in shown.items():
            first, look = phash_twice(pixels)
            pictures.append(Picture(name, first, side=side, look=int.from_bytes(look, "big")))
            rows.append(CropHash(name, crop_hashes(pixels)))
        build({shard: pictures}, store)
        put(store, CropHash, shard, rows)
    return store


@st.composite
def worlds(draw: st.DrawFn, prefix: str) -> tuple[World, dict[str, list[int]]]:
    """Pictures around two centres, and parts of them that look like other pictures."""
    random = np.random.default_rng([draw(st.integers(0, 2**32)), ord(prefix)])  # no name twice
    centres = [int(c) for c in np.random.default_rng(9).integers(0, 2**64, 4, dtype=np.uint64)]
    world: World = {}
    parts: dict[str, list[int]] = {}

    def some() -> int:
        return centres[random.integers(4)] ^ (1 << int(random.integers(64))) ^ (int(random.integers(2)) << 5)

    for shard in range(draw(st.integers(1, 2))):
        world[f"{prefix}-{shard}"] = pictures = []
        for _ in range(draw(st.integers(0, 10))):
            picture = Picture(random.bytes(16).hex(), some(), side=int(random.choice([64, 128, 256])))
            pictures.append(picture)
            parts[picture.id] = [some() if random.random() < 0.03 else picture.phash for _ in WINDOWS]
    return world, parts


def planted(store: Store, world: World, parts: dict[str, list[int]]) -> None:
    build(world, store)
    for shard, pictures in world.items():
        rows = [CropHash(p.id, b"".join(h.to_bytes(8, "big") + bytes(32) for h in parts[p.id])) for p in pictures]
        put(store, CropHash, shard, rows)
    run_reduce(store, DedupeReduce(RECIPE), lambda _: None)


@settings(deadline=None, max_examples=10, report_multiple_bugs=False)
@given(worlds("a"), worlds("b"), st.booleans())
def test_keepers_and_clusters_with_parts_follow_their_laws_in_roots_that_grow(
    first: tuple[World, dict[str, list[int]]], second: tuple[World, dict[str, list[int]]], many: bool
) -> None:
    before, keep._MANY = keep._MANY, 3 if many else 1024
    try:
        with tempfile.TemporaryDirectory() as folder:
            local, remote = Store(folder), build({})
            for world, parts in (first, second):
                for store in (local, remote):
                    planted(store, world, parts)
                assert written(local) == written(remote)
            found, old = decisions(local), pictures_of(first[0])
    finally:
        keep._MANY = before
    pictures, parts = pictures_of(first[0] | second[0]), first[1] | second[1]

    def goes_for(a: str, b: str) -> bool:
        own = pictures[a].phash
        return min((own ^ h).bit_count() for h in (pictures[b].phash, *parts[b])) <= RECIPE.distance

    kept = [i for i in pictures if found[i].reason is None]
    for i in pictures:
        assert found[i].keeper_id == i or goes_for(i, found[i].keeper_id)
        assert found[i].keeper_id in kept
    for a, b in itertools.permutations(kept, 2):
        higher = (b not in old, -pictures[b].side, b) < (a not in old, -pictures[a].side, a)
        assert not (higher and a not in old and goes_for(a, b))
    for a, b in itertools.combinations(pictures, 2):
        if (goes_for(a, b) or goes_for(b, a)) and not {a, b} & old.keys():
            assert found[a].cluster_id == found[b].cluster_id


def test_a_run_finds_crops_where_the_recipe_asks_for_them(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for name, pixels in (("a", natural(640, 480, seed=1)), ("b", window(natural(640, 480, seed=1), 0.0, 0.15, 0.15))):
        (tmp_path / "pictures" / f"{name}.jpg").write_bytes(encode(pixels, 90))
        (tmp_path / "pictures" / f"{name}.txt").write_text(f"picture {name}")
    quick = ["caption.backend=scripted", "export.val=0", "export.test=0"]
    for crops, kept in (("false", 2), ("true", 1)):
        refine(str(tmp_path / "root"), str(tmp_path / "pictures"), [*quick, f"dedupe.crops={crops}"])
        assert counted(str(tmp_path / "root")).kept == kept
    store = Store(str(tmp_path / "root"))
    assert {d.reason for d in decisions(store).values()} == {None, "near_duplicate"}
    assert (tmp_path / "root" / "tables" / "crop_hashes").is_dir()
