"""A training tuple is a window of its picture, with the mask and the texts that belong to it."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from curation.core.errors import RootError
from curation.core.tar import TarWriter
from curation.load.expansion import WindowDataset, load_windows

SIDE = 100
MASKS = {
    "right": (40, 0, 100, 100),
    "left": (0, 0, 60, 100),
    "down": (0, 40, 100, 100),
    "up": (0, 0, 100, 60),
}


def picture(number: int) -> tuple[bytes, np.ndarray]:
    """A lossless picture whose pixels say where they are."""
    y, x = np.mgrid[0:200, 0:300]
    pixels = np.stack([x % 256, y, np.full_like(x, 40 * number)], axis=-1).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue(), pixels


def window(number: int, index: int, side: str) -> dict[str, Any]:
    left, top = 10 + 60 * index, 20 + 10 * number
    x0, y0, x1, y1 = MASKS[side]
    return {
        "index": index,
        "side": side,
        "box": [left, top, left + SIDE, top + SIDE],
        "mask_box": [left + x0, top + y0, left + x1, top + y1],
        "overlap": 40,
        "local_caption": f"window {index} of {number}",
    }


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("expansion")
    with TarWriter(folder / "train-000000.tar") as tar:
        for number, side in enumerate(MASKS):
            annotation = {
                "sample_id": f"s{number}",
                "alt_text": "",
                "caption": "x",
                "caption_kind": "global",
                "global_caption": f"picture {number}",
                "windows": [window(number, index, side) for index in range(3)],
                "imagined": [
                    {"side": s, "index": i, "caption": f"beyond {s} {i} of {number}"} for i in (1, 0) for s in MASKS
                ],
            }
            tar.add(f"s{number}.png", picture(number)[0])
            tar.add(f"s{number}.json", json.dumps(annotation).encode())
    return folder


def read(dataset: WindowDataset) -> dict[str, dict[str, Any]]:
    return {s["json"]["sample_id"]: s for s in dataset}


def test_the_target_is_the_window_and_the_mask_its_part_that_is_to_be_painted(release: Path) -> None:
    found = read(load_windows(str(release), size=SIDE))
    assert sorted(found) == ["s0", "s1", "s2", "s3"]
    for number, (sample, side) in enumerate(zip(sorted(found), MASKS, strict=True)):
        got = found[sample]
        index = int(got["local"].split()[1])
        left, top, right, bottom = window(number, index, side)["box"]
        pixels = picture(number)[1][top:bottom, left:right].transpose(2, 0, 1)
        assert got["target"].dtype == torch.uint8 and np.array_equal(got["target"].numpy(), pixels)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        x0, y0, x1, y1 = MASKS[side]
        mask[y0:y1, x0:x1] = 1
        assert got["mask"].shape == (1, SIDE, SIDE) and np.array_equal(got["mask"][0].numpy(), mask)
        assert np.array_equal(got["visible"].numpy(), np.where(mask, 127, pixels))
        assert got["visible"].dtype == torch.uint8
        assert got["global"] == f"picture {number}" and got["local"] == f"window {index} of {number}"
        assert got["side"] == side and got["imagined"] == [f"beyond {side} {i} of {number}" for i in range(2)]


@pytest.mark.parametrize("size", [1, 7, 64, 333])
def test_a_scaled_mask_covers_all_that_is_to_be_painted_and_less_than_a_pixel_more(release: Path, size: int) -> None:
    for got in load_windows(str(release), size=size):
        covered = float(got["mask"].float().mean())
        assert 0.6 - 1e-6 <= covered <= 0.6 + 1 / size
        assert got["target"].shape == (3, size, size)


def test_windows_are_drawn_by_seed_epoch_and_picture_alone(release: Path) -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    dataset = load_windows(str(release), size=8, seed=1)
    for epoch in range(12):
        dataset.set_epoch(epoch)
        drawn = {sample: s["local"] for sample, s in read(dataset).items()}
        others = load_windows(str(release), size=8, seed=1, epoch=epoch, shuffle=0, rank=0, world_size=1)
        assert drawn == {sample: s["local"] for sample, s in read(others).items()}
        for sample, local in drawn.items():
            seen[sample].add(local)
    assert all(len(windows) == 3 for windows in seen.values())


def test_batches_come_from_workers(release: Path) -> None:
    batches = list(DataLoader(load_windows(str(release), size=16), batch_size=2, num_workers=2, collate_fn=list))
    assert sorted(s["global"] for batch in batches for s in batch) == [f"picture {n}" for n in range(4)]


@pytest.mark.parametrize("lacking", ["windows", "image"])
def test_a_release_of_another_kind_says_what_it_lacks(tmp_path: Path, lacking: str) -> None:
    annotation = {"sample_id": "a", "alt_text": "", "caption": "x", "caption_kind": "dense"}
    if lacking == "image":
        annotation |= {"global_caption": "x", "windows": [window(0, 0, "right")]}  # type: ignore[dict-item]
    with TarWriter(tmp_path / "train-000000.tar") as tar:
        if lacking == "windows":
            tar.add("a.png", picture(0)[0])
        tar.add("a.json", json.dumps(annotation).encode())
    with pytest.raises(RootError, match=f"has no {lacking}"):
        next(iter(load_windows(str(tmp_path))))
    with pytest.raises(ValueError, match="at least 1 pixel"):
        load_windows(str(tmp_path), size=0)


def test_windows_resume_inside_an_epoch_too(release: Path) -> None:
    def told(sample: dict[str, Any]) -> tuple[str, str, str]:
        return sample["json"]["sample_id"], sample["side"], sample["local"]

    whole = [told(s) for s in load_windows(str(release), size=16, seed=1, epoch=2)]
    first = iter(load_windows(str(release), size=16, seed=1, epoch=2))
    had = [told(next(first)) for _ in range(2)]
    dataset = load_windows(str(release), size=16, seed=1)
    dataset.load_state_dict({"epoch": 2})
    again = iter(dataset)
    again.load_state_dict(first.state_dict())
    assert had + [told(s) for s in again] == whole
