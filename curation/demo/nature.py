"""Living things, plants and the sky, as drawings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from curation.demo.shapes import (
    CREAM,
    FLAME,
    INK,
    STEM,
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
    star,
    turned,
)


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x / 17.5, -(y + 2.5) / 16.5], axis=1)


def _crescent() -> Points:
    return np.concatenate([ellipse(0, 0, 0.92, 0.92, 50, 310), ellipse(0.42, 0, 0.72, 0.72, 282, 78)])


def _petals() -> list[Fill]:
    petal = ellipse(0, -0.76, 0.19, 0.27)
    return [Fill(turned(petal, a, (0.0, -0.38)), "main") for a in range(0, 360, 60)]


def _butterfly() -> Drawing:
    upper = smooth((0.04, -0.05), (0.3, -0.6), (0.78, -0.8), (0.93, -0.45), (0.7, -0.02), (0.3, 0.08))
    lower = smooth((0.04, 0.05), (0.4, 0.08), (0.72, 0.3), (0.62, 0.72), (0.3, 0.7), (0.1, 0.35))
    flip = (-1.0, 1.0)
    return (
        *(Fill(w, "main") for w in (upper, upper * flip)),
        *(Fill(w, "dark") for w in (lower, lower * flip)),
        *(Fill(circle(x, -0.42, 0.15), "light") for x in (-0.6, 0.6)),
        *(Fill(circle(x, 0.42, 0.1), "light") for x in (-0.42, 0.42)),
        Line(smooth((0, -0.35), (0.08, -0.65), (0.25, -0.85), closed=False), 0.05, INK),
        Line(smooth((0, -0.35), (-0.08, -0.65), (-0.25, -0.85), closed=False), 0.05, INK),
        Fill(ellipse(0, 0.1, 0.085, 0.5), INK),
    )


def _cat() -> Drawing:
    return (
        Line(smooth((0.35, 0.78), (0.78, 0.72), (0.85, 0.3), (0.68, 0.05), closed=False), 0.17, "main"),
        Fill(
            smooth((0, -0.2), (0.38, 0.1), (0.52, 0.65), (0.42, 0.92), (-0.42, 0.92), (-0.52, 0.65), (-0.38, 0.1)),
            "main",
        ),
        Fill(polygon((-0.48, -0.4), (-0.5, -0.97), (-0.08, -0.68)), "main"),
        Fill(polygon((0.48, -0.4), (0.5, -0.97), (0.08, -0.68)), "main"),
        Fill(ellipse(0, -0.35, 0.53, 0.43), "main"),
        Fill(polygon((-0.4, -0.62), (-0.42, -0.82), (-0.24, -0.7)), "light"),
        Fill(polygon((0.4, -0.62), (0.42, -0.82), (0.24, -0.7)), "light"),
        *(Fill(ellipse(x, -0.4, 0.11, 0.13), CREAM) for x in (-0.21, 0.21)),
        *(Fill(ellipse(x, -0.4, 0.05, 0.11), INK) for x in (-0.21, 0.21)),
        Fill(polygon((-0.07, -0.22), (0.07, -0.22), (0, -0.14)), (232, 130, 140)),
        Fill(ellipse(0, 0.5, 0.2, 0.33), "light"),
        Line(polygon((0, 0.6), (0, 0.9)), 0.04, "dark"),
    )


def _bird() -> Drawing:
    return (
        Line(polygon((-0.02, 0.5), (-0.02, 0.9), (0.14, 0.9)), 0.06, FLAME),
        Line(polygon((0.2, 0.5), (0.2, 0.9), (0.36, 0.9)), 0.06, FLAME),
        Fill(polygon((-0.5, 0.1), (-0.98, -0.2), (-0.9, 0.24), (-0.5, 0.42)), "dark"),
        Fill(smooth((-0.62, 0.1), (0, -0.12), (0.55, -0.1), (0.62, 0.25), (0.25, 0.62), (-0.25, 0.55)), "main"),
        Fill(circle(0.48, -0.38, 0.36), "main"),
        Fill(polygon((0.78, -0.5), (1.0, -0.32), (0.78, -0.2)), FLAME),
        Fill(smooth((-0.5, 0.08), (0.05, 0.0), (0.3, 0.16), (0.0, 0.42), (-0.3, 0.36)), "dark"),
        Fill(circle(0.56, -0.46, 0.1), CREAM),
        Fill(circle(0.58, -0.46, 0.055), INK),
    )


def _fish() -> Drawing:
    return (
        Fill(polygon((-0.5, 0), (-0.97, -0.5), (-0.84, 0), (-0.97, 0.5)), "dark"),
        Fill(smooth((-0.25, -0.36), (0.05, -0.72), (0.4, -0.38)), "dark"),
        Fill(smooth((-0.66, 0), (-0.2, -0.42), (0.4, -0.44), (0.95, 0.0), (0.4, 0.44), (-0.2, 0.42)), "main"),
        Line(ellipse(0.18, 0, 0.3, 0.38, -70, 70), 0.06, "dark"),
        Fill(smooth((-0.02, 0.08), (-0.36, 0.3), (-0.3, 0.02)), "light"),
        Fill(circle(0.62, -0.12, 0.12), CREAM),
        Fill(circle(0.64, -0.12, 0.065), INK),
    )


def _flower() -> Drawing:
    return (
        Line(smooth((0, -0.3), (0.03, 0.3), (-0.02, 0.95), closed=False), 0.1, STEM),
        Fill(smooth((0.0, 0.72), (0.25, 0.36), (0.58, 0.3), (0.4, 0.62)), STEM),
        Fill(smooth((0.0, 0.85), (-0.25, 0.52), (-0.56, 0.48), (-0.38, 0.78)), STEM),
        *_petals(),
        Fill(circle(0, -0.38, 0.19), (122, 82, 36)),
    )


def _tree() -> Drawing:
    return (
        Fill(polygon((-0.13, 0.1), (0.13, 0.1), (0.2, 0.96), (-0.2, 0.96)), WOOD),
        *(
            Fill(circle(x, y, r), "main")
            for x, y, r in ((-0.42, 0.0, 0.38), (0.42, 0.0, 0.38), (0, -0.5, 0.45), (0, -0.05, 0.4))
        ),
        *(Fill(circle(x, y, r), "dark") for x, y, r in ((0.4, 0.1, 0.15), (-0.3, 0.14, 0.13))),
        *(Fill(circle(x, y, r), "light") for x, y, r in ((-0.14, -0.6, 0.16), (-0.46, -0.12, 0.12))),
    )


NATURE: Mapping[str, Drawing] = {
    "apple": (
        Fill(
            smooth(
                (0, -0.42),
                (0.4, -0.58),
                (0.78, -0.2),
                (0.66, 0.5),
                (0.3, 0.9),
                (0, 0.8),
                (-0.3, 0.9),
                (-0.66, 0.5),
                (-0.78, -0.2),
                (-0.4, -0.58),
            ),
            "main",
        ),
        Line(smooth((0, -0.42), (0.02, -0.68), (0.12, -0.9), closed=False), 0.09, WOOD),
        Fill(smooth((0.1, -0.62), (0.32, -0.92), (0.66, -0.86), (0.42, -0.6)), STEM),
        Fill(turned(ellipse(-0.42, -0.12, 0.1, 0.2), 20, (-0.42, -0.12)), "light"),
    ),
    "bird": _bird(),
    "butterfly": _butterfly(),
    "cat": _cat(),
    "cloud": (
        *(
            Fill(circle(x, y, r), "main")
            for x, y, r in ((-0.58, 0.18, 0.36), (0.6, 0.2, 0.34), (-0.16, -0.16, 0.46), (0.34, -0.04, 0.38))
        ),
        Fill(rectangle(-0.6, 0.1, 0.6, 0.54, 0.2), "main"),
        Fill(ellipse(-0.26, -0.3, 0.16, 0.1), "light"),
    ),
    "fish": _fish(),
    "flower": _flower(),
    "leaf": (
        Line(polygon((-0.5, 0.56), (-0.9, 0.92)), 0.09, "dark"),
        Fill(
            smooth(
                (-0.55, 0.6),
                (-0.7, 0.0),
                (-0.3, -0.62),
                (0.4, -0.86),
                (0.92, -0.92),
                (0.86, -0.36),
                (0.62, 0.32),
                (0.0, 0.72),
            ),
            "main",
        ),
        Line(polygon((-0.55, 0.6), (0.68, -0.66)), 0.06, "dark"),
        *(
            Line(polygon((t, -t * 1.02 + 0.04), (t + dx, -t * 1.02 + dy)), 0.045, "dark")
            for t in (-0.22, 0.1, 0.4)
            for dx, dy in ((-0.06, -0.34), (0.36, 0.06))
        ),
    ),
    "moon": (
        Fill(_crescent(), "main"),
        *(Fill(circle(x, y, r), "dark") for x, y, r in ((-0.66, -0.12, 0.1), (-0.46, 0.4, 0.12), (-0.44, -0.46, 0.08))),
    ),
    "mushroom": (
        Fill(smooth((-0.24, 0.0), (-0.22, 0.5), (-0.34, 0.9), (0.34, 0.9), (0.22, 0.5), (0.24, 0.0)), CREAM),
        Fill(np.concatenate([ellipse(0, 0.1, 0.92, 0.96, 180, 360), ellipse(0, 0.1, 0.92, 0.14, 0, 180)]), "main"),
        *(
            Fill(ellipse(x, y, r, r * 0.85), CREAM)
            for x, y, r in ((-0.42, -0.28, 0.15), (0.12, -0.52, 0.16), (0.5, -0.14, 0.13), (-0.06, -0.08, 0.1))
        ),
    ),
    "star": (
        Fill(star(0, 0.06, 0.97, 0.42), "main"),
        Fill(star(0, 0.06, 0.5, 0.22), "light"),
    ),
    "tree": _tree(),
    "heart": (
        Fill(_heart(), "main"),
        Fill(turned(ellipse(-0.46, -0.38, 0.12, 0.2), 35, (-0.46, -0.38)), "light"),
    ),
}
