"""What a tower is not sure of: the scenes worth another look, and what it takes their things for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from curation.demo.training.batches import pick
from curation.demo.training.corpus import KIND_NUMBERS, Corpus
from curation.demo.training.lessons import Prediction
from curation.demo.training.targets import CHANNELS
from curation.demo.training.teaching import low_precision
from curation.demo.training.tower import Seer
from curation.demo.truth import Scene
from curation.demo.vocabulary import COLOURS, KINDS, PLACES, SIZES, WORDS

SURE = 0.9
_TOGETHER = 50  # pictures
_VALUES: Mapping[str, Sequence[str | int]] = {
    "kind": tuple(KINDS),
    "colour": tuple(COLOURS),
    "size": tuple(SIZES),
    "count": (1, 2, 3, 4),
    "place": PLACES,
}
_CHANNEL = {name: at for at, name in enumerate(CHANNELS)}


@dataclass(frozen=True)
class Doubt:
    """``what`` (an attribute of the scene's object ``at``, or the written word) may be taken for ``value``."""

    what: str
    value: str | int
    at: int = -1


@torch.no_grad()
def doubtful(seer: Seer, chunks: Sequence[Corpus], sure: float = SURE) -> dict[int, list[Doubt]]:
    """The scenes, by their numbers over all chunks, about which the tower gives a true value less than ``sure``."""
    found: dict[int, list[Doubt]] = {}
    count = sum(len(c) for c in chunks)
    for first in range(0, count, _TOGETHER):
        numbers = range(first, min(count, first + _TOGETHER))
        batch = pick(chunks, numbers)
        with low_precision(torch.device("cpu")):
            chances = [t.float().log_softmax(dim=-1) for t in seer(batch.pixels)[0]]
        for row, (number, scene) in enumerate(zip(numbers, batch.scenes, strict=True)):
            if doubts := list(_doubts(scene, Prediction([c[row] for c in chances], batch.patches[row], sure))):
                found[number] = doubts
    return found


def _doubts(scene: Scene, seen: Prediction) -> Iterator[Doubt]:
    for at, thing in enumerate(scene.objects):
        patches = seen.patches(_CHANNEL["kind"], KIND_NUMBERS[thing.kind])
        for what, values in _VALUES.items():
            if len(patches) and not seen.is_sure_of(what, patches):
                yield Doubt(what, values[_runner_up(seen, what, patches, len(values)) - 1], at)
    patches = seen.patches(_CHANNEL["word"])
    if len(patches) and not seen.is_sure_of("word", patches):
        yield Doubt("word", WORDS[_runner_up(seen, "word", patches, len(WORDS)) - 1])


def _runner_up(seen: Prediction, what: str, patches: torch.Tensor, most: int) -> int:
    """The class that these patches are likeliest to be taken for, beside the true one and nothing."""
    at = _CHANNEL[what]
    chances = seen.log_probabilities[at][patches].mean(dim=0)[: most + 1].clone()
    chances[[0, int(seen.truth[at, patches].mode().values)]] = -torch.inf
    return int(chances.argmax())
