"""Whoever loads a release sees each sample once, with the captions that were asked for."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import webdataset as wds
from PIL import Image
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.data import DataLoader

from curation.core.errors import RootError
from curation.core.run import parts_of
from curation.load.loader import draw_caption, find_shards, load
from curation.products.refine import steps
from curation.release.features import annotation_types
from tests.support.roots import Row, World, make_world, recipe, release


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    rows = [Row()] * 30 + [Row("kept_by_second_kind")] * 4 + [Row("kept_by_alt_text")] * 4
    made = make_world(
        str(tmp_path_factory.mktemp("loader") / "it's a [root] *?{a,b}"), recipe(val=0.1, test=0.1), [rows]
    )
    release(made)
    return made


def ids(samples: Any) -> list[str]:
    return [s["json"]["sample_id"] for s in samples]


def in_tars(world: World, split: str) -> list[str]:
    found = []
    for path in sorted(Path(world.store.path("release")).glob(f"{split}-*.tar")):
        with tarfile.open(path) as tar:
            found += [n.removesuffix(".jpg") for n in tar.getnames() if n.endswith(".jpg")]
    return found


def test_every_sample_of_every_split_is_read_once(world: World) -> None:
    splits = {split: ids(load(world.store.url, split)) for split in ("train", "val", "test")}
    for split, found in splits.items():
        assert sorted(found) == sorted(in_tars(world, split)) and found
    assert Counter(i for found in splits.values() for i in found) == Counter(world.kept_ids())


def test_the_root_and_its_release_folder_are_the_same(world: World) -> None:
    assert find_shards(world.store.url, "train") == find_shards(world.store.url + "/release", "train")


def test_without_a_shuffle_samples_come_in_the_releases_order(world: World) -> None:
    assert ids(load(world.store.url, shuffle=0)) == in_tars(world, "train")


def test_the_same_seed_and_epoch_give_the_same_samples_and_captions(world: World) -> None:
    def told(seed: int, epoch: int) -> list[tuple[str, str]]:
        found = load(world.store.url, captions={"dense": 1, "alt_text": 1}, shuffle=8, seed=seed, epoch=epoch)
        return [(s["json"]["sample_id"], s["caption"]) for s in found]

    assert told(0, 0) == told(0, 0)
    assert [i for i, _ in told(0, 0)] != [i for i, _ in told(0, 1)]
    assert dict(told(0, 0)) != dict(told(0, 1)) and dict(told(0, 0)) != dict(told(1, 0))


def test_set_epoch_shuffles_anew(world: World) -> None:
    dataset = load(world.store.url, shuffle=8)
    first = ids(dataset)
    dataset.set_epoch(1)
    second = ids(dataset)
    assert first != second and sorted(first) == sorted(second)
    assert second == ids(load(world.store.url, shuffle=8, epoch=1))


@pytest.mark.parametrize("shard_size", [2, 1000])
@pytest.mark.parametrize("ranks", [1, 3])
def test_ranks_and_workers_divide_the_samples(tmp_path: Path, shard_size: int, ranks: int) -> None:
    made = make_world(str(tmp_path / "root"), recipe(shard_size=shard_size, val=0, test=0), [[Row()] * 13])
    release(made)
    found: list[str] = []
    for rank in range(ranks):
        dataset = load(made.store.url, rank=rank, world_size=ranks, shuffle=4, even="none")
        found += ids(DataLoader(dataset, batch_size=None, num_workers=2))
    assert Counter(found) == Counter(made.kept_ids())


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_workers_read_for_the_rank_that_starts_them(world: World, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    found: list[str] = []
    for rank in range(2):
        dataset = load(world.store.url, even="none")  # before the group is there, as scripts do
        torch.distributed.init_process_group("fake", store=FakeStore(), rank=rank, world_size=2)
        try:
            workers = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context=how)
            found += ids(workers)
        finally:
            torch.distributed.destroy_process_group()
    assert Counter(found) == Counter(in_tars(world, "train"))


def test_workers_that_stay_see_the_next_epoch(world: World) -> None:
    dataset = load(world.store.url, captions={"dense": 1, "alt_text": 1}, shuffle=8)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, persistent_workers=True)
    first = {s["json"]["sample_id"]: s["caption"] for s in loader}
    dataset.set_epoch(1)
    assert {s["json"]["sample_id"]: s["caption"] for s in loader} != first


def test_captions_are_mixed_in_the_shares_that_were_asked_for() -> None:
    counts: Counter[str] = Counter()
    for n in range(4000):
        annotation = {
            "sample_id": f"{n:032x}", "alt_text": "alt", "captions": {"dense": "d", "short": "s"},
            "caption": "d", "caption_kind": "dense",
        }  # fmt: skip
        caption, kind = draw_caption(annotation, {"dense": 0.5, "short": 0.3, "alt_text": 0.2}, seed=0, epoch=0)
        assert caption == {"dense": "d", "short": "s", "alt_text": "alt"}[kind]
        counts[kind] += 1
    for kind, share in {"dense": 0.5, "short": 0.3, "alt_text": 0.2}.items():
        assert abs(counts[kind] / 4000 - share) < 0.03


def test_a_sample_without_tags_is_mixed_of_its_other_kinds() -> None:
    weights = {"tags": 0.5, "medium": 0.25, "structured": 0.25}
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for n in range(8000):
        captions = {"dense": "A dog.", "medium": "A dog runs.", "structured": "A dog. Soft light."}
        if tagged := n % 2 == 0:
            captions["tags"] = "brown dog, lawn, soft light"
        annotation = {
            "sample_id": f"{n:032x}", "alt_text": "alt", "captions": captions, "caption": "A dog.",
            "caption_kind": "dense",
        }  # fmt: skip
        caption, kind = draw_caption(annotation, weights, seed=3, epoch=1)
        assert caption == captions[kind]
        counts[tagged][kind] += 1
    for tagged, shares in ((True, weights), (False, {"tags": 0, "medium": 0.5, "structured": 0.5})):
        assert all(abs(counts[tagged][kind] / 4000 - share) < 0.03 for kind, share in shares.items())


def test_a_kind_that_a_sample_lacks_does_not_take_part(world: World) -> None:
    for sample in load(world.store.url, captions={"dense": 1, "alt_text": 0}):
        has = sample["json"].get("captions", {})
        assert sample["caption_kind"] == ("dense" if "dense" in has else sample["json"]["caption_kind"])
        assert sample["caption"] == has.get("dense", sample["json"]["caption"])
    blank = {"sample_id": "0", "alt_text": " \n", "captions": {}, "caption": "c", "caption_kind": "dense"}
    assert draw_caption(blank, {"alt_text": 1.0}, 0, 0) == ("c", "dense")


def test_the_kind_of_the_preferred_caption_can_be_drawn_where_it_is_the_only_one() -> None:
    """As in a news release, whose samples have no ``captions`` beside the one that is released."""
    weights = {"news": 0.8, "alt_text": 0.2}
    counts: Counter[str] = Counter()
    for n in range(2000):
        news = {"sample_id": f"{n:032x}", "alt_text": "as published", "caption": "cleaned", "caption_kind": "news"}
        caption, kind = draw_caption(news, weights, seed=0, epoch=0)
        assert caption == {"news": "cleaned", "alt_text": "as published"}[kind]
        counts[kind] += 1
    assert abs(counts["news"] / 2000 - 0.8) < 0.03
    fallen_back = {"sample_id": "0", "alt_text": " as found ", "caption": "as found", "caption_kind": "alt_text"}
    assert draw_caption(fallen_back, {"alt_text": 1.0}, 0, 0) == (" as found ", "alt_text")


def test_images_come_as_they_are_asked_for(world: World) -> None:
    pil, tensor, data = (next(iter(load(world.store.url, shuffle=0, decode=d))) for d in (True, "tensor", False))
    assert isinstance(pil["image"], Image.Image) and pil["image"].mode == "RGB" and pil["image"].size == (24, 16)
    assert tensor["image"].shape == (3, 16, 24) and tensor["image"].dtype == torch.uint8
    assert data["image"][:2] == b"\xff\xd8"
    sized = next(iter(load(world.store.url, shuffle=0, transform=lambda i: i.size)))
    assert sized["image"] == (24, 16)


def test_a_release_without_images_yields_none(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), recipe(images=False, val=0, test=0), [[Row()] * 3])
    release(made)
    assert [s["image"] for s in load(made.store.url)] == [None] * 3


def test_wrong_questions_are_answered_clearly(world: World, tmp_path: Path) -> None:
    with pytest.raises(RootError, match="has no split 'dev'"):
        load(world.store.url, "dev")
    with pytest.raises(RootError, match="holds no release"):
        load(str(tmp_path))
    for weights in ({"dense": 0.0}, {"dense": -1.0, "alt_text": 2.0}):
        with pytest.raises(ValueError, match="positive sum"):
            load(world.store.url, captions=weights)
    with pytest.raises(ValueError, match="neither"):
        load(world.store.url, rank=0)
    with pytest.raises(ValueError, match="rank is 2; with world_size 2, 0 to 1 were expected"):
        load(world.store.url, rank=2, world_size=2)
    with pytest.raises(ValueError, match="even is 'all'"):
        load(world.store.url, even="all")  # type: ignore[arg-type]
    with pytest.raises(RootError, match=r'too few for 99 ranks with even="drop"; use even="repeat"'):
        load(world.store.url, rank=0, world_size=99, even="drop")


def test_webdataset_alone_reads_a_release(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), recipe(shard_size=5, val=0, test=0), [[Row()] * 12])
    release(made)
    urls = str(Path(made.store.path("release")) / "train-{000000..000002}.tar")
    found = list(wds.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("jpg", "txt", "json"))
    assert {d["sample_id"] for _, _, d in found} == made.kept_ids() and len(found) == 12
    for image, caption, told in found:
        assert image.size == (told["width"], told["height"]) and caption == told["caption"]


def test_datasets_reads_a_release(tmp_path: Path) -> None:
    # Samples of all kinds, so that what only some of them have is met after the columns are inferred.
    rows = [Row()] * 6 + [Row("kept_by_alt_text"), Row("kept_by_second_kind"), Row(alt_text="\x00\u202e")]
    made = make_world(str(tmp_path / "root"), recipe(shard_size=5, val=0, test=0), [rows])
    release(made)
    folder = Path(made.store.path("release"))
    cache = str(tmp_path / "cache")
    files = {"train": str(folder / "train-*.tar")}
    found = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=cache)
    assert {json_["sample_id"] for json_ in found["json"]} == made.kept_ids()
    assert all(isinstance(row["jpg"], Image.Image) and row["txt"] == row["json"]["caption"] for row in found)
    by_card = datasets.load_dataset(str(folder), split="train", cache_dir=cache)
    told = {s["json"]["sample_id"]: s["json"] for s in load(made.store.url, shuffle=0)}
    kinds = ("dense", "short")
    declared = dict.fromkeys(annotation_types(kinds, list(parts_of(steps(made.recipe)))))
    for row in by_card:
        own = told.pop(row["json"]["sample_id"])
        captions = {kind: own["captions"].get(kind) for kind in kinds} if "captions" in own else None
        assert own.keys() <= declared.keys() and row["json"] == declared | own | {"captions": captions}
    assert told == {}
    metadata = datasets.load_dataset(
        "parquet", data_files=str(folder / "metadata/*.parquet"), split="train", cache_dir=cache
    )
    assert set(metadata["sample_id"]) == made.kept_ids()
    assert all(json.loads(c) is not None for c in metadata["captions"])


def test_columns_choose_what_is_kept_of_the_json(world: World) -> None:
    whole = list(load(world.store.url, shuffle=0, captions={"dense": 1.0}, decode=False))
    some = list(load(world.store.url, shuffle=0, captions={"dense": 1.0}, decode=False, columns=["width", "no_such"]))
    assert [s["json"] for s in some] == [{"width": s["json"]["width"], "no_such": None} for s in whole]
    assert [(s["caption"], s["caption_kind"]) for s in some] == [(s["caption"], s["caption_kind"]) for s in whole]


def test_without_columns_the_preferred_caption_is_read_and_no_json(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(load(world.store.url, shuffle=0, decode=False))
    monkeypatch.setattr("curation.load.loader.annotation_of", lambda *_: pytest.fail("a .json was parsed"))
    bare = list(load(world.store.url, shuffle=0, decode=False, columns=()))
    wanted = [{"image": s["image"], "caption": s["caption"], "caption_kind": "preferred", "json": {}} for s in whole]
    assert bare == wanted and len({s["caption_kind"] for s in whole}) > 1


@pytest.mark.parametrize("captions", [{"dens": 1.0}, {"dens": 0.5, "dense": 0.5}, {"dens": 0.5, "alt_text": 0.5}])
def test_a_kind_that_no_sample_has_is_refused_in_one_line(world: World, captions: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"^no sample has a caption of the kind dens; there are alt_text, dense") as at:
        load(world.store.url, captions=captions)
    assert "\n" not in str(at.value)


def test_a_kind_of_no_weight_may_be_missing(world: World) -> None:
    assert list(load(world.store.url, captions={"dens": 0.0, "dense": 1.0}))


def test_a_kind_that_only_another_split_has_is_not_refused(world: World, tmp_path: Path) -> None:
    release_of = Path(world.store.path("release"))
    shutil.copytree(release_of, tmp_path / "release")
    metadata = tmp_path / "release/metadata"
    for file in metadata.glob("train-*.parquet"):
        table = pq.read_table(file)
        names = {"captions": ["{}"] * len(table), "caption_kind": ["tagged"] * len(table)}
        for name, values in names.items():
            table = table.set_column(table.column_names.index(name), name, pa.array(values))
        pq.write_table(table, metadata / file.name.replace("train", "val"))
        (tmp_path / "release" / file.with_suffix(".tar").name.replace("train", "val")).touch()
    assert load(str(tmp_path), captions={"tagged": 1.0}).shards
    with pytest.raises(ValueError, match=r"the kind dens; there are .*tagged"):
        load(str(tmp_path), captions={"dens": 1.0})


def test_kinds_are_known_without_a_look_into_a_tar(world: World, tmp_path: Path) -> None:
    release_of = Path(world.store.path("release"))
    shutil.copytree(release_of / "metadata", tmp_path / "metadata")
    for tar in release_of.glob("train-*.tar"):
        (tmp_path / tar.name).touch()
    load(str(tmp_path), captions={"dense": 0.5, "alt_text": 0.5})
    with pytest.raises(ValueError, match="the kind dens"):
        load(str(tmp_path), captions={"dens": 1.0})
    for folder, suffix in ((tmp_path / "metadata", ".parquet"), (tmp_path, ".tar")):
        (folder / f"odd-000000{suffix}").touch()  # another split; its metadata cannot be read
    load(str(tmp_path), captions={"dense": 1.0})
    shutil.rmtree(tmp_path / "metadata")  # where nothing tells, a tar may have all kinds
    assert load(str(tmp_path), captions={"dens": 1.0}).shards
