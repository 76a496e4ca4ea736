"""What the colours of blocks hold, whatever size a picture has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curation.images.chroma import COLOUR_BYTES, block_colours
from tests.support.images import natural


def colours(pixels: np.ndarray, order: str = "rgb") -> np.ndarray:
    return np.frombuffer(block_colours(pixels, order), np.uint8)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32))
def test_blocks_are_means_of_exactly_their_part_of_the_picture(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    whole = np.kron(pixels.astype(float), np.ones((8, 8, 1)))  # every side is a multiple of 8 now
    fine = whole.reshape(8, height, 8, width, 3).mean(axis=(1, 3))
    coarse = fine.reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    luma, low = (part @ [0.299, 0.587, 0.114] for part in (fine, coarse))
    expected = [luma, (coarse[..., 2] - low) * 0.564 + 128, (coarse[..., 0] - low) * 0.713 + 128]
    found = colours(pixels)
    assert len(found) == COLOUR_BYTES
    assert np.abs(found[:96] - np.concatenate(expected, axis=None)).max() <= 0.5 + 1e-6
    assert not found[98:].any()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_channels_changes_nothing(seed: int) -> None:
    pixels = natural(300, 200, seed=seed)
    assert block_colours(pixels, "rgb") == block_colours(np.ascontiguousarray(pixels[..., ::-1]), "bgr")


def test_chroma_is_that_of_jpeg() -> None:
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (12, 200, 90)):
        picture = Image.new("RGB", (16, 16), colour)
        found = colours(np.asarray(picture))
        expected = picture.convert("YCbCr").getpixel((0, 0))
        assert np.abs(np.array([found[0], found[64], found[80]], int) - expected).max() <= 1


def test_the_two_shares_count_ground_and_colour() -> None:
    pixels = np.full((400, 400, 3), 240, np.uint8)
    assert colours(pixels)[96] == 255 and colours(pixels)[97] == 0
    pixels[:100] = (200, 30, 30)
    assert abs(int(colours(pixels)[96]) - 191) <= 2 and abs(int(colours(pixels)[97]) - 64) <= 2
    spot = np.full((400, 400, 3), 240, np.uint8)
    spot[100:108, 100:108] = (200, 30, 30)
    assert colours(spot)[97] == 1, "the least colour there is, is some"
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 1), dtype=np.uint8).repeat(3, axis=2)
    assert 1 <= colours(noise)[96] < 20 and colours(noise)[97] == 0
