"""Training scenes as arrays on disk: pixels as the model sees them, and what stands in every patch.

The patch labels train the vision tower before the language model learns; they cost nothing, since the world knows
where every object is.
"""

from __future__ import annotations

import io
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curation.demo.drawings import DRAWINGS
from curation.demo.layout import placing
from curation.demo.render import jpeg
from curation.demo.shapes import silhouette
from curation.demo.truth import Scene, Split
from curation.demo.vocabulary import BACKDROPS, COLOURS, KINDS, SIZES, WORDS
from curation.demo.world import scene

SIDE = 192
PATCH = 16
GRID = SIDE // PATCH
CHUNK = 2000
# Channels of a patch's label; 0 is background in all of them.
CHANNELS = ("kind", "colour", "size", "count", "word")
CLASSES = (len(KINDS) + 1, len(COLOURS) + 1, len(SIZES) + 1, 5, len(WORDS) + 1)
KIND_NUMBERS = {k: i + 1 for i, k in enumerate(KINDS)}
_COLOURS = {c: i + 1 for i, c in enumerate(COLOURS)}
_SIZES = {s: i + 1 for i, s in enumerate(SIZES)}
_WORDS = {w: i + 1 for i, w in enumerate(WORDS)}
SETTINGS = tuple(BACKDROPS)
Labels = NDArray[np.uint8]


def pixels(data: bytes) -> NDArray[np.uint8]:
    """An encoded image as the model's processor resizes it: (SIDE, SIDE, 3), RGB, aspect ignored."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def labels(scene: Scene) -> Labels:
    """The labels of what covers most of each patch's middle: (len(CHANNELS), GRID, GRID)."""
    fine = 4 * GRID
    found = np.zeros((len(CHANNELS), fine, fine), np.uint8)
    # Silhouettes are drawn on a canvas of the scene's shape, then brought to the grid.
    scale = 160 / max(scene.width, scene.height)
    shape = max(1, round(scene.height * scale)), max(1, round(scene.width * scale))
    for thing in scene.objects:
        values = KIND_NUMBERS[thing.kind], _COLOURS[thing.colour], _SIZES[thing.size], thing.count, 0
        for instance in thing.instances:
            mask = silhouette(DRAWINGS[thing.kind], placing(instance, shape[1], shape[0]), shape)
            inside = _to_grid(mask, scene.photo.degrees, fine)
            for channel, value in enumerate(values):
                found[channel][inside] = value
    if scene.board:
        shorter = min(scene.width, scene.height)
        half_x = 0.03 * len(scene.board.word) * shorter / scene.width
        half_y = 0.05 * shorter / scene.height
        board = scene.board
        mask = np.zeros(shape, np.uint8)
        rows = slice(max(0, round((board.y - half_y) * shape[0])), round((board.y + half_y) * shape[0]) + 1)
        cols = slice(max(0, round((board.x - half_x) * shape[1])), round((board.x + half_x) * shape[1]) + 1)
        mask[rows, cols] = 1
        inside = _to_grid(mask, scene.photo.degrees, fine)
        found[:, inside] = 0
        found[4][inside] = _WORDS[board.word]
    return _majority(found)


def _to_grid(mask: NDArray[np.uint8], degrees: float, fine: int) -> NDArray[np.bool_]:
    height, width = mask.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    turned = cv2.warpAffine(mask.astype(np.uint8) * 255, turn, (width, height))
    small = cv2.resize(turned, (fine, fine), interpolation=cv2.INTER_AREA)
    inside: NDArray[np.bool_] = small > 100
    return inside


def _majority(found: Labels) -> Labels:
    """The kind on most of a patch where at least a quarter of it is covered, with that kind's other values."""
    channels = len(found)
    cells = found.reshape(channels, GRID, 4, GRID, 4).transpose(0, 1, 3, 2, 4).reshape(channels, GRID * GRID, 16)
    out = np.zeros((channels, GRID * GRID), np.uint8)
    covered = (cells[0] > 0) | (cells[4] > 0)
    for at in np.flatnonzero(covered.sum(axis=1) >= 4):
        values = [tuple(cells[:, at, k]) for k in np.flatnonzero(covered[at])]
        out[:, at] = max(set(values), key=values.count)
    return out.reshape(channels, GRID, GRID)


@dataclass(frozen=True)
class Corpus:
    """``pixels`` (n, SIDE, SIDE, 3) and ``labels`` (n, channels, GRID, GRID), memory-mapped; ``scenes`` the truth."""

    pixels: NDArray[np.uint8]
    labels: Labels
    scenes: list[Scene]

    def __len__(self) -> int:
        return len(self.scenes)


def build(folder: Path, count: int, seed: int, split: Split, workers: int, chunk: int = CHUNK) -> None:
    """Renders the missing ones of ``count`` scenes, in chunks; after a kill the next call continues."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [at for at in range(-(-count // chunk)) if not (folder / f"{split}-{at:04d}.json").exists()]
    if not missing:
        return
    # Forking a process that computes with threads may hang its child.
    with ProcessPoolExecutor(min(workers, len(missing)), multiprocessing.get_context("spawn")) as pool:
        for _ in pool.map(partial(_render_chunk, folder, seed, split, chunk), missing):
            pass


def _render_chunk(folder: Path, seed: int, split: Split, chunk: int, at: int) -> None:
    cv2.setNumThreads(1)
    scenes = [scene(seed, at * chunk + i, split) for i in range(chunk)]
    name = f"{split}-{at:04d}"
    np.save(folder / f"{name}-pixels.npy", np.stack([pixels(jpeg(s)) for s in scenes]))
    np.save(folder / f"{name}-labels.npy", np.stack([labels(s) for s in scenes]))
    # The list of scenes is written last: it marks the chunk as complete.
    temporary = folder / f".{name}.json"
    temporary.write_text(json.dumps([s.to_json() for s in scenes]))
    temporary.replace(folder / f"{name}.json")


def load(folder: Path, split: Split, count: int) -> list[Corpus]:
    """The first chunks that hold ``count`` scenes, or all that there are; pixels stay on disk."""
    found: list[Corpus] = []
    for file in sorted(folder.glob(f"{split}-*.json")):
        if sum(len(c) for c in found) >= count:
            break
        stem = file.stem
        found.append(
            Corpus(
                np.load(folder / f"{stem}-pixels.npy", mmap_mode="r"),
                np.load(folder / f"{stem}-labels.npy", mmap_mode="r"),
                [Scene.from_json(text) for text in json.loads(file.read_text())],
            )
        )
    return found
