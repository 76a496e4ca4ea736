"""Vector shapes: a drawing is a list of painted parts in a unit square, x right, y down, both in [-1, 1].

A paint is ``main`` (the object's colour), ``dark`` or ``light`` (its shades), or an RGB triple.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Rgb = tuple[int, int, int]
Paint = str | Rgb

INK: Rgb = (44, 40, 50)
PALE: Rgb = (214, 234, 246)
CREAM: Rgb = (250, 240, 214)
WOOD: Rgb = (136, 92, 58)
STEM: Rgb = (72, 140, 60)
FLAME: Rgb = (250, 160, 40)
STEEL: Rgb = (150, 156, 168)
_SHIFT = 4
_ARC_STEP = 0.16


@dataclass(frozen=True)
class Fill:
    """A filled polygon."""

    points: Points
    paint: Paint


@dataclass(frozen=True)
class Line:
    """A stroke with round joins; ``width`` in the drawing's units."""

    points: Points
    width: float
    paint: Paint
    closed: bool = False


Part = Fill | Line
Drawing = tuple[Part, ...]


def polygon(*points: tuple[float, float]) -> Points:
    return np.array(points, dtype=np.float64)


def ellipse(cx: float, cy: float, rx: float, ry: float, start: float = 0, end: float = 360) -> Points:
    """Points of an ellipse's arc, angles in degrees clockwise from the right."""
    count = max(8, round(abs(math.radians(end - start)) / _ARC_STEP))
    angle = np.radians(np.linspace(start, end, count + 1))
    return np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], axis=1)


def circle(cx: float, cy: float, r: float) -> Points:
    return ellipse(cx, cy, r, r)


def rectangle(x0: float, y0: float, x1: float, y1: float, r: float = 0.0) -> Points:
    """A rectangle; ``r`` rounds its corners."""
    if r <= 0:
        return polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    corners = [(x1 - r, y0 + r, -90), (x1 - r, y1 - r, 0), (x0 + r, y1 - r, 90), (x0 + r, y0 + r, 180)]
    return np.concatenate([ellipse(x, y, r, r, a, a + 90) for x, y, a in corners])


def smooth(*points: tuple[float, float], closed: bool = True) -> Points:
    """A Catmull-Rom curve through the points."""
    p = np.array(points, dtype=np.float64)
    around = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    t = np.linspace(0, 1, 8, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(around[:-3], around[1:-2], around[2:-1], around[3:], strict=True)
    ]
    if not closed:
        pieces.append(p[-1:])
    return np.concatenate(pieces)


def star(cx: float, cy: float, outer: float, inner: float, points: int = 5) -> Points:
    angle = np.radians(np.arange(2 * points) * 180 / points - 90)
    radius = np.where(np.arange(2 * points) % 2 == 0, outer, inner)
    return np.stack([cx + radius * np.cos(angle), cy + radius * np.sin(angle)], axis=1)


def turned(points: Points, degrees: float, about: tuple[float, float] = (0.0, 0.0)) -> Points:
    """The points turned clockwise about a point."""
    a = math.radians(degrees)
    turn = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
    around: Points = (points - about) @ turn + about
    return around


def bounds(drawing: Drawing) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of everything drawn, strokes' widths included."""
    grown = [(p.points, p.width / 2) if isinstance(p, Line) else (p.points, 0.0) for p in drawing]
    low = np.min([np.min(p, axis=0) - g for p, g in grown], axis=0)
    high = np.max([np.max(p, axis=0) + g for p, g in grown], axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


@dataclass(frozen=True)
class Placing:
    """Where a drawing goes: pixel of its origin, pixels a unit, clockwise turn, mirrored or not."""

    x: float
    y: float
    scale: float
    degrees: float = 0.0
    mirrored: bool = False

    def __call__(self, points: Points) -> NDArray[np.int32]:
        p = points * (-1.0, 1.0) if self.mirrored else points
        p = turned(p, self.degrees) if self.degrees else p
        placed = (p * self.scale + (self.x, self.y)) * (1 << _SHIFT)
        return np.round(placed).astype(np.int32)


def shades(main: Rgb) -> dict[str, Rgb]:
    """The object's colour with its shade and its highlight; black gets a visible highlight, white a grey shade."""
    dark = tuple(round(c * 0.72) for c in main)
    light = tuple(round(c + (255 - c) * 0.38) for c in main)
    return {"main": main, "dark": dark, "light": light}  # type: ignore[dict-item]  # triples stay triples


def draw(canvas: NDArray[np.uint8], drawing: Drawing, placing: Placing, main: Rgb, outline: Rgb) -> None:
    """Draws with a contour around the whole, so that an object stands out from any background."""
    paints = shades(main)
    rim = max(1.0, placing.scale * 0.035)
    placed = [placing(p.points) for p in drawing]
    for part, points in zip(drawing, placed, strict=True):
        if isinstance(part, Line):
            width = round(part.width * placing.scale + 2 * rim)
            cv2.polylines(canvas, [points], part.closed, outline, max(1, width), cv2.LINE_AA, _SHIFT)
        else:
            cv2.polylines(canvas, [points], True, outline, max(1, round(2 * rim)), cv2.LINE_AA, _SHIFT)
    for part, points in zip(drawing, placed, strict=True):
        colour = paints[part.paint] if isinstance(part.paint, str) else part.paint
        if isinstance(part, Line):
            width = max(1, round(part.width * placing.scale))
            cv2.polylines(canvas, [points], part.closed, colour, width, cv2.LINE_AA, _SHIFT)
        else:
            cv2.fillPoly(canvas, [points], colour, cv2.LINE_AA, _SHIFT)


def silhouette(drawing: Drawing, placing: Placing, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """A mask (1 inside) of what the drawing covers on a canvas of ``shape`` (height, width)."""
    mask = np.zeros(shape, np.uint8)
    for part in drawing:
        points = placing(part.points)
        if isinstance(part, Line):
            width = max(1, round(part.width * placing.scale))
            cv2.polylines(mask, [points], part.closed, 1, width, cv2.LINE_8, _SHIFT)
        else:
            cv2.fillPoly(mask, [points], 1, cv2.LINE_8, _SHIFT)
    return mask
