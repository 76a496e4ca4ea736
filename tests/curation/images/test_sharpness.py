"""Reduced pictures are as sharp as Pillow's Lanczos filter leaves them, at every factor and from every format."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image

from curation.demo.render import render
from curation.demo.world import scene
from curation.images.decode import decode
from curation.images.headers import read_header
from curation.images.pixels import prepare
from curation.images.shrink import shrunk
from schemas.recipe import Download
from tests.support.images import natural
from tests.support.photographs import in_wheel
from tests.support.sharpness import FACTORS, LEAST_SIDE, Judged, Pixels, encoded, judge, lanczos, opened, size_at

FILES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "JPEG 4:2:0": ("JPEG", {"quality": 92, "subsampling": "4:2:0"}),
    "JPEG 4:4:4": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    "progressive JPEG": ("JPEG", {"quality": 85, "progressive": True}),
    "PNG": ("PNG", {"compress_level": 1}),
}
_LONGEST = 1000  # pixels of a side, so that the test stays quick


@cache
def photographs() -> list[Pixels]:
    found = []
    for photograph in in_wheel()[::2]:  # make quality takes all, and many more
        image = photograph.image()
        image.thumbnail((_LONGEST, _LONGEST))
        found.append(np.asarray(image))
    return found


@cache
def drawn() -> list[Pixels]:
    """Scenes of the demo world at twice their size, and noise with a photograph's spectrum behind sharp shapes."""
    found = [
        np.asarray(Image.fromarray(render(scene(3, n))).resize((1024, 1024), Image.Resampling.NEAREST))
        for n in range(3)
    ]
    for seed in range(3):
        pixels = natural(901, 703, seed).copy()
        cv2.circle(pixels, (300, 300), 120 + 20 * seed, (230, 30, 40), -1)
        cv2.line(pixels, (0, 650), (900, 100 * seed), (10, 20, 30), 5)
        cv2.putText(pixels, f"ROOM {seed}", (420, 520), cv2.FONT_HERSHEY_SIMPLEX, 3, (250, 250, 250), 6)
        found.append(pixels)
    return found


def reduced(data: bytes, size: tuple[int, int]) -> Pixels:
    """As the download stage decodes and resizes, before it encodes."""
    decoded = decode(read_header(data, 10**9), size)
    return np.ascontiguousarray(shrunk(decoded.pixels, *size, decoded.extent)[..., ::-1])


@cache
def files(pictures: str, file: str) -> list[tuple[bytes, Pixels]]:
    """Each picture as a file, and the file's pixels."""
    kind, options = FILES[file]
    made = [encoded(pixels, kind, options) for pixels in (photographs() if pictures == "photographs" else drawn())]
    return [(data, opened(data)) for data in made]


def judged(pictures: str, file: str, factor: float) -> list[Judged]:
    found = []
    for data, full in files(pictures, file):
        size = size_at(full.shape[1], full.shape[0], factor)
        if min(size) >= LEAST_SIDE:
            found.append(judge(reduced(data, size), full, lanczos(full, size)))
    return [one for one in found if one is not None]


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("pictures", ["photographs", "drawn"])
def test_a_reduced_picture_is_as_sharp_as_lanczos_and_nearer_to_it_than_area_averaging(
    pictures: str, file: str, factor: float
) -> None:
    found = judged(pictures, file, factor)
    assert len(found) >= 5
    assert 0.95 <= np.median([one.sharpness for one in found]) <= 1.1
    assert np.mean([one.nearer for one in found]) >= 0.9


@pytest.mark.parametrize("factor", [*FACTORS, 20.0, 40.0])
@pytest.mark.parametrize("file", ["JPEG 4:4:4", "PNG"])
def test_an_edge_rings_no_more_than_by_lanczos(file: str, factor: float) -> None:
    dark, light, rounding = 60, 190, 1
    for phase in range(6):
        side = round(48 * factor)
        pixels = np.full((side, side, 3), dark, np.uint8)
        pixels[:, side // 2 + phase :] = light
        pixels[side // 3 + phase :, : side // 4] = light
        full = opened(encoded(pixels, FILES[file][0], FILES[file][1]))
        size = size_at(side, side, factor)
        ours = reduced(encoded(pixels, FILES[file][0], FILES[file][1]), size).astype(int)
        theirs = lanczos(full, size).astype(int)
        assert ours.max() <= theirs.max() + rounding and ours.min() >= theirs.min() - rounding


@pytest.mark.parametrize("turn", range(2))
@pytest.mark.parametrize("sides", [(1001, 777), (1603, 333), (4099, 1027), (2050, 2049), (3001, 311)])
@pytest.mark.parametrize("scale", [0.9, 0.49, 0.24, 0.12, 0.05])
def test_a_jpeg_that_is_decoded_smaller_lies_where_it_lay(sides: tuple[int, int], scale: float, turn: int) -> None:
    """Sides that are no multiple of eight: the reduced decode covers a fraction of its last pixels."""
    width, height = sides
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    wave = 128 + 60 * np.sin(2 * np.pi * x / (40 / scale)) + 60 * np.sin(2 * np.pi * y / (37 / scale) + turn)
    pixels = np.repeat(wave[..., None], 3, axis=2).astype(np.uint8)
    data = encoded(pixels, "JPEG", {"quality": 97, "subsampling": "4:4:4"})
    size = max(1, round(width * scale)), max(1, round(height * scale))
    off = reduced(data, size).astype(int) - lanczos(opened(data), size)
    assert np.abs(off).mean() < 1.0 and np.abs(off[2:-2, 2:-2]).max() <= 4


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        *(((1, 5000), (1, 512)), ((5000, 1), (512, 1)), ((2, 60_000), (1, 16)), ((60_000, 2), (16, 1))),
        *(
            ((3, 3), (2, 2)),
            ((301, 333), (300, 300)),
            ((2001, 3), (2000, 3)),
            ((7, 7), (7, 7)),
            ((30_000, 30), (16, 1)),
        ),
    ],
)
def test_any_shape_can_be_reduced(sides: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (sides[1], sides[0], 3), dtype=np.uint8)
    result = shrunk(pixels, *size)
    assert result.shape == (size[1], size[0], 3)
    assert abs(float(result.mean()) - float(pixels.mean())) < 20


def test_the_same_pixels_give_the_same_result_in_any_thread_and_order() -> None:
    from concurrent.futures import ThreadPoolExecutor

    pictures = [natural(600 + 7 * n, 500, n) for n in range(8)]
    alone = [shrunk(p, 333, 222).tobytes() for p in pictures]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda p: shrunk(p, 333, 222).tobytes(), pictures * 6)) == alone * 6


@pytest.mark.parametrize(("name", "chroma"), [("jpeg", 420), ("jpeg", 444), ("webp", 420), ("png", 444)])
@pytest.mark.parametrize("factor", [1.1, 1.75, 3.5, 8.0])
@pytest.mark.parametrize("pictures", ["photographs", "drawn"])
def test_an_exported_picture_is_as_sharp_as_lanczos_in_every_format(
    pictures: str, factor: float, name: str, chroma: int
) -> None:
    found = []
    for data, full in files(pictures, "JPEG 4:2:0"):
        size = size_at(full.shape[1], full.shape[0], factor)
        if min(size) < LEAST_SIDE:
            continue
        settings = Download(size=min(size), min_side=1, max_aspect=0, format=name, chroma=chroma)
        exported = opened(prepare(data, settings).data)
        found.append(judge(exported, full, lanczos(full, (exported.shape[1], exported.shape[0]))))
    assert 0.95 <= np.median([one.sharpness for one in found if one is not None]) <= 1.1
