"""A request carries a sample's own pixels, small enough for the model."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from curation.errors import StoreError
from curation.llm.images import ShardImages, fit
from curation.store import Store
from curation.tar import TarWriter
from tests.support.keepers import picture


@pytest.mark.parametrize("remote", [False, True])
def test_images_are_read_by_offset_and_size(tmp_path: Path, remote: bool) -> None:
    store = Store(f"memory://{tmp_path.name}" if remote else str(tmp_path))
    scratch = tmp_path / "a.tar"
    with TarWriter(scratch) as tar:
        offsets = [tar.add(f"{i}.jpg", picture(i)) for i in range(3)]
    size = scratch.stat().st_size
    store.publish("images/a.tar", scratch)
    with ShardImages(store, "a") as images:
        assert [images.read(o, len(picture(i))) for i, o in reversed(list(enumerate(offsets)))] == [
            picture(i) for i in (2, 1, 0)
        ]
        with pytest.raises(StoreError, match="ends before"):
            images.read(offsets[0], size)


def test_a_tar_that_is_not_there_is_said_only_when_it_is_needed(tmp_path: Path) -> None:
    with ShardImages(Store(str(tmp_path)), "a") as images, pytest.raises(StoreError, match="cannot read"):
        images.read(0, 1)


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
