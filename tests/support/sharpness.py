"""How sharp a reduced picture is beside Pillow's Lanczos filter, and how near to it: what resizing is judged by."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

FACTORS = (1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 5.0, 7.3, 8.0, 12.0, 16.0)
LEAST_SIDE = 32
"""Pixels of the shorter side of a reduced picture below which its sharpness says nothing."""


class Judged(NamedTuple):
    """``sharpness`` is the Laplacian variance as a share of Lanczos's; errors are mean squares to Lanczos."""

    sharpness: float
    error: float
    area_error: float

    @property
    def nearer(self) -> bool:
        """Whether it is nearer to Lanczos than area averaging is."""
        return self.error < self.area_error


def size_at(width: int, height: int, factor: float) -> tuple[int, int]:
    return round(width / factor), round(height / factor)


def lanczos(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Pillow's own; the pixels are the full decode."""
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def judge(result: Pixels, full: Pixels, reference: Pixels) -> Judged | None:
    """None for a picture without any detail. All pixels are RGB; ``reference`` is ``lanczos`` of ``full``."""
    sharp = laplacian_variance(reference)
    if sharp < 1.0:
        return None
    size = reference.shape[1], reference.shape[0]
    area = cv2.resize(full, size, interpolation=cv2.INTER_AREA)
    return Judged(laplacian_variance(result) / sharp, error(result, reference), error(area, reference))


def laplacian_variance(pixels: Pixels) -> float:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1].var())


def error(one: Pixels, other: Pixels) -> float:
    """Mean squared difference in levels."""
    return float(np.mean((one.astype(np.float32) - other.astype(np.float32)) ** 2))


def psnr(one: Pixels, other: Pixels) -> float:
    """Decibels, of all channels."""
    return float(10 * np.log10(255**2 / max(error(one, other), 1e-6)))


def ssim(one: Pixels, other: Pixels) -> float:
    """Structural similarity of luma (Wang et al. 2004: Gaussian window of 11 pixels, sigma 1.5)."""
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (one, other))

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5))

    low, high = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    similar = ((2 * ma * mb + low) * (2 * both + high)) / ((ma * ma + mb * mb + low) * (va + vb + high))
    return float(similar.mean())


def chroma_psnr(one: Pixels, other: Pixels) -> float:
    """Decibels, of Cb and Cr alone."""
    return psnr(*(cv2.cvtColor(p, cv2.COLOR_RGB2YCrCb)[..., 1:] for p in (one, other)))


def opened(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def encoded(pixels: Pixels, kind: str, options: Mapping[str, object]) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind, **options)
    return sink.getvalue()
