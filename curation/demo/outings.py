"""What rolls, floats, flies and plays, as drawings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from curation.demo.shapes import (
    CREAM,
    FLAME,
    INK,
    PALE,
    STEEL,
    WOOD,
    Drawing,
    Fill,
    Line,
    circle,
    ellipse,
    polygon,
    rectangle,
    smooth,
    turned,
)


def _spokes(cx: float, cy: float, r: float) -> list[Line]:
    ray = polygon((cx - r, cy), (cx + r, cy))
    return [Line(turned(ray, a, (cx, cy)), 0.025, STEEL) for a in (0, 60, 120)]


def _bicycle() -> Drawing:
    wheels = [Line(circle(x, 0.35, 0.4), 0.12, "main", True) for x in (-0.52, 0.52)]
    frame = polygon((-0.52, 0.35), (-0.2, -0.25), (0.34, -0.25), (0.02, 0.38), (-0.52, 0.35))
    return (
        *_spokes(-0.52, 0.35, 0.36),
        *_spokes(0.52, 0.35, 0.36),
        *wheels,
        Line(frame, 0.11, "main"),
        Line(polygon((0.02, 0.38), (-0.26, -0.42)), 0.1, "main"),
        Line(polygon((0.52, 0.35), (0.3, -0.5), (0.52, -0.58)), 0.1, "main"),
        Line(polygon((-0.42, -0.45), (-0.1, -0.45)), 0.14, INK),
        Fill(circle(0.02, 0.38, 0.1), INK),
    )


def _car() -> Drawing:
    cabin = polygon((-0.56, -0.1), (-0.36, -0.52), (0.24, -0.52), (0.54, -0.1))
    return (
        Fill(cabin, "main"),
        Fill(rectangle(-0.97, -0.14, 0.97, 0.32, 0.16), "main"),
        Fill(rectangle(-0.95, 0.16, 0.95, 0.32, 0.08), "dark"),
        Fill(polygon((-0.42, -0.12), (-0.28, -0.42), (-0.06, -0.42), (-0.06, -0.12)), PALE),
        Fill(polygon((0.04, -0.12), (0.04, -0.42), (0.2, -0.42), (0.4, -0.12)), PALE),
        Fill(ellipse(0.9, 0.02, 0.06, 0.08), FLAME),
        *(Fill(circle(x, 0.32, 0.23), INK) for x in (-0.53, 0.53)),
        *(Fill(circle(x, 0.32, 0.1), STEEL) for x in (-0.53, 0.53)),
    )


def _guitar() -> Drawing:
    body = smooth(
        (0, -0.12), (0.27, -0.1), (0.33, 0.12), (0.24, 0.3), (0.44, 0.52), (0.42, 0.82), (0, 0.97),
        (-0.42, 0.82), (-0.44, 0.52), (-0.24, 0.3), (-0.33, 0.12), (-0.27, -0.1),
    )  # fmt: skip
    return (
        Fill(body, "main"),
        Fill(rectangle(-0.08, -0.72, 0.08, 0.2), WOOD),
        Fill(polygon((-0.11, -0.7), (-0.15, -0.97), (0.15, -0.97), (0.11, -0.7)), INK),
        Fill(circle(0, 0.28, 0.16), INK),
        Fill(rectangle(-0.2, 0.66, 0.2, 0.74), WOOD),
        *(Line(polygon((x, -0.7), (x, 0.7)), 0.018, CREAM) for x in (-0.04, 0.04)),
    )


def _rocket() -> Drawing:
    return (
        Fill(polygon((-0.2, 0.5), (0, 0.98), (0.2, 0.5)), FLAME),
        Fill(polygon((-0.3, 0.05), (-0.62, 0.68), (-0.24, 0.5)), "dark"),
        Fill(polygon((0.3, 0.05), (0.62, 0.68), (0.24, 0.5)), "dark"),
        Fill(
            smooth((0, -0.97), (0.28, -0.5), (0.34, 0.05), (0.24, 0.56), (-0.24, 0.56), (-0.34, 0.05), (-0.28, -0.5)),
            "main",
        ),
        Fill(smooth((0, -0.97), (0.2, -0.66), (0.22, -0.56), (-0.22, -0.56), (-0.2, -0.66)), "dark"),
        Fill(circle(0, -0.18, 0.17), INK),
        Fill(circle(0, -0.18, 0.12), PALE),
    )


def _kite() -> Drawing:
    return (
        Line(smooth((0, 0.3), (0.1, 0.5), (-0.08, 0.7), (0.08, 0.95), closed=False), 0.05, INK),
        Fill(polygon((0, -0.97), (0.66, -0.36), (0, 0.42), (-0.66, -0.36)), "main"),
        Fill(polygon((0, -0.97), (0.66, -0.36), (0, -0.36)), "light"),
        Fill(polygon((-0.66, -0.36), (0, -0.36), (0, 0.42)), "dark"),
        *(
            Fill(polygon((-0.2, y - 0.09), (0.2, y + 0.09), (0.2, y - 0.09), (-0.2, y + 0.09)), "main")
            for y in (0.6, 0.86)
        ),
    )


OUTINGS: Mapping[str, Drawing] = {
    "ball": (
        Fill(circle(0, 0, 0.9), "main"),
        Fill(np.concatenate([ellipse(0, 0, 0.9, 0.9, 200, 160), ellipse(-0.0, 0, 0.45, 0.9, 90, 270)]), "light"),
        Line(ellipse(0, 0, 0.45, 0.9, -90, 90), 0.06, "dark"),
        Line(ellipse(0, 0, 0.45, 0.9, 90, 270), 0.06, "dark"),
        Line(ellipse(0, 0, 0.9, 0.28, 0, 180), 0.06, "dark"),
    ),
    "balloon": (
        Line(smooth((0, 0.5), (0.12, 0.65), (-0.1, 0.8), (0.04, 0.97), closed=False), 0.05, INK),
        Fill(
            smooth(
                (0, -0.97),
                (0.5, -0.72),
                (0.58, -0.2),
                (0.28, 0.3),
                (0, 0.46),
                (-0.28, 0.3),
                (-0.58, -0.2),
                (-0.5, -0.72),
            ),
            "main",
        ),
        Fill(polygon((0, 0.42), (0.13, 0.6), (-0.13, 0.6)), "dark"),
        Fill(turned(ellipse(-0.26, -0.54, 0.1, 0.2), 20, (-0.26, -0.54)), "light"),
    ),
    "bicycle": _bicycle(),
    "boat": (
        Line(polygon((0.0, -0.95), (0.0, 0.35)), 0.08, WOOD),
        Fill(polygon((0.08, -0.88), (0.08, 0.2), (0.78, 0.2)), "light"),
        Fill(polygon((-0.08, -0.7), (-0.08, 0.2), (-0.6, 0.2)), "light"),
        Fill(polygon((-0.95, 0.34), (0.95, 0.34), (0.66, 0.86), (-0.62, 0.86)), "main"),
        Fill(polygon((-0.95, 0.34), (0.95, 0.34), (0.88, 0.48), (-0.88, 0.48)), "dark"),
    ),
    "car": _car(),
    "guitar": _guitar(),
    "kite": _kite(),
    "rocket": _rocket(),
}
