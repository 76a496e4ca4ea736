"""Roots with more images than fit into memory: the same decisions, block by block, from temporary files."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.core.errors import StoreError, TooMuchMemory
from curation.core.pipeline import run_reduce
from curation.core.store import Store
from curation.dedupe import earlier, incremental, thumbnail_file
from curation.dedupe.reduce import DedupeReduce
from curation.dedupe.search import memory
from curation.images.windows import WINDOWS
from schemas.recipe import Dedupe
from schemas.records import CropHash
from tests.support.pictures import Picture, World, build, decisions, image_row, put, worlds, written
from tests.support.training_root import release

kinds = st.sampled_from(["plain", "plain", "plain", "symmetries", "crops"])
recipes = st.builds(
    lambda kind, **keys: Dedupe(symmetries=kind == "symmetries", crops=kind == "crops", **keys),
    kinds,
    distance=st.integers(0, 6),
    confirmed_distance=st.integers(0, 14),
    enabled=st.sampled_from([True, True, True, False]),
)


def run(store: Store, recipe: Dedupe) -> None:
    failed: list[str] = []
    run_reduce(store, DedupeReduce(recipe), lambda o: failed.append(str(o.error)) if o.status == "failed" else None)
    assert not failed


def in_blocks(monkeypatch: pytest.MonkeyPatch, rows: int | None) -> None:
    for module in (incremental, earlier):
        monkeypatch.setattr(module, "at_once", lambda images, *, crops=False: rows)


def planted(store: Store, world: World, seed: int, recipe: Dedupe) -> None:
    """The shards of a world; where they are asked for with parts of its pictures, some of which look like others."""
    build(world, store)
    if not recipe.crops:
        return
    random = np.random.default_rng(seed)
    hashes = [picture.phash for pictures in world.values() for picture in pictures if not picture.missing]
    for shard, pictures in world.items():
        rows = []
        for own in (picture for picture in pictures if not picture.missing):
            seen = [int(random.choice(hashes)) if random.random() < 0.05 else own.phash for _ in WINDOWS]
            rows.append(CropHash(own.id, b"".join(phash.to_bytes(8, "big") + bytes(32) for phash in seen)))
        put(store, CropHash, shard, rows)


def released(store: Store, world: World) -> None:
    """Every other image that is kept stands in a shard of the release of its own."""
    shown = {p.id: image_row(p).sha256 for pictures in world.values() for p in pictures}
    kept = sorted(name for name, decision in decisions(store).items() if decision.reason is None)
    for number, name in enumerate(kept[::2]):
        release(store, {name: "a cat"}, number=number, sha256=shown[name])


@settings(deadline=None, max_examples=8, report_multiple_bugs=False)
@given(
    st.tuples(*(worlds(prefix=str(n), looked=True, coloured=True, pictured=True) for n in range(3))),
    recipes,
    st.integers(4, 12),
    st.booleans(),
)
def test_decisions_do_not_depend_on_how_many_images_fit_into_memory(
    steps: tuple[World, ...], recipe: Dedupe, rows: int, changed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(incremental, "_PLACED", 2)
        patch.setattr(earlier, "_SCANNED", rows)
        whole, local, remote = build({}), Store(folder), build({})
        for number, world in enumerate(steps):
            for store, size in ((whole, None), (local, rows), (remote, rows)):
                in_blocks(patch, size)
                planted(store, world, number, recipe)
                run(store, recipe)
            assert written(local) == written(remote) == written(whole)
        if not changed or not any(steps[0].values()):
            return
        first = {shard: pictures[1:] for shard, pictures in steps[0].items()}  # all is decided anew
        for store, size in ((whole, None), (local, rows)):
            in_blocks(patch, size)
            released(store, {shard: pictures for world in steps for shard, pictures in world.items()})
            planted(store, first, 0, recipe)
            run(store, recipe)
        assert written(local) == written(whole)


def several() -> World:
    random = np.random.default_rng(0)
    hashes = [int(h) for h in random.integers(0, 2**63, 30)]
    return {f"s{n}": [Picture(id=f"{h:032x}", phash=h) for h in hashes[n::3]] for n in range(3)}


def test_nothing_is_left_of_the_blocks_and_the_index_is_one_of_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = build(several(), Store(str(tmp_path)))
    in_blocks(monkeypatch, 12)
    run(store, Dedupe())
    assert len(decisions(store)) == 30
    assert len(list((tmp_path / "index" / "decided").iterdir())) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"tables", "manifest", "index"}
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith((".", "tmp"))]


def test_a_block_is_what_fits_into_memory_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: memory.to_decide(15))
    assert memory.at_once(15) is None
    assert memory.at_once(16) == 7
    rows = memory.at_once(16, crops=True)
    assert rows is not None and rows * memory.to_decide(2, crops=True) <= memory.to_decide(15)


def test_what_the_system_holds_of_files_counts_as_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    (tmp_path / "memory.max").write_text("90000000\n")
    (tmp_path / "memory.current").write_text("70000000\n")
    (tmp_path / "memory.stat").write_text("anon 20000000\ninactive_file 45000000\nactive_file 5000000\n")
    assert memory.available() == 65_000_000


def test_images_that_are_all_near_each_other_are_refused_where_they_do_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alike: World = {f"s{n}": [Picture(id=f"{n:016x}{m:016x}", phash=5) for m in range(4)] for n in range(3)}
    monkeypatch.setattr(memory, "available", lambda: memory.to_decide(11))
    store = build(alike)
    with pytest.raises(TooMuchMemory, match=r"^12 images may be near each other: .* take a machine with more memory"):
        run(store, Dedupe())
    monkeypatch.setattr(memory, "available", lambda: memory.to_decide(12))
    run(store, Dedupe())
    assert sum(decision.reason is None for decision in decisions(store).values()) == 1


def test_a_disk_without_room_for_the_blocks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = build(several(), Store(str(tmp_path)))
    in_blocks(monkeypatch, 12)
    full = itertools.chain([OSError(28, "No space left on device")])

    def none_left(*_: object, **__: object) -> None:
        raise next(full)

    monkeypatch.setattr(thumbnail_file.pa.ipc, "new_file", none_left)
    with pytest.raises(StoreError, match=rf"cannot write hashes and thumbnails to {tmp_path}.*No space left.*TMPDIR"):
        run(store, Dedupe())
