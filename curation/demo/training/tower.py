"""Trains the vision tower to classify patches, before the language model is trained."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPVisionModel

from curation.demo.training.batches import Batch
from curation.demo.training.corpus import GRID, PATCH
from curation.demo.training.shape import tower_config
from curation.demo.training.targets import CHANNELS, SCENE_CHANNELS

# Empty patches are many and easy; they count less.
_EMPTY = 0.1
_NOISE = 0.1
# The kind is the hardest class, and a caption needs it most.
_HARD = 3.0
_KIND, _WORD = list(CHANNELS).index("kind"), list(CHANNELS).index("word")


class Seer(nn.Module):
    """A tower with one linear head for each channel; the heads are dropped after the lesson."""

    def __init__(self, tower: Any = None) -> None:
        """With a new tower, or around one that has learned."""
        super().__init__()
        self.tower: Any = tower or CLIPVisionModel(tower_config())
        width = tower_config().hidden_size
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleList(nn.Linear(width, n) for n in CHANNELS.values())
        self.scene = nn.ModuleList(nn.Linear(width, n) for n in SCENE_CHANNELS.values())

    def forward(self, pixels: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Logits (n, patches, classes) a channel, and (n, classes) a channel of the scene."""
        return self.classify(features(self.tower, pixels))

    def classify(self, seen: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The same from a tower's features (n, patches, width)."""
        patches = self.norm(seen)
        whole = patches.mean(dim=1)
        return [head(patches) for head in self.heads], [head(whole) for head in self.scene]


def features(tower: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """The input of the language model: the last layer without the class token, (n, patches, width)."""
    hidden: torch.Tensor = tower(pixels, output_hidden_states=True).hidden_states[-1]
    return hidden[:, 1:]


def loss(seer: Seer, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy of the covered patches and of the scene, summed over channels."""
    patches, whole = seer(batch.pixels)
    return loss_of(patches, whole, batch)


def loss_of(patches: list[torch.Tensor], whole: list[torch.Tensor], batch: Batch) -> torch.Tensor:
    """The loss of given logits."""
    weight = torch.where((batch.patches[:, _KIND] > 0) | (batch.patches[:, _WORD] > 0), 1.0, _EMPTY)
    total = torch.zeros((), device=weight.device)
    for channel, found in enumerate(patches):
        wrong = functional.cross_entropy(found.float().transpose(1, 2), batch.patches[:, channel], reduction="none")
        total = total + (_HARD if channel == _KIND else 1.0) * (wrong * weight).sum() / weight.sum()
    for channel, found in enumerate(whole):
        wrong = functional.cross_entropy(found.float(), batch.whole[:, channel], reduction="sum")
        total = total + 0.3 * wrong / len(found)
    return total


@torch.no_grad()
def accuracy(seer: Seer, batch: Batch) -> dict[str, float]:
    """Share of the covered patches, and of the scenes, that are classified correctly, by channel."""
    patches, whole = seer(batch.pixels)
    found: dict[str, float] = {}
    for channel, name in enumerate(CHANNELS):
        there = batch.patches[:, channel] > 0
        found[name] = float((patches[channel].argmax(2) == batch.patches[:, channel])[there].float().mean())
    for channel, name in enumerate(SCENE_CHANNELS):
        found[name] = float((whole[channel].argmax(1) == batch.whole[:, channel]).float().mean())
    return found


@torch.no_grad()
def begin(tower: nn.Module, pixels: torch.Tensor) -> None:
    """First weights from which a transformer learns to see with few pictures.

    The first layer takes the main components of the patches of ``pixels`` (n, 3, side, side), each with the same
    spread: else brightness drowns shape. Positions are sines, and attention at first looks at what is near and
    alike ("Mimetic Initialization of Self-Attention Layers", arXiv 2305.09828).
    """
    parts: dict[str, Any] = dict(tower.named_modules())
    for name, module in parts.items():
        if name.endswith("patch_embedding"):
            module.weight[:] = _components(pixels, module.weight.shape[0]).view_as(module.weight)
        if name.endswith("position_embedding"):
            module.weight[1:] = _sines(module.weight.shape[1])
        if name.endswith("self_attn"):
            _mimic(module)


def _components(pixels: torch.Tensor, count: int) -> torch.Tensor:
    """(count, 3 * PATCH * PATCH): the main components of patches, scaled to a spread of one half."""
    rows = functional.unfold(pixels.float(), PATCH, stride=PATCH).transpose(1, 2).reshape(-1, 3 * PATCH * PATCH)
    rows = rows - rows.mean(dim=0)
    values, vectors = torch.linalg.eigh((rows.T @ rows / len(rows)).double())
    # What varies less than noise does is not blown up to the size of the rest.
    scale = 0.5 / (values.clamp_min(0) + _NOISE).sqrt()
    found: torch.Tensor = (vectors * scale).T.flip(0)[:count].float()
    return found


def _sines(width: int) -> torch.Tensor:
    """(GRID * GRID, width) sines and cosines of row and column."""
    rates = torch.logspace(0, -1.5, width // 4)
    angles = torch.arange(GRID).unsqueeze(1) * rates
    line = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows = line.unsqueeze(1).expand(-1, GRID, -1)
    columns = line.unsqueeze(0).expand(GRID, -1, -1)
    return 0.5 * torch.cat([rows, columns], dim=2).reshape(GRID * GRID, width)


def _mimic(attention: Any) -> None:
    width = int(attention.q_proj.weight.shape[0])
    heads = int(attention.num_heads)
    size = width // heads
    for head in range(heads):
        rows = slice(head * size, (head + 1) * size)
        u, s, v = torch.linalg.svd(0.7 * torch.randn(width, width) / math.sqrt(width) + 0.7 * torch.eye(width))
        root = s[:size].sqrt()
        attention.q_proj.weight[rows] = (u[:, :size] * root).T
        attention.k_proj.weight[rows] = v[:size] * root.unsqueeze(1)
    u, s, v = torch.linalg.svd(0.4 * torch.randn(width, width) / math.sqrt(width) - 0.4 * torch.eye(width))
    attention.v_proj.weight[:] = s.sqrt().unsqueeze(1) * v
    attention.out_proj.weight[:] = u * s.sqrt()
