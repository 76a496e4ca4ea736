"""The named transformations do what their names say."""

from __future__ import annotations

import io

import imagehash
import numpy as np
import pytest
from PIL import Image as Pictures

from curation.demo.near import TRANSFORMATIONS, transformed
from curation.demo.render import render
from curation.demo.world import scene


def _opened(data: bytes) -> Pictures.Image:
    return Pictures.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize(
    ("name", "factor"),
    [("resized to half", 0.5), ("resized to double", 2), ("cropped by 5 %", 0.95), ("cropped by 15 %", 0.85)],
)
def test_sizes_change_by_the_factor(name: str, factor: float) -> None:
    pixels = render(scene(0, 3))
    picture = _opened(transformed(pixels, name))
    assert picture.width == pytest.approx(pixels.shape[1] * factor, abs=2)
    assert picture.height == pytest.approx(pixels.shape[0] * factor, abs=2)


def test_copies_show_the_same_picture() -> None:
    pixels = render(scene(0, 3)).astype(int)
    for name in ("re-encoded at 30", "watermarked"):
        assert np.abs(np.asarray(_opened(transformed(pixels.astype(np.uint8), name))).astype(int) - pixels).mean() < 12
    grey = np.asarray(_opened(transformed(pixels.astype(np.uint8), "grey"))).astype(int)
    assert np.ptp(grey, axis=2).max() <= 2
    mirrored = np.asarray(_opened(transformed(pixels.astype(np.uint8), "mirrored"))).astype(int)
    assert np.abs(mirrored[:, ::-1] - pixels).mean() < 6
    turned = np.asarray(_opened(transformed(pixels.astype(np.uint8), "turned by 90°"))).astype(int)
    assert np.abs(np.rot90(turned, -1) - pixels).mean() < 6
    assert np.asarray(_opened(transformed(pixels.astype(np.uint8), "brighter"))).mean() > pixels.mean() + 5
    assert (np.asarray(_opened(transformed(pixels.astype(np.uint8), "bordered")))[:3] > 235).all()


def test_every_transformation_changes_the_bytes_and_repeats_itself() -> None:
    pixels = render(scene(0, 3))
    files = {name: transformed(pixels, name) for name in TRANSFORMATIONS}
    assert len(set(files.values())) == len(files)
    assert files == {name: transformed(pixels, name) for name in TRANSFORMATIONS}


def test_phash_sees_through_a_new_encoding_and_a_new_size() -> None:
    for i in range(10):
        pixels = render(scene(0, i))
        before = imagehash.phash(Pictures.fromarray(pixels))
        for name in ("re-encoded at 30", "resized to half", "resized to double", "grey"):
            assert imagehash.phash(_opened(transformed(pixels, name))) - before <= 4
        assert imagehash.phash(_opened(transformed(pixels, "mirrored"))) - before > 4
