"""Reads batches of a corpus on disk for the lessons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from curation.demo.training.corpus import Corpus
from curation.demo.training.targets import CHANNELS, SCENE_CHANNELS, patch_targets, scene_targets
from curation.demo.truth import Scene

# CLIP's own statistics, as its image processor applies them.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
# Augmentation: pictures are shifted by up to this many pixels.
_SHIFT = 3
# The class that cross-entropy ignores: the picture no longer shows the value.
UNTOLD = -100
_COLOUR = list(CHANNELS).index("colour")


@dataclass(frozen=True)
class Batch:
    """``pixels`` (n, 3, side, side) float, normalised; ``patches`` (n, channels, patches) and ``whole``
    (n, scene channels) are class numbers; ``scenes`` the truth behind them."""

    pixels: torch.Tensor
    patches: torch.Tensor
    whole: torch.Tensor
    scenes: list[Scene]

    def to(self, device: torch.device) -> Batch:
        return Batch(self.pixels.to(device), self.patches.to(device), self.whole.to(device), self.scenes)


def normalise(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Normalises (n, side, side, 3) bytes as the model's processor does."""
    values = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float().div_(255)
    return values.sub_(torch.tensor(MEAN).view(1, 3, 1, 1)).div_(torch.tensor(STD).view(1, 3, 1, 1))


def locate(chunks: Sequence[Corpus], indices: Sequence[int] | NDArray[Any]) -> list[tuple[Corpus, int]]:
    """Where the samples with these numbers, counted over all chunks, lie."""
    size = len(chunks[0])
    return [(chunks[int(i) // size], int(i) % size) for i in indices]


def pick(
    chunks: Sequence[Corpus],
    indices: Sequence[int] | NDArray[Any],
    rng: np.random.Generator | None = None,
    relit: float = 0.0,
) -> Batch:
    """The samples with these numbers, counted over all chunks; shifted a little if ``rng`` is given.

    ``relit`` is the share of them that are shown in changed light. An object keeps its shape in any colour, so the
    model learns to recognise it in a colour it never saw. The original colour and background are no longer visible
    in such a picture.
    """
    found = locate(chunks, indices)
    scenes = [c.scenes[k] for c, k in found]
    pixels = np.stack([c.pixels[k] for c, k in found])
    patches = torch.from_numpy(patch_targets(scenes, np.stack([c.labels[k] for c, k in found])))
    whole = torch.tensor([scene_targets(s) for s in scenes], dtype=torch.long).view(-1, len(SCENE_CHANNELS))
    if rng is not None:
        pixels = np.stack([_moved(p, rng) for p in pixels])
        strange = np.flatnonzero(rng.random(len(scenes)) < relit)
        for at in strange:
            pixels[at] = _relit(pixels[at], rng)
        patches[strange, _COLOUR] = UNTOLD
        whole[strange] = UNTOLD
    return Batch(normalise(pixels), patches, whole, scenes)


def _relit(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture in another light: channels swapped and mixed towards one tone, paler or darker."""
    tone = np.tile(rng.dirichlet((1.0, 1.0, 1.0)), (3, 1))
    swapped = np.eye(3)[rng.permutation(3)]
    mixed = float(rng.uniform(0.7, 1.3)) * (swapped + float(rng.random()) * (tone - swapped))
    relit: NDArray[np.uint8] = cv2.transform(pixels, np.column_stack([mixed, np.full(3, rng.uniform(-25.0, 25.0))]))
    return relit


def _moved(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    side = pixels.shape[0]
    y, x = (int(v) for v in rng.integers(0, 2 * _SHIFT + 1, 2))
    padded = np.pad(pixels, ((_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), mode="edge")
    return padded[y : y + side, x : x + side]
