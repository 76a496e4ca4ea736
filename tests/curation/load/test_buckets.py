"""Batches of images of one size each, equally many in all ranks, and none lost where a run is left and taken up."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchdata.stateful_dataloader import StatefulDataLoader

from curation.core.errors import RootError
from curation.load import stream
from curation.load.bucketed import BucketedRelease, Groups
from curation.load.buckets import Buckets
from curation.load.loader import load
from curation.load.shards import Even, Part, read_part
from curation.load.stream import Order
from tests.support.plain_release import plain_release

SMALL = Buckets(pixels=32 * 32, step=8, max_aspect=4.0)
SIZES = ((32, 32), (40, 20), (20, 40), (33, 30), (90, 20), (20, 90), (64, 64), (16, 16), (48, 30), (31, 50))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    chance = np.random.default_rng(0)
    sizes = [[SIZES[int(i)] for i in chance.integers(0, len(SIZES), n)] for n in (9, 14, 3, 11)]
    return plain_release(tmp_path_factory.mktemp("buckets"), sizes)


def _opened(root: str, batch: int = 3, buckets: Buckets = SMALL, **more: Any) -> BucketedRelease:
    return load(root, **{"shuffle": 6, "decode": "tensor", **more}).bucketed(batch, buckets)


def _ids(batch: dict[str, Any]) -> list[str]:
    return [row["sample_id"] for row in batch["json"]]


@given(st.integers(1, 40), st.integers(64, 4000), st.floats(1, 4))
def test_buckets_are_as_large_as_they_may_be_and_none_is_too_long(step: int, pixels: int, aspect: float) -> None:
    if pixels < step * step:
        with pytest.raises(ValueError, match="step is 1 or more, pixels its square or more"):
            Buckets(pixels, step, aspect)
        return
    sizes = Buckets(pixels, step, aspect).sizes
    assert len(set(sizes)) == len(sizes) > 0
    for width, height in sizes:
        assert width % step == height % step == 0
        assert width * height <= pixels
        assert max(width, height) <= aspect * min(width, height)
        assert (height, width) in sizes
        longer = max(width, height) + step
        assert width == height or longer * min(width, height) > pixels, "a longer one would be too large"
    assert any(width == height for width, height in sizes)


def test_the_buckets_of_sdxl_hold_its_usual_sizes() -> None:
    usual = {(1024, 1024), (1152, 896), (896, 1152), (1216, 832), (832, 1216), (1344, 768), (768, 1344)}
    assert usual <= set(Buckets().sizes)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_an_image_is_in_the_bucket_of_the_nearest_aspect(width: int, height: int) -> None:
    [found] = SMALL.of(np.array([width]), np.array([height]))
    apart = [abs(math.log(width / height) - math.log(w / h)) for w, h in SMALL.sizes]
    assert apart[found] == pytest.approx(min(apart))


@settings(deadline=None)
@given(st.integers(1, 120), st.integers(1, 120), st.floats(0, 0.999), st.sampled_from(["center", "random"]))
def test_a_fitted_image_is_its_resized_self_between_the_corners(
    width: int, height: int, chance: float, crop: Any
) -> None:
    buckets = Buckets(32 * 32, 8, 2.0, crop)
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(pixels)
    for number, size in enumerate(buckets.sizes):
        found, (top, left) = buckets.fitted(image, number, chance)
        scale = max(size[0] / width, size[1] / height)
        whole = max(size[0], round(width * scale)), max(size[1], round(height * scale))
        resized = np.asarray(image if whole == image.size else image.resize(whole, Image.Resampling.LANCZOS))
        assert found.size == size
        assert np.array_equal(np.asarray(found), resized[top : top + size[1], left : left + size[0]])
        if crop == "center":
            assert abs(2 * left + size[0] - whole[0]) <= 1
            assert abs(2 * top + size[1] - whole[1]) <= 1


def test_a_batch_has_images_of_one_size_and_what_sdxl_conditions_on(root: str) -> None:
    seen = Counter[tuple[int, int]]()
    for batch in _opened(root, even="none"):
        images = batch["image"]
        assert (images.dtype, images.shape[1]) == (torch.uint8, 3)
        height, width = images.shape[2:]
        assert (width, height) in SMALL.sizes
        assert batch["target_size"].tolist() == [[height, width]] * len(images)
        assert batch["caption"] == [f"a {name}" for name in _ids(batch)]
        for row, original, (top, left) in zip(
            batch["json"], batch["original_size"].tolist(), batch["crop_top_left"].tolist(), strict=True
        ):
            assert original == [row["height"], row["width"]]
            scale = max(width / row["width"], height / row["height"])
            assert top + height <= math.ceil(row["height"] * scale) + 1
            assert left + width <= math.ceil(row["width"] * scale) + 1
        seen[width, height] += len(images)
    assert len(seen) > 3


def test_images_that_are_transformed_to_other_things_come_in_lists(root: str) -> None:
    batch = next(iter(_opened(root, decode="pil", transform=lambda image: image.size)))
    assert batch["image"] == [tuple(reversed(batch["target_size"][0].tolist()))] * 3
    halves = next(iter(_opened(root, transform=lambda image: image / 2)))["image"]
    assert halves.dtype == torch.float32


def _all_places(ranks: int, workers: int) -> list[tuple[int, int]]:
    return list(itertools.product(range(ranks), range(workers)))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_ranks_have_equally_many_batches_and_no_sample_is_lost(root: str, data: st.DataObject) -> None:
    ranks, workers = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    even: Even = data.draw(st.sampled_from(["repeat", "drop", "none"]))
    batch = data.draw(st.integers(1, 6))
    release = load(
        root, shuffle=data.draw(st.sampled_from([0, 1, 5, 100])), even=even, epoch=data.draw(st.integers(0, 2))
    )
    bucketed = release.bucketed(batch, SMALL)
    lengths: dict[int, int] = Counter()
    seen = Counter[tuple[str, int]]()
    for rank, worker in _all_places(ranks, workers):
        order = replace(release.order(), rank=rank, world_size=ranks, worker=worker, workers=workers)
        found, groups = bucketed._plan(order)
        numbers = [(part.url, part.first + at) for part in found for at in range(part.count or 0)]
        for bucket, group in groups:
            assert {int(groups._bucket_of[n]) for n in group} == {bucket}
            assert len(group) == batch if even != "none" else 0 < len(group) <= batch
            lengths[rank] += 1
            seen.update(numbers[n] for n in group)
    total = 9 + 14 + 3 + 11
    match even:
        case "none":
            assert (len(seen), set(seen.values())) == (total, {1})
        case "drop":
            assert set(seen.values()) <= {1}
            assert len(set(lengths.values())) <= 1
        case "repeat":
            assert len(seen) == total
            assert len({lengths[rank] for rank in range(ranks)}) == 1


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_what_follows_a_state_is_what_would_have_followed(root: str, data: st.DataObject) -> None:
    ranks = data.draw(st.integers(1, 3))
    more: dict[str, Any] = {
        "batch": data.draw(st.integers(1, 5)),
        "shuffle": data.draw(st.sampled_from([0, 2, 7, 100])),
        "even": data.draw(st.sampled_from(["repeat", "drop", "none"])),
        "epoch": data.draw(st.integers(0, 3)),
        "rank": data.draw(st.integers(0, ranks - 1)),
        "world_size": ranks,
    }
    whole = [_ids(batch) for batch in _opened(root, **more)]
    ended = data.draw(st.integers(0, len(whole)))
    first = iter(_opened(root, **more))
    had = [_ids(batch) for batch in islice(first, ended)]
    again = iter(_opened(root, **more | {"epoch": 0}))
    again.load_state_dict(first.state_dict())
    assert had + [_ids(batch) for batch in again] == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_torchdata_s_loader_resumes_with_workers(workers: int, root: str) -> None:
    def made() -> StatefulDataLoader[Any]:
        context = "fork" if workers else None
        return StatefulDataLoader(
            _opened(root, even="none"), batch_size=None, num_workers=workers, multiprocessing_context=context
        )

    whole = [_ids(batch) for batch in made()]
    loader = made()
    had = [_ids(batch) for batch in islice(loader, 3)]
    again = made()
    again.load_state_dict(loader.state_dict())
    assert had + [_ids(batch) for batch in again] == whole
    assert sorted(itertools.chain(*whole)) == sorted(row["json"]["sample_id"] for row in load(root, shuffle=0))


def test_what_was_read_is_not_read_again(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = iter(_opened(root, shuffle=0, even="drop"))
    whole = len(list(_opened(root, shuffle=0, even="drop")))
    list(islice(first, whole - 1))
    parts: list[Part] = []

    def counting(part: Part) -> Any:
        parts.append(part)
        return read_part(part)

    monkeypatch.setattr(stream, "read_part", counting)
    again = iter(_opened(root, shuffle=0, even="drop"))
    again.load_state_dict(first.state_dict())
    assert len(list(again)) == 1
    # What waited for its batch to fill up is read again, and with it what lies between in its tar.
    assert sum(part.count or 0 for part in parts) < 37 - 9


def test_sizes_come_from_the_samples_where_there_is_no_metadata(root: str, tmp_path: Path) -> None:
    sizes = [[(40, 20), (20, 40), (40, 20)]]
    other = plain_release(tmp_path, sizes, metadata=False)
    assert [_ids(b) for b in _opened(other, shuffle=0, even="none")] == [["0-1"], ["0-0", "0-2"]]


def test_the_random_crop_of_a_sample_changes_from_epoch_to_epoch_alone(root: str) -> None:
    def corners(epoch: int) -> dict[str, list[int]]:
        buckets = Buckets(32 * 32, 8, 2.0, "random")
        found = _opened(root, buckets=buckets, epoch=epoch, even="none")
        return {i: c for b in found for i, c in zip(_ids(b), b["crop_top_left"].tolist(), strict=True)}

    assert corners(1) == corners(1)
    assert corners(1) != corners(2)


def test_what_cannot_be_is_refused(root: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='buckets need images; load the release with decode="pil"'):
        load(root, decode="bytes").bucketed(2)
    with pytest.raises(ValueError, match="batch is 0"):
        load(root).bucketed(0)
    with pytest.raises(ValueError, match="crop is 'left'"):
        Buckets(crop="left")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_aspect is"):
        Buckets(max_aspect=0.5)
    state = iter(_opened(root)).state_dict()
    with pytest.raises(ValueError, match="another order of samples"):
        iter(_opened(root, seed=3)).load_state_dict(state)
    odd = plain_release(tmp_path, [[(8, 8)]])
    pq.write_table(pa.table({"other": [1]}), tmp_path / "release" / "metadata" / "train-000000.parquet")
    with pytest.raises(RootError, match="the image sizes of"):
        next(iter(_opened(odd)))


def test_a_worker_without_samples_ends() -> None:
    order = Order(("a",), 0, 0, 0, "repeat", 0, 1, 0, 1)
    assert list(Groups(order, np.zeros(0, np.int64), 4, 3)) == []
