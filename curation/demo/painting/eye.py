"""The judge: a small network that says what a little picture of the corner shows, how often, and in which colour.

It learns from rendered pictures, whose truth is known, in all combinations, and its own errors are measured on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from curation.demo.painting.corner import COLOURS, KINDS, MOST
from curation.demo.truth import Scene


class Eye(nn.Module):
    """Logits of the count, 0 to MOST, (n, kinds, MOST + 1), and of the colour (n, kinds, colours) of each kind."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 3 * width, 4 * width)
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            layers += [nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.BatchNorm2d(outer), nn.GELU()]
            layers += [nn.Conv2d(outer, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.classes = len(KINDS) * (MOST + 1 + len(COLOURS))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(6 * widths[-1], self.classes))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = self.head(self.layers(pixels)).view(len(pixels), len(KINDS), -1)
        return values[..., : MOST + 1], values[..., MOST + 1 :]


def answers(scenes: Sequence[Scene]) -> tuple[torch.Tensor, torch.Tensor]:
    """Count and colour of each kind, int64 (n, kinds); the colour of what is not there is -100."""
    counts = torch.zeros(len(scenes), len(KINDS), dtype=torch.int64)
    colours = torch.full((len(scenes), len(KINDS)), -100, dtype=torch.int64)
    for row, shown in enumerate(scenes):
        for thing in shown.objects:
            kind = KINDS.index(thing.kind)
            counts[row, kind], colours[row, kind] = thing.count, COLOURS.index(thing.colour)
    return counts, colours


def eye_loss(eye: Eye, pixels: torch.Tensor, counts: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of counts, and of the colours of what is there."""
    count, colour = eye(pixels)
    wrong: torch.Tensor = functional.cross_entropy(count.flatten(0, 1), counts.flatten())
    return wrong + functional.cross_entropy(colour.flatten(0, 1), colours.flatten(), ignore_index=-100)


def blurred(pixels: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Pictures (n, 3, height, width) in -1 to 1 moved by up to two pixels, partly blurred, with noise: a painter's
    strokes are less sharp than a renderer's."""
    height, width = pixels.shape[-2:]
    dy, dx = (int(v) for v in torch.randint(0, 5, (2,), generator=chance))
    moved = functional.pad(pixels, (2, 2, 2, 2), mode="replicate")[..., dy : dy + height, dx : dx + width]
    share = torch.rand(len(pixels), 1, 1, 1, generator=chance)
    soft = functional.avg_pool2d(functional.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    noise = torch.randn(moved.shape, generator=chance) * 0.15 * torch.rand(len(pixels), 1, 1, 1, generator=chance)
    return moved + share * (soft - moved) + noise


@dataclass(frozen=True)
class Right:
    """Shares of the things that were asked for: there at all, in their colour, in their number; and of the pictures
    that show just what was asked for, nothing else and nothing wrong."""

    things: float
    coloured: float
    counted: float
    whole: float


@torch.no_grad()
def judged(eye: Eye, pixels: torch.Tensor, scenes: Sequence[Scene]) -> Right:
    """How far pictures, float (n, 3, height, width) in -1 to 1, show what they were asked to."""
    eye.eval()
    parts = [eye(pixels[at : at + 256]) for at in range(0, len(pixels), 256)]
    seen_counts = torch.cat([count.argmax(2) for count, _ in parts])
    seen_colours = torch.cat([colour.argmax(2) for _, colour in parts])
    counts, colours = answers(scenes)
    asked = counts > 0
    there = (seen_counts > 0) & asked
    coloured, counted = there & (seen_colours == colours), there & (seen_counts == counts)
    whole = ((seen_counts == counts) & (coloured | ~asked)).all(dim=1)
    total = int(asked.sum())
    things, in_colour, in_number = (int(found.sum()) / total for found in (there, coloured, counted))
    return Right(things, in_colour, in_number, float(whole.float().mean()))
