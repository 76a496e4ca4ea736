"""Flow matching: what a painter learns, and how it paints.

A noisy picture is ``t * picture + (1 - t) * noise``. The painter predicts the picture; its loss is that of the velocity
which follows from it, as in arXiv 2511.13720.
"""

from __future__ import annotations

from itertools import pairwise

import torch

from curation.demo.painting.painter import Painter
from curation.demo.painting.reading import HEIGHT, WIDTH, Texts

STEPS = 20
GUIDANCE = 2.5
_NEAREST = 0.05  # near the clean picture the velocity would blow up the least error
_FORGOTTEN = 0.1  # share of texts that are left out in training, for classifier-free guidance
_TIMES = (-0.6, 1.0)  # mean and spread of the logit of a training step's time


def scaled(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 as float in -1 to 1."""
    return pixels.float().div(127.5).sub(1)


def canvas_of(visible: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The canvas of ``Painter`` from what a loader of windows gives: uint8 (n, 3, …) and (n, 1, …)."""
    return torch.cat([scaled(visible), mask.float()], dim=1)


def loss(
    painter: Painter,
    clean: torch.Tensor,
    texts: Texts,
    nothing: Texts,
    chance: torch.Generator,
    canvas: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean squared error of the velocity. ``clean`` is (n, 3, HEIGHT, WIDTH) in -1 to 1, ``nothing`` the empty text.

    With a ``canvas``, only what is to be painted counts."""
    n = len(clean)
    time = torch.sigmoid(torch.randn(n, generator=chance) * _TIMES[1] + _TIMES[0])
    noise = torch.randn(clean.shape, generator=chance)
    forgotten = torch.rand(n, generator=chance) < _FORGOTTEN
    read = painter.read(texts.forgetting(forgotten, nothing))
    t = time.view(n, 1, 1, 1)
    found = painter(t * clean + (1 - t) * noise, time, *read, canvas).float()
    wrong: torch.Tensor = ((found - clean) / (1 - t).clamp_min(_NEAREST)) ** 2
    if canvas is None:
        return wrong.mean()
    mask = canvas[:, 3:]
    return (wrong * mask).sum() / (3 * mask.sum())


@torch.no_grad()
def paint(
    painter: Painter,
    texts: Texts,
    nothing: Texts,
    seed: int = 0,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    canvas: torch.Tensor | None = None,
) -> torch.Tensor:
    """Pictures for texts, guided away from the empty text ``nothing``: uint8 (n, 3, HEIGHT, WIDTH).

    The same for the same seed. With a ``canvas``, what it shows stays as it is.
    """
    n = len(texts)
    picture = torch.randn(n, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))
    with_text = painter.read(texts)
    without = painter.read(texts.forgetting(torch.ones(n, dtype=torch.bool), nothing))
    text, there = (torch.cat(both) for both in zip(with_text, without, strict=True))
    twice = None if canvas is None else canvas.repeat(2, 1, 1, 1)
    times = torch.linspace(0, 1, steps + 1)
    for now, then in pairwise(times):
        clean, plain = painter(picture.repeat(2, 1, 1, 1), now.expand(2 * n), text, there, twice).chunk(2)
        guided = (plain + guidance * (clean - plain)).clamp(-1.2, 1.2)
        picture = picture + (then - now) * (guided - picture) / (1 - now).clamp_min(_NEAREST)
    if canvas is not None:
        picture = torch.where(canvas[:, 3:] > 0, picture, canvas[:, :3])
    return picture.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
