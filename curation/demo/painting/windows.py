"""Windows of wide pictures: read from a release of expansion data, and how a painter is told what to put there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch

from curation.demo.painting.flow import canvas_of
from curation.demo.painting.reading import HEIGHT, WIDTH, Lessons
from curation.load.expansion import load_windows

Told = Literal["global", "local", "both"]
"""Which captions a painter reads."""
WINDOW_TOKENS = 56
"""Tokens of the captions of a window that a painter reads, at most; both have 30 to 55."""
_MIDDLE = slice((WIDTH - HEIGHT) // 2, (WIDTH + HEIGHT) // 2)  # rows of a square window: where its things stand


def told(whole: str, local: str, which: Told) -> str:
    """The text of a window. The local caption comes first: what stands first is never cut off."""
    return {"global": whole, "local": local, "both": f"{local}\n{whole}"}[which]


def read_windows(root: str, which: Told, epochs: int = 6, seed: int = 0) -> Lessons:
    """The train split of a release of expansion data in its own order, as often as ``epochs`` says: each time the
    loader draws one window of each picture."""
    release = load_windows(root, "train", size=WIDTH, shuffle=0, seed=seed)
    rows: list[Mapping[str, Any]] = []
    for epoch in range(epochs):
        release.set_epoch(epoch)
        rows += release
    pixels, visible, mask = (
        torch.stack([r[key] for r in rows])[:, :, _MIDDLE] for key in ("target", "visible", "mask")
    )
    texts = [told(r["global"], r["local"], which) for r in rows]
    return Lessons(pixels, texts, canvas=canvas_of(visible, mask))
