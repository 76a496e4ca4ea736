"""Our pHash is imagehash's, bit for bit."""

from __future__ import annotations

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from curation.images import phash as module
from curation.images.phash import phash, phash_twice
from tests.support.images import natural


def reference(image: Image.Image) -> int:
    return int(str(imagehash.phash(image)), 16)


def test_thousands_of_pictures_hash_alike() -> None:
    random = np.random.default_rng(0)
    big = natural(900, 700, seed=1)
    for number in range(2500):
        width, height = random.integers(1, 420, 2)
        x, y = random.integers(0, 900 - width), random.integers(0, 700 - height)
        pixels = np.ascontiguousarray(big[y : y + height, x : x + width])
        if number % 5 == 0:
            pixels = random.integers(0, 256, pixels.shape, dtype=np.uint8)
        assert phash(pixels) == reference(Image.fromarray(pixels)), (width, height)


@given(arrays(np.uint8, st.tuples(st.integers(1, 140), st.integers(1, 140), st.just(3))))
@settings(max_examples=150, deadline=None)
def test_random_arrays_hash_alike(pixels: np.ndarray) -> None:
    assert phash(pixels) == reference(Image.fromarray(pixels))


@given(st.integers(0, 255), st.integers(60, 600), st.integers(60, 600))
@settings(max_examples=60, deadline=None)
def test_flat_pictures_hash_alike(level: int, width: int, height: int) -> None:
    flat = np.full((height, width, 3), level, np.uint8)
    assert phash(flat) == reference(Image.fromarray(flat))


@pytest.mark.parametrize("size", [(512, 512), (512, 683), (683, 512), (512, 1536), (640, 512), (641, 512), (3000, 40)])
def test_common_sizes_hash_alike_in_both_orders(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (*size, 3), dtype=np.uint8)
    for pixels in (noise, natural(size[1], size[0])):
        expected = reference(Image.fromarray(pixels))
        assert phash(pixels) == expected
        assert phash(pixels[..., ::-1], "bgr") == expected
        assert phash(np.asfortranarray(pixels)) == expected


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1"])
def test_pillow_images_of_any_mode_hash_alike(mode: str) -> None:
    image = Image.fromarray(natural(200, 150)).convert(mode)
    assert phash(image) == reference(image)


def test_the_first_bit_is_the_highest() -> None:
    image = Image.fromarray(natural(128, 128))
    assert f"{phash(image):064b}" == "".join("01"[int(b)] for b in imagehash.phash(image).hash.ravel())


def test_our_kernels_are_the_ones_at_work() -> None:
    assert module._rounds_as_pillow()


def test_a_pillow_that_rounds_otherwise_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_by_us", lambda luma: np.zeros((32, 32), np.uint8))
    module._rounds_as_pillow.cache_clear()
    try:
        pixels = natural(300, 200)
        assert phash(pixels) == reference(Image.fromarray(pixels))
    finally:
        module._rounds_as_pillow.cache_clear()


@pytest.mark.parametrize("size", [(512, 683), (300, 40), (64, 64), (1200, 500)])
def test_the_second_look_is_the_same_transform_wider(size: tuple[int, int]) -> None:
    pixels = natural(size[1], size[0], seed=size[0])
    wide = imagehash.phash(Image.fromarray(pixels), hash_size=16, highfreq_factor=2)
    assert phash_twice(pixels) == (phash(pixels), bytes.fromhex(str(wide)))
    assert phash_twice(pixels[..., ::-1], "bgr") == phash_twice(Image.fromarray(pixels))
