"""Makes near duplicates of a picture by named transformations, as copies on the web have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.demo.render import encode

Image = NDArray[np.uint8]
QUALITY = 90


def _resized(pixels: Image, factor: float) -> Image:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    out: Image = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=method)
    return out


def _cropped(pixels: Image, share: float) -> Image:
    """Takes ``share`` of the width and of the height away, evenly on both sides."""
    h, w = pixels.shape[:2]
    dy, dx = round(h * share / 2), round(w * share / 2)
    return np.ascontiguousarray(pixels[dy : h - dy, dx : w - dx])


def _watermarked(pixels: Image) -> Image:
    h, w = pixels.shape[:2]
    layer = pixels.copy()
    scale = w / 420
    cv2.putText(
        layer,
        "SAMPLE",
        (round(w * 0.6), round(h * 0.95)),
        cv2.FONT_HERSHEY_DUPLEX,
        scale,
        (255, 255, 255),
        2,
        cv2.LINE_AA,
    )
    out: Image = cv2.addWeighted(layer, 0.55, pixels, 0.45, 0)
    return out


def _bordered(pixels: Image) -> Image:
    side = max(2, round(min(pixels.shape[:2]) * 0.03))
    out: Image = cv2.copyMakeBorder(pixels, side, side, side, side, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    return out


def _grey(pixels: Image) -> Image:
    out: Image = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return out


def _brighter(pixels: Image) -> Image:
    out: Image = cv2.convertScaleAbs(pixels, alpha=1.12, beta=12)
    return out


TRANSFORMATIONS: Mapping[str, Callable[[Image], bytes]] = {
    "re-encoded at 30": lambda p: encode(p, 30),
    "resized to half": lambda p: encode(_resized(p, 0.5), QUALITY),
    "resized to double": lambda p: encode(_resized(p, 2.0), QUALITY),
    "cropped by 5 %": lambda p: encode(_cropped(p, 0.05), QUALITY),
    "cropped by 15 %": lambda p: encode(_cropped(p, 0.15), QUALITY),
    "watermarked": lambda p: encode(_watermarked(p), QUALITY),
    "bordered": lambda p: encode(_bordered(p), QUALITY),
    "grey": lambda p: encode(_grey(p), QUALITY),
    "brighter": lambda p: encode(_brighter(p), QUALITY),
    "mirrored": lambda p: encode(np.ascontiguousarray(p[:, ::-1]), QUALITY),
    "turned by 90°": lambda p: encode(np.ascontiguousarray(np.rot90(p)), QUALITY),
}


def transformed(pixels: Image, name: str) -> bytes:
    """RGB pixels after the named transformation, as a JPEG file. Raises ``KeyError`` for an unknown name."""
    return TRANSFORMATIONS[name](pixels)
