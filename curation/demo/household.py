"""Things of house and table, as drawings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from curation.demo.shapes import (
    CREAM,
    FLAME,
    INK,
    PALE,
    WOOD,
    Drawing,
    Fill,
    Line,
    Points,
    circle,
    ellipse,
    polygon,
    rectangle,
    smooth,
    turned,
)


def _canopy() -> Points:
    rim = [ellipse(x, 0.02, 0.225, 0.13, 0, -180) for x in (0.675, 0.225, -0.225, -0.675)]
    return np.concatenate([ellipse(0, 0.02, 0.9, 0.86, 180, 360), *rim])


def _house() -> Drawing:
    return (
        Fill(rectangle(0.38, -0.85, 0.58, -0.3), "dark"),
        Fill(rectangle(-0.72, -0.12, 0.72, 0.92), "main"),
        Fill(polygon((-0.96, -0.1), (0, -0.95), (0.96, -0.1)), "dark"),
        Fill(rectangle(-0.16, 0.36, 0.18, 0.92), WOOD),
        *(Fill(rectangle(x, 0.1, x + 0.3, 0.4), PALE) for x in (-0.56, 0.28)),
        *(Line(polygon((x, 0.1), (x, 0.4)), 0.035, INK) for x in (-0.41, 0.43)),
    )


def _chair() -> Drawing:
    return (
        *(Line(polygon((x, 0.2), (x * 1.06, 0.92)), 0.14, "dark") for x in (-0.36, 0.36)),
        *(Line(polygon((x, 0.15), (x, 0.66)), 0.1, "dark") for x in (-0.2, 0.2)),
        *(Line(polygon((x, -0.9), (x, 0.1)), 0.14, "main") for x in (-0.42, 0.42)),
        *(Line(polygon((-0.42, y), (0.42, y)), 0.16, "main") for y in (-0.82, -0.46)),
        Fill(polygon((-0.46, 0.0), (0.46, 0.0), (0.6, 0.28), (-0.6, 0.28)), "main"),
        Line(polygon((-0.54, 0.28), (0.54, 0.28)), 0.1, "dark"),
    )


def _clock() -> Drawing:
    return (
        *(Line(polygon((x * 0.6, 0.6), (x, 0.92)), 0.15, "dark") for x in (-0.7, 0.7)),
        *(Fill(turned(ellipse(0, -0.86, 0.3, 0.2), a), "main") for a in (-38, 38)),
        Fill(circle(0, 0.1, 0.76), "main"),
        Fill(circle(0, 0.1, 0.52), CREAM),
        *(Fill(turned(circle(0, -0.31, 0.045), a, (0.0, 0.1)), INK) for a in range(0, 360, 90)),
        Line(polygon((0, 0.1), (0, -0.22)), 0.07, INK),
        Line(polygon((0, 0.1), (0.22, 0.22)), 0.07, INK),
    )


def _umbrella() -> Drawing:
    return (
        Line(polygon((0, -0.97), (0, 0.7)), 0.08, WOOD),
        Line(ellipse(0.16, 0.7, 0.16, 0.2, 0, 180), 0.09, WOOD),
        Fill(_canopy(), "main"),
        Fill(
            np.concatenate(
                [
                    ellipse(0, 0.02, 0.45, 0.86, 180, 360),
                    ellipse(0.225, 0.02, 0.225, 0.13, 0, -180),
                    ellipse(-0.225, 0.02, 0.225, 0.13, 0, -180),
                ]
            ),
            "light",
        ),
        Line(polygon((0, -0.84), (0, -0.12)), 0.035, "dark"),
    )


def _crown() -> Drawing:
    rim = polygon((-0.85, 0.6), (-0.95, -0.4), (-0.46, 0.05), (0, -0.72), (0.46, 0.05), (0.95, -0.4), (0.85, 0.6))
    return (
        Fill(rim, "main"),
        Fill(rectangle(-0.85, 0.42, 0.85, 0.72, 0.06), "dark"),
        *(Fill(circle(x, y, 0.11), "light") for x, y in ((-0.92, -0.46), (0, -0.78), (0.92, -0.46))),
        *(Fill(circle(x, 0.57, 0.08), "light") for x in (-0.5, 0.0, 0.5)),
    )


HOUSEHOLD: Mapping[str, Drawing] = {
    "bell": (
        Fill(circle(0, 0.74, 0.18), INK),
        Line(circle(0, -0.8, 0.13), 0.09, "dark", True),
        Fill(
            smooth(
                (0, -0.76), (0.4, -0.5), (0.5, 0.1), (0.82, 0.58), (0, 0.64), (-0.82, 0.58), (-0.5, 0.1), (-0.4, -0.5)
            ),
            "main",
        ),
        Fill(rectangle(-0.88, 0.48, 0.88, 0.68, 0.09), "dark"),
        Fill(ellipse(-0.22, -0.2, 0.07, 0.28), "light"),
    ),
    "book": (
        Fill(polygon((-0.62, -0.78), (0.5, -0.9), (0.78, 0.66), (-0.34, 0.86)), CREAM),
        Fill(polygon((-0.74, -0.74), (0.44, -0.92), (0.66, 0.52), (-0.5, 0.72)), "main"),
        Fill(polygon((-0.74, -0.74), (-0.58, -0.765), (-0.34, 0.69), (-0.5, 0.72)), "dark"),
        Fill(polygon((-0.36, -0.5), (0.28, -0.6), (0.32, -0.36), (-0.32, -0.26)), "light"),
        Line(polygon((-0.5, 0.72), (-0.34, 0.9), (0.8, 0.7), (0.66, 0.52)), 0.08, "dark"),
    ),
    "bottle": (
        Fill(
            smooth(
                (-0.13, -0.72),
                (-0.13, -0.4),
                (-0.36, -0.1),
                (-0.38, 0.4),
                (-0.36, 0.92),
                (0.36, 0.92),
                (0.38, 0.4),
                (0.36, -0.1),
                (0.13, -0.4),
                (0.13, -0.72),
            ),
            "main",
        ),
        Fill(rectangle(-0.19, -0.97, 0.19, -0.68, 0.05), "dark"),
        Fill(rectangle(-0.38, 0.12, 0.38, 0.56), CREAM),
        Line(polygon((-0.2, 0.34), (0.2, 0.34)), 0.07, "dark"),
    ),
    "candle": (
        Fill(ellipse(0, 0.82, 0.66, 0.16), "dark"),
        Fill(rectangle(-0.27, -0.3, 0.27, 0.84, 0.06), "main"),
        Fill(
            smooth(
                (-0.27, -0.28), (0.27, -0.28), (0.24, 0.0), (0.12, 0.12), (0.02, -0.05), (-0.12, 0.2), (-0.24, 0.05)
            ),
            "light",
        ),
        Line(polygon((0, -0.3), (0, -0.5)), 0.06, INK),
        Fill(smooth((0, -0.97), (0.17, -0.62), (0, -0.4), (-0.17, -0.62)), FLAME),
        Fill(smooth((0, -0.72), (0.08, -0.56), (0, -0.44), (-0.08, -0.56)), (255, 232, 120)),
    ),
    "chair": _chair(),
    "clock": _clock(),
    "crown": _crown(),
    "cup": (
        Line(ellipse(0.52, 0.06, 0.34, 0.32, -90, 90), 0.15, "main"),
        Fill(smooth((-0.7, -0.42), (-0.66, 0.2), (-0.46, 0.66), (0.3, 0.66), (0.5, 0.2), (0.54, -0.42)), "main"),
        Fill(ellipse(-0.08, -0.42, 0.62, 0.16), "dark"),
        Fill(ellipse(-0.08, -0.4, 0.5, 0.1), (92, 58, 40)),
        Fill(ellipse(-0.08, 0.76, 0.86, 0.13), "light"),
    ),
    "envelope": (
        Fill(rectangle(-0.95, -0.62, 0.95, 0.62, 0.05), "main"),
        Fill(polygon((-0.92, 0.6), (-0.2, -0.02), (0.2, -0.02), (0.92, 0.6)), "light"),
        Fill(polygon((-0.92, -0.6), (0.92, -0.6), (0, 0.14)), "dark"),
        Fill(circle(0, 0.12, 0.13), CREAM),
    ),
    "hat": (
        Fill(ellipse(0, 0.58, 0.96, 0.22), "main"),
        Fill(polygon((-0.5, 0.56), (-0.58, -0.72), (0.58, -0.72), (0.5, 0.56)), "main"),
        Fill(ellipse(0, -0.72, 0.58, 0.13), "light"),
        Fill(polygon((-0.515, 0.3), (0.515, 0.3), (0.5, 0.58), (-0.5, 0.58)), "dark"),
    ),
    "house": _house(),
    "key": (
        Line(circle(-0.52, 0, 0.32), 0.2, "main", True),
        Line(polygon((-0.22, 0), (0.9, 0)), 0.18, "main"),
        Fill(rectangle(0.46, 0.0, 0.62, 0.38), "main"),
        Fill(rectangle(0.74, 0.0, 0.94, 0.46), "main"),
        Line(polygon((-0.16, -0.03), (0.86, -0.03)), 0.04, "light"),
    ),
    "ladder": (
        *(Line(polygon((-0.34, y), (0.34, y)), 0.12, "dark") for y in (-0.68, -0.34, 0.0, 0.34, 0.68)),
        *(Line(polygon((x * 0.9, -0.92), (x, 0.92)), 0.14, "main") for x in (-0.4, 0.4)),
    ),
    "lamp": (
        Line(polygon((0, 0.0), (0, 0.8)), 0.13, "dark"),
        Fill(ellipse(0, 0.84, 0.46, 0.13), "dark"),
        Fill(polygon((-0.34, -0.9), (0.34, -0.9), (0.76, 0.14), (-0.76, 0.14)), "main"),
        Fill(polygon((-0.24, -0.86), (-0.06, -0.86), (-0.2, 0.1), (-0.52, 0.1)), "light"),
        Line(polygon((0.34, 0.16), (0.34, 0.44)), 0.04, INK),
        Fill(circle(0.34, 0.48, 0.06), INK),
    ),
    "umbrella": _umbrella(),
}
