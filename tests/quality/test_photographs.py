"""Photographs through the pixel care of a run: sharpness by factor, and what each file format costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import mean, median

import numpy as np
import pytest
from PIL import Image

from curation.images.decode import decode
from curation.images.encode import encode
from curation.images.headers import read_header
from curation.images.shrink import shrunk
from schemas.recipe import Download
from tests.support.figures import Figures
from tests.support.photographs import Photograph, in_wheel, photographs
from tests.support.recoloured import COLOURS, banner, logo, shirt
from tests.support.sharpness import (
    FACTORS,
    LEAST_SIDE,
    Pixels,
    chroma_psnr,
    encoded,
    judge,
    lanczos,
    laplacian_variance,
    opened,
    psnr,
    size_at,
    ssim,
)

MOST = 2560  # pixels of the longer side, so that the largest wallpapers do not take all the time
SIDE = 512
EXPORTS = (
    Download(quality=95),
    Download(quality=95, chroma=444),
    Download(quality=85),
    Download(quality=85, chroma=444),
    Download(quality=95, format="webp"),
    Download(quality=85, format="webp"),
    Download(format="png"),
)


@pytest.fixture(scope="module")
def pictures(full: bool) -> list[Photograph]:
    return photographs() if full else in_wheel()[::3]


def test_photographs_come_out_as_sharp_as_by_lanczos(figures: Figures, pictures: list[Photograph]) -> None:
    """From a JPEG at quality 92, 4:2:0, decoded and resized as by the download stage, and then exported."""
    found: dict[float, list[tuple[float, bool, float, float]]] = {factor: [] for factor in FACTORS}
    for photograph in pictures:
        data = encoded(_bounded(photograph), "JPEG", {"quality": 92, "subsampling": "4:2:0"})
        pixels = opened(data)
        header = read_header(data, 10**9)
        for factor in FACTORS:
            size = size_at(header.width, header.height, factor)
            if min(size) < LEAST_SIDE:
                continue
            decoded = decode(header, size)
            bgr = shrunk(decoded.pixels, *size, decoded.extent)
            reference = lanczos(pixels, size)
            one = judge(_rgb(bgr), pixels, reference)
            if one is not None:
                exported = opened(encode(bgr, Download()))
                kept = laplacian_variance(exported) / laplacian_variance(reference)
                found[factor].append((one.sharpness, one.nearer, psnr(_rgb(bgr), reference), kept))
    for factor, rows in found.items():
        sharp = [row[0] for row in rows]
        figures.add(
            "photographs: sharpness beside Pillow's Lanczos by factor",
            factor=f"{factor:g}",
            photographs=len(rows),
            sharpness=median(sharp),
            least=min(sharp),
            most=max(sharp),
            nearer_than_area_averaging=mean(row[1] for row in rows),
            psnr_to_lanczos=median(row[2] for row in rows),
            sharpness_as_exported=median(row[3] for row in rows),
        )
        assert 0.95 <= median(sharp) <= 1.1
        assert mean(row[1] for row in rows) >= 0.9
        assert 0.95 <= median(row[3] for row in rows) <= 1.1


def test_formats_and_chroma_cost_what_the_table_says(figures: Figures, pictures: list[Photograph]) -> None:
    kinds: dict[str, Callable[[], Iterator[Pixels]]] = {
        "photographs": lambda: (_exported(p.pixels()) for p in pictures),
        "saturated graphics": lambda: (np.asarray(draw(c)) for draw in (shirt, logo, banner) for c in COLOURS.values()),
    }
    for kind, made in kinds.items():
        rows: dict[int, list[tuple[float, ...]]] = {n: [] for n in range(len(EXPORTS))}
        for pixels in made():
            sharp = laplacian_variance(pixels)
            for n, settings in enumerate(EXPORTS):
                data = encode(np.ascontiguousarray(pixels[..., ::-1]), settings)
                back = opened(data)
                kept = laplacian_variance(back) / sharp if sharp >= 1 else 1.0
                rows[n].append((psnr(back, pixels), chroma_psnr(back, pixels), ssim(back, pixels), kept, len(data)))
        for n, settings in enumerate(EXPORTS):
            medians = [median(column) for column in zip(*rows[n], strict=True)]
            figures.add(
                f"file formats at {SIDE} pixels: {kind}",
                format=settings.format,
                quality="lossless" if settings.format == "png" else str(settings.quality),
                chroma="444" if settings.format == "png" else str(settings.chroma),
                pictures=len(rows[n]),
                psnr=medians[0],
                psnr_of_chroma=medians[1],
                ssim=medians[2],
                sharpness=medians[3],
                kilobytes=medians[4] / 1000,
            )
        by = {
            (s.format, s.quality, s.chroma): [median(c) for c in zip(*rows[n], strict=True)]
            for n, s in enumerate(EXPORTS)
        }
        assert by["jpeg", 95, 444][1] > by["jpeg", 95, 420][1], "full chroma keeps more of the colours"
        assert by["png", 95, 420][2] == pytest.approx(1.0)
        assert by["jpeg", 95, 444][3] == pytest.approx(1.0, abs=0.05)


def _bounded(photograph: Photograph) -> Pixels:
    image = photograph.image()
    image.thumbnail((MOST, MOST), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _exported(pixels: Pixels) -> Pixels:
    """The photograph at the size of a release."""
    high, wide = pixels.shape[:2]
    scale = min(1.0, SIDE / min(high, wide))
    return _rgb(
        shrunk(np.ascontiguousarray(pixels[..., ::-1]), max(1, round(wide * scale)), max(1, round(high * scale)))
    )


def _rgb(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[..., ::-1])
