"""Trains a painter on a release, and an eye on rendered pictures. Everything follows from settings and seed."""

from __future__ import annotations

import copy
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import nn
from torch.optim import AdamW, Muon

from curation.demo.painting.corner import corner_scene
from curation.demo.painting.eye import Eye, Right, answers, blurred, eye_loss, judged
from curation.demo.painting.flow import loss, scaled
from curation.demo.painting.painter import Painter, Shape
from curation.demo.painting.reading import Lessons, Texts, shrunk
from curation.demo.render import jpeg
from curation.demo.training.teaching import low_precision
from curation.demo.truth import Scene

_CALM = 0.05  # share of the steps in which the rate rises
_FALL = 0.35  # share in which it falls at the end
_KEPT = 0.99  # of the average of the weights, at every step


@dataclass(frozen=True)
class Course:
    """How long a painter learns. ``rate`` is that of its matrices; other weights have a tenth."""

    steps: int = 600
    batch: int = 32
    rate: float = 0.02
    shape: Shape = field(default_factory=Shape)


@dataclass(frozen=True)
class Trained:
    """A painter with the average of its last weights, the empty text as it reads it, its losses, and the seconds that
    it took."""

    painter: Painter
    nothing: Texts
    losses: list[float]
    seconds: float


def train_painter(
    lessons: Lessons, course: Course, seed: int, progress: Callable[[int, float], None] | None = None
) -> Trained:
    """Two painters of one seed see the same pictures in the same order, with the same noise, whatever their texts."""
    torch.manual_seed(seed)
    painter = Painter(course.shape)
    kept = copy.deepcopy(painter)  # becomes the average of the weights
    texts = Texts.of(lessons.texts, course.shape.tokens, lessons.states, lessons.factors)
    nothing = Texts.of([""], course.shape.tokens, [] if lessons.of_nothing is None else [lessons.of_nothing])
    pixels, canvas = scaled(lessons.pixels), lessons.canvas
    optimizers = _optimizers(painter, course.rate)
    chance, order = torch.Generator().manual_seed(seed), _order(len(lessons), course.batch, seed)
    losses, begun = [], time.monotonic()
    for step in range(course.steps):
        rows = next(order)
        with low_precision(torch.device("cpu")):
            given = None if canvas is None else canvas[rows]
            found = loss(painter, pixels[rows], texts.rows(rows), nothing, chance, given)
        _step(optimizers, found, step / course.steps)
        _follow(kept, painter, 1 - _KEPT if step else 1.0)
        losses.append(float(found.detach()))
        if progress is not None:
            progress(step, losses[-1])
    return Trained(kept.eval(), nothing, losses, time.monotonic() - begun)


def train_eye(steps: int = 1500, seed: int = 0, batch: int = 64) -> Eye:
    """A judge that has seen two rendered pictures for each step, old and new combinations alike."""
    torch.manual_seed(seed)
    eye, chance = Eye(), torch.Generator().manual_seed(seed)
    pixels, counts, colours = _exercise(seed + 1000, 2 * steps)
    optimizer = AdamW(eye.parameters(), lr=3e-3, weight_decay=0.01)
    order = _order(len(pixels), batch, seed)
    for step in range(steps):
        rows = next(order)
        found = eye_loss(eye, blurred(pixels[rows], chance), counts[rows], colours[rows])
        _step([(optimizer, 3e-3)], found, step / steps)
    return eye.eval()


def eye_accuracy(eye: Eye, seed: int = 0, scenes: int = 500) -> Right:
    """What it finds right in rendered pictures that it has not learned from, half of them new combinations."""
    shown = [corner_scene(seed + 2000, index, index % 2 == 1) for index in range(scenes)]
    return judged(eye, scaled(torch.stack([picture(s) for s in shown])), shown)


def picture(shown: Scene) -> torch.Tensor:
    """A scene as the loader would give it: rendered, encoded, decoded, small."""
    with Image.open(io.BytesIO(jpeg(shown))) as image:
        return shrunk(image)


def _exercise(seed: int, scenes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    shown = [corner_scene(seed, index, index % 3 == 2) for index in range(scenes)]
    return scaled(torch.stack([picture(s) for s in shown])), *answers(shown)


def _order(count: int, batch: int, seed: int) -> Iterator[torch.Tensor]:
    """Rows of each step: epoch by epoch in another order. The last rows of an epoch open the next batch."""
    chance = torch.Generator().manual_seed(seed + 1)
    waiting = torch.zeros(0, dtype=torch.int64)
    while True:
        while len(waiting) < batch:
            waiting = torch.cat([waiting, torch.randperm(count, generator=chance)])
        yield waiting[:batch]
        waiting = waiting[batch:]


Optimizers = Sequence[tuple[torch.optim.Optimizer, float]]


def _optimizers(painter: Painter, rate: float) -> Optimizers:
    """Muon for the matrices within the layers, AdamW for all else, each with its rate."""
    inner: list[nn.Parameter] = []
    for layers in (painter.blocks, painter.text.layers):
        inner += [p for name, p in layers.named_parameters() if p.ndim == 2 and not name.endswith("turn")]
    theirs = {id(p) for p in inner}
    others = [p for p in painter.parameters() if id(p) not in theirs]
    muon = Muon(inner, lr=rate, weight_decay=0.01)
    return [(muon, rate), (AdamW(others, lr=rate / 10, betas=(0.9, 0.99), weight_decay=0.01), rate / 10)]


def _step(optimizers: Optimizers, found: torch.Tensor, done: float) -> None:
    """One step; ``done`` is the share of the steps that are done: rates rise first and fall to nothing at the end."""
    factor = min(1.0, (done + 1e-3) / _CALM, max(0.0, 1 - done) / _FALL)
    for optimizer, rate in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * factor
        optimizer.zero_grad()
    found.backward()  # type: ignore[no-untyped-call]
    for optimizer, _ in optimizers:
        optimizer.step()


@torch.no_grad()
def _follow(average: Painter, painter: Painter, share: float) -> None:
    """Moves the average of the weights a step on."""
    for ours, theirs in zip(average.parameters(), painter.parameters(), strict=True):
        ours.lerp_(theirs, share)
