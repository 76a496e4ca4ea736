"""Copies of photographs as the web makes them, and pictures with nearly the same hashes that are not the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curation.demo.render import encode
from tests.support.photographs import Photograph

Pixels = NDArray[np.uint8]
QUALITY = 90
SIDE = 768  # pixels of the shorter side to which large photographs are reduced first


def shown(photograph: Photograph) -> Pixels:
    """Its pixels, no larger than most pictures of the web."""
    image = photograph.image()
    factor = min(1.0, SIDE / min(image.size))
    size = (round(image.width * factor), round(image.height * factor))
    return np.asarray(image if factor == 1.0 else image.resize(size, Image.Resampling.LANCZOS))


def marked(pixels: Pixels, text: str, at: tuple[float, float], size: float, alpha: float, level: int = 255) -> Pixels:
    """With a line of text over it; ``at`` is the middle of the text in parts of the picture, ``alpha`` 1 is opaque."""
    height, width = pixels.shape[:2]
    scale, thick = size * width / 420, max(1, round(width / 256))
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thick)
    place = (round(at[0] * width - wide / 2), round(at[1] * height + high / 2))
    mask = np.zeros((height, width), np.uint8)
    cv2.putText(mask, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, 255, thick, cv2.LINE_AA)
    share = (mask / 255 * alpha)[:, :, None]
    return np.clip(np.round(pixels * (1 - share) + level * share), 0, 255).astype(np.uint8)


def tiled(pixels: Pixels) -> Pixels:
    for down in (0.2, 0.5, 0.8):
        for across in (0.2, 0.5, 0.8):
            pixels = marked(pixels, "stock", (across, down), 0.5, 0.35)
    return pixels


def changed(pixels: Pixels, levels: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Pixels:
    table = np.clip(np.round(levels(np.arange(256.0))), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, table), np.uint8)


def part(pixels: Pixels, share: float, across: float, down: float) -> Pixels:
    """Without ``share`` of width and height; ``across`` and ``down`` say how far right and down it lies (0 to 1)."""
    height, width = pixels.shape[:2]
    high, wide = round(height * (1 - share)), round(width * (1 - share))
    top, left = round((height - high) * down), round((width - wide) * across)
    return np.ascontiguousarray(pixels[top : top + high, left : left + wide])


def resized(pixels: Pixels, factor: float) -> Pixels:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=method), np.uint8)


def grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


WATERMARKS: Mapping[str, Callable[[Pixels], Pixels]] = {
    "watermark at the lower right": lambda p: marked(p, "SAMPLE", (0.78, 0.93), 1.0, 0.55),
    "watermark across the middle": lambda p: marked(p, "SAMPLE", (0.5, 0.5), 2.0, 0.4),
    "watermark in nine places": tiled,
}
# What the default recipe is meant to find.
MEANT: Mapping[str, Callable[[Pixels], bytes]] = {
    "re-encoded at quality 30": lambda p: encode(p, 30),
    "resized to half": lambda p: encode(resized(p, 0.5), QUALITY),
    "resized to double": lambda p: encode(resized(p, 2.0), QUALITY),
    "grey": lambda p: encode(grey(p), QUALITY),
    "brighter (x 1.12 + 12)": lambda p: encode(changed(p, lambda x: 1.12 * x + 12), QUALITY),
    "darker (x 0.8)": lambda p: encode(changed(p, lambda x: 0.8 * x), QUALITY),
    **{name: (lambda p, mark=mark: encode(mark(p), QUALITY)) for name, mark in WATERMARKS.items()},  # type: ignore[misc]
}
CENTRED: Mapping[str, Callable[[Pixels], bytes]] = {
    "cropped by 5 %, centred": lambda p: encode(part(p, 0.05, 0.5, 0.5), QUALITY)
}
# What is measured too, without a goal.
BESIDES: Mapping[str, Callable[[Pixels], bytes]] = {
    "grey and brighter": lambda p: encode(changed(grey(p), lambda x: 1.12 * x + 12), QUALITY),
    "black text, 80 % opaque": lambda p: encode(marked(p, "Photo by J. Doe", (0.7, 0.94), 0.8, 0.8, 0), QUALITY),
    "white text, opaque": lambda p: encode(marked(p, "(c) example.com", (0.75, 0.95), 0.7, 1.0), QUALITY),
}
_CORNERS = {"upper left": (0.0, 0.0), "lower right": (1.0, 1.0)}
# What a recipe with crops and symmetries is meant to find.
CORNERS: Mapping[str, Callable[[Pixels], bytes]] = {
    f"cropped by {share} %, {corner}": (
        lambda p, share=share, place=place: encode(part(p, share / 100, *place), QUALITY)  # type: ignore[misc]
    )
    for share in (5, 10, 15)
    for corner, place in _CORNERS.items()
}
TURNED: Mapping[str, Callable[[Pixels], bytes]] = {
    "mirrored": lambda p: encode(np.ascontiguousarray(p[:, ::-1]), QUALITY),
    "mirrored and cropped by 8 %, upper left": lambda p: encode(
        part(np.ascontiguousarray(p[:, ::-1]), 0.08, 0.0, 0.0), QUALITY
    ),
}


def sky(number: int) -> Pixels:
    """A gradient of blues, most with soft clouds; each number another one."""
    random = np.random.default_rng(number)
    top = np.array([random.integers(20, 110), random.integers(80, 170), random.integers(150, 235)], float)
    bottom = top + np.array([random.integers(40, 130), random.integers(30, 90), random.integers(5, 60)])
    down = (np.linspace(0, 1, 400) ** random.uniform(0.6, 1.6))[:, None, None]
    pixels = (1 - down) * top + down * bottom + np.zeros((400, 600, 1))
    if number % 3:
        noise = random.normal(0, 1, tuple(random.integers(3, 9, 2)))
        clouds = cv2.resize(noise, (600, 400), interpolation=cv2.INTER_CUBIC)
        pixels += np.clip(clouds - 0.4, 0, 2)[:, :, None] * random.uniform(5, 30)
    return np.clip(pixels + random.normal(0, 1.5, (400, 600, 1)), 0, 255).astype(np.uint8)


def sand(number: int) -> Pixels:
    """Grains and low dunes."""
    random = np.random.default_rng(1000 + number)
    grains = cv2.GaussianBlur(random.normal(0, 12, (400, 600)), (0, 0), random.uniform(0.8, 2)) * 3
    dunes = cv2.resize(random.normal(0, 1, (4, 6)), (600, 400), interpolation=cv2.INTER_CUBIC) * random.uniform(2, 12)
    base = np.array([200.0, 170, 120]) + random.integers(-25, 25)
    return np.clip(base + (grains + dunes)[:, :, None], 0, 255).astype(np.uint8)


def flat(number: int) -> Pixels:
    random = np.random.default_rng(2000 + number)
    return np.full((400, 600, 3), random.integers(0, 256, 3), np.uint8)


def lookalikes(count: int) -> Iterator[tuple[str, Pixels]]:
    """Flat pictures, skies and sands, each as it is and under every watermark, with what tells them apart."""
    for kind in (flat, sky, sand):
        for number in range(count):
            pixels = kind(number)
            yield f"{kind.__name__} {number}", pixels
            for mark in WATERMARKS.values():
                yield f"{kind.__name__} {number}", mark(pixels)


def views(pixels: Pixels) -> Iterator[Pixels]:
    """Four views of one place that overlap by two thirds or less, as a camera takes that turns."""
    for across, down in ((0.0, 0.0), (0.5, 0.1), (1.0, 0.0), (0.3, 1.0)):
        yield part(pixels, 0.4, across, down)


def moved(pixels: Pixels, share: float) -> tuple[Pixels, Pixels]:
    """Two views of one size, the second ``share`` of the width to the right: frames of a camera that turns."""
    width = round(pixels.shape[1] / (1 + share))
    return np.ascontiguousarray(pixels[:, :width]), np.ascontiguousarray(pixels[:, -width:])


def halves(pixels: Pixels) -> Iterator[Pixels]:
    """The left and the right half of a picture, which is symmetric where it shows a building from the front."""
    middle = pixels.shape[1] // 2
    yield np.ascontiguousarray(pixels[:, :middle])
    yield np.ascontiguousarray(pixels[:, -middle:])
