"""A request carries pixels that are small enough for the model."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from curation.caption.model.images import fit
from tests.support.keepers import picture


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


@pytest.mark.parametrize(("side", "size"), [(40, (40, 30)), (119, (119, 89)), (1, (1, 1))])
def test_a_large_image_is_brought_down_to_the_side(side: int, size: tuple[int, int]) -> None:
    small = fit(picture(1), side)
    assert size_of(small) == size
    assert small == fit(picture(1), side)


@pytest.mark.parametrize("side", [0, 120, 5000])
def test_an_image_that_fits_keeps_its_bytes(side: int) -> None:
    assert fit(picture(1), side) is picture(1) or fit(picture(1), side) == picture(1)


def test_what_is_no_image_is_left_to_the_model() -> None:
    assert fit(b"no image", 50) == b"no image"
    assert fit(picture(1)[:200], 50) == picture(1)[:200]
