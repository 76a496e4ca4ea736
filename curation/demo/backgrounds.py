"""Paints the backgrounds: each on an RGB canvas of any size, from its own random stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from curation.demo.shapes import Rgb
from curation.demo.truth import Rng, Setting, generator
from curation.demo.vocabulary import TONES

Image = NDArray[np.uint8]


def background(setting: Setting, width: int, height: int) -> Image:
    """Paints the setting; returns an RGB canvas (height, width, 3)."""
    rng = generator(setting.seed)
    tones = [TONES[t] for t in setting.tones]
    match setting.kind:
        case "plain":
            return _blend(width, height, _shade(tones[0], 1.03), _shade(tones[0], 0.95), rng.uniform(0, 360))
        case "gradient":
            return _blend(width, height, tones[0], tones[1], 90.0 * int(rng.integers(4)) + rng.uniform(-25, 25))
        case kind:
            return _PAINTERS[kind](width, height, rng)


def _shade(colour: Rgb, factor: float) -> Rgb:
    return tuple(min(255, max(0, round(c * factor))) for c in colour)  # type: ignore[return-value]


def _mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def _blend(width: int, height: int, first: Rgb, second: Rgb, degrees: float) -> Image:
    """A linear gradient, interpolated from a small one."""
    angle = math.radians(degrees)
    y, x = np.mgrid[-1:1:9j, -1:1:9j]
    along = np.clip((x * math.cos(angle) + y * math.sin(angle)) / 1.2 / 2 + 0.5, 0, 1)[..., None]
    small = np.array(first) * (1 - along) + np.array(second) * along
    wide: Image = cv2.resize(small.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return wide


def _down(canvas: Image, y0: int, y1: int, top: Rgb, bottom: Rgb) -> None:
    """Fills rows [y0, y1) with a vertical gradient."""
    rows = np.linspace(top, bottom, max(1, y1 - y0)).astype(np.uint8)
    canvas[y0:y1] = rows[: max(0, y1 - y0), None]


def _wave(rng: Rng, width: int, base: float, height: float, waves: float) -> NDArray[np.float64]:
    x = np.linspace(0, 1, 48)
    phase, other = rng.uniform(0, 2 * math.pi, 2)
    y = base + height * (np.sin(2 * math.pi * waves * x + phase) + 0.5 * np.sin(4.7 * math.pi * waves * x + other))
    return np.stack([x * width, y], axis=1)


def _below(canvas: Image, line: NDArray[np.float64], colour: Rgb) -> None:
    h, w = canvas.shape[:2]
    corners = np.array([(w, h), (0, h)], dtype=np.float64)
    cv2.fillPoly(canvas, [np.round(np.concatenate([line, corners]) * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _empty(width: int, height: int) -> Image:
    return np.empty((height, width, 3), np.uint8)


def _grain(canvas: Image, rng: Rng, y0: int, strength: float, stretch: tuple[int, int]) -> None:
    """Rough texture from row ``y0`` down; ``stretch`` is the size of a grain (x, y) in pixels."""
    h, w = canvas.shape[:2]
    rows, cols = max(2, (h - y0) // stretch[1]), max(2, w // stretch[0])
    small = rng.integers(0, 256, (rows, cols), dtype=np.uint8)
    rough = cv2.resize(small, (w, h - y0), interpolation=cv2.INTER_LINEAR)
    rough = cv2.cvtColor(rough, cv2.COLOR_GRAY2RGB)
    canvas[y0:] = cv2.addWeighted(canvas[y0:], 1.0, rough, strength, -127 * strength)


def _strokes(canvas: Image, rng: Rng, count: int, y0: int, lean: float, length: float, colours: list[Rgb]) -> None:
    h, w = canvas.shape[:2]
    x, y = rng.integers(0, w, count), rng.integers(y0, h, count)
    # Nearer ones are longer, which gives the ground its depth.
    size = length * h * (0.4 + 0.8 * (y - y0) / max(1, h - y0))
    tip = x + rng.uniform(-lean, lean, count) * size
    lines = np.stack([np.stack([x, y], 1), np.stack([tip, y - size], 1)], axis=1).astype(np.int32)
    for i, colour in enumerate(colours):
        cv2.polylines(canvas, list(lines[i :: len(colours)]), False, colour, 1, cv2.LINE_AA)


def _meadow(width: int, height: int, rng: Rng) -> Image:
    canvas = _empty(width, height)
    horizon = round(height * rng.uniform(0.28, 0.5))
    _down(canvas, 0, horizon, (158, 204, 240), (222, 238, 246))
    _down(canvas, horizon, height, (146, 196, 96), (86, 150, 62))
    _below(canvas, _wave(rng, width, horizon, height * 0.03, rng.uniform(0.5, 1.4)), (140, 188, 92))
    _below(canvas, _wave(rng, width, horizon + height * 0.16, height * 0.03, rng.uniform(0.4, 1)), (116, 174, 78))
    _below(canvas, _wave(rng, width, horizon + height * 0.34, height * 0.03, rng.uniform(0.4, 1)), (96, 158, 66))
    _strokes(canvas, rng, 220, horizon + 8, 0.35, 0.035, [(74, 136, 54), (158, 204, 104)])
    return canvas


def _beach(width: int, height: int, rng: Rng) -> Image:
    canvas = _empty(width, height)
    horizon = round(height * rng.uniform(0.16, 0.32))
    shore = horizon + height * rng.uniform(0.12, 0.24)
    _down(canvas, 0, horizon, (140, 200, 240), (226, 240, 246))
    _down(canvas, horizon, height, (40, 140, 190), (96, 200, 206))
    line = _wave(rng, width, shore, height * 0.015, rng.uniform(1, 2.2))
    _below(canvas, line - np.array((0, height * 0.02)), (238, 248, 248))
    _below(canvas, line, (214, 190, 140))
    _below(canvas, line + np.array((0, height * 0.05)), (240, 220, 168))
    _grain(canvas, rng, round(shore + height * 0.08), 0.1, (3, 2))
    return canvas


def _night(width: int, height: int, rng: Rng) -> Image:
    canvas = _blend(width, height, (16, 22, 62), (52, 58, 128), rng.uniform(40, 140))
    count = 130
    xs, ys = rng.integers(1, width - 1, count), rng.integers(1, height - 1, count)
    glow = rng.integers(120, 255, count)
    for dx, dy, share in ((0, 0, 1.0), (1, 0, 0.5), (0, 1, 0.5)):
        canvas[ys[:: 1 + dx + dy] + dy, xs[:: 1 + dx + dy] + dx] = (glow[:: 1 + dx + dy] * share)[:, None]
    return canvas


def _bricks(width: int, height: int, rng: Rng) -> Image:
    canvas = _empty(width, height)
    canvas[:] = (206, 196, 184)
    tall = round(min(width, height) * rng.uniform(0.06, 0.11))
    wide = round(tall * rng.uniform(2.0, 2.8))
    base = (178, 96, 76) if rng.random() < 0.6 else (160, 104, 92)
    offset = int(rng.integers(wide))
    for row, y in enumerate(range(-int(rng.integers(tall)), height, tall)):
        for x in range(-offset - (row % 2) * wide // 2, width, wide):
            colour = _shade(base, float(rng.uniform(0.86, 1.14)))
            cv2.rectangle(canvas, (x + 1, y + 1), (x + wide - 3, y + tall - 3), colour, -1)
    _grain(canvas, rng, 0, 0.08, (3, 3))
    return canvas


def _wood(width: int, height: int, rng: Rng) -> Image:
    canvas = _empty(width, height)
    base = _mix((196, 148, 98), (168, 116, 72), float(rng.random()))
    upright = rng.random() < 0.4
    across = width if upright else height
    plank = round(across / rng.integers(4, 8))
    for start in range(-int(rng.integers(plank)), across, plank):
        colour = _shade(base, float(rng.uniform(0.88, 1.1)))
        low, high = max(0, start), min(across, start + plank)
        view = canvas[:, low:high] if upright else canvas[low:high]
        view[:] = colour
        edge = canvas[:, low : low + 2] if upright else canvas[low : low + 2]
        edge[:] = _shade(colour, 0.6)
    _grain(canvas, rng, 0, 0.16, (2, 60) if upright else (60, 2))
    return canvas


def _snow(width: int, height: int, rng: Rng) -> Image:
    canvas = _empty(width, height)
    horizon = round(height * rng.uniform(0.26, 0.46))
    _down(canvas, 0, horizon + 20, (150, 184, 222), (210, 224, 240))
    _down(canvas, min(height, horizon + 20), height, (232, 238, 246), (206, 218, 234))
    for i, shade in enumerate(((226, 234, 244), (214, 226, 240), (232, 238, 248))):
        base = horizon + height * 0.17 * i
        _below(canvas, _wave(rng, width, base, height * 0.035, rng.uniform(0.5, 1.3)), shade)
    xs, ys = rng.integers(0, width, 60), rng.integers(0, height, 60)
    canvas[ys, xs] = 255
    return canvas


def _room(width: int, height: int, rng: Rng) -> Image:
    canvas = _empty(width, height)
    floor = round(height * rng.uniform(0.58, 0.78))
    wall = list(TONES.values())[int(rng.integers(len(TONES)))]
    _down(canvas, 0, floor, wall, _shade(wall, 0.93))
    stripe = max(8, round(width * rng.uniform(0.03, 0.09)))
    for x in range(-int(rng.integers(stripe)), width, stripe * 2):
        canvas[:floor, max(0, x) : max(0, x + stripe)] = _shade(wall, 0.94)
    _down(canvas, floor, height, (170, 128, 92), (196, 150, 108))
    canvas[floor : floor + max(3, height // 50)] = (246, 244, 238)
    return canvas


def _sea(width: int, height: int, rng: Rng) -> Image:
    canvas = _empty(width, height)
    horizon = round(height * rng.uniform(0.14, 0.34))
    _down(canvas, 0, horizon, (178, 214, 240), (240, 236, 222))
    _down(canvas, horizon, height, (62, 136, 180), (24, 84, 140))
    step = height * rng.uniform(0.05, 0.08)
    y = horizon + step * 0.6
    while y < height:
        depth = (y - horizon) / (height - horizon)
        line = _wave(rng, width, y, height * (0.004 + 0.008 * depth), rng.uniform(3, 6))
        cv2.polylines(canvas, [line.astype(np.int32)], False, (112, 178, 210), 1 + round(2 * depth), cv2.LINE_AA)
        y += step * (0.5 + depth)
    return canvas


def _desert(width: int, height: int, rng: Rng) -> Image:
    canvas = _empty(width, height)
    horizon = round(height * rng.uniform(0.24, 0.44))
    _down(canvas, 0, height, (222, 226, 222), (244, 220, 178))
    for i, sand in enumerate(((222, 184, 134), (212, 168, 114), (228, 188, 134))):
        base = horizon + height * 0.18 * i
        _below(canvas, _wave(rng, width, base, height * 0.05, rng.uniform(0.4, 0.9)), sand)
    _grain(canvas, rng, horizon, 0.06, (14, 2))
    return canvas


def _forest(width: int, height: int, rng: Rng) -> Image:
    canvas = _empty(width, height)
    _down(canvas, 0, height, (150, 176, 158), (60, 92, 66))
    for layer, colour in enumerate(((124, 150, 134), (94, 120, 104), (62, 84, 70))):
        for x in rng.uniform(0, width, int(rng.integers(4, 8))):
            half = width * (0.008 + 0.008 * layer)
            foot = round(height * (0.66 + 0.14 * layer))
            cv2.rectangle(canvas, (round(x - half), 0), (round(x + half), foot), colour, -1)
        ground = _wave(rng, width, height * (0.66 + 0.13 * layer), height * 0.02, rng.uniform(0.6, 1.6))
        _below(canvas, ground, _mix(colour, (70, 110, 70), 0.6))
    _strokes(canvas, rng, 120, round(height * 0.7), 0.5, 0.04, [(54, 92, 58), (92, 132, 88)])
    return canvas


_PAINTERS: Mapping[str, Callable[[int, int, Rng], Image]] = {
    "meadow": _meadow,
    "beach": _beach,
    "night sky": _night,
    "brick wall": _bricks,
    "wooden table": _wood,
    "snow": _snow,
    "room": _room,
    "sea": _sea,
    "desert": _desert,
    "forest": _forest,
}
