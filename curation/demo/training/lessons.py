"""The lessons, in order: vision, JSON from text, captions from images, and all of them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

from curation.demo.phrases import SOMETHING
from curation.demo.training import language, tower
from curation.demo.training.batches import Batch, pick
from curation.demo.training.corpus import KIND_NUMBERS, Corpus
from curation.demo.training.language import Sequences, Speller
from curation.demo.training.targets import CHANNELS
from curation.demo.truth import Rng, Scene, SceneObject, generator

# Least probability for which the tower counts as sure.
SURE = 0.9
_CHANNEL = {name: at for at, name in enumerate(CHANNELS)}
_KIND, _WORD = _CHANNEL["kind"], _CHANNEL["word"]


@torch.no_grad()
def visible_facts(
    scenes: Sequence[Scene], logits: Sequence[torch.Tensor], truth: torch.Tensor, sure: float = SURE
) -> list[Scene]:
    """The scenes without the kinds, colours, sizes, places and written words that the tower does not predict with a
    probability of at least ``sure``. ``logits`` are its logits (n, patches, classes) a channel, ``truth`` the classes
    (n, channels, patches)."""
    chances = [t.float().log_softmax(dim=-1).cpu() for t in logits]
    there = truth.cpu()
    return [_reduced(scene, Prediction([c[at] for c in chances], there[at], sure)) for at, scene in enumerate(scenes)]


@dataclasses.dataclass(frozen=True)
class Prediction:
    """One picture: log-probabilities (patches, classes) a channel, and the true classes (channels, patches)."""

    log_probabilities: list[torch.Tensor]
    truth: torch.Tensor
    sure: float

    def is_sure_of(self, channel: str, patches: torch.Tensor) -> bool:
        """Whether these patches together give the true class a probability of ``sure``, their product."""
        if not len(patches):
            return False
        at = _CHANNEL[channel]
        true = int(self.truth[at, patches].mode().values)
        together = self.log_probabilities[at][patches].mean(dim=0).softmax(dim=0)
        return true >= 0 and float(together[true]) >= self.sure

    def patches(self, channel: int, value: int | None = None) -> torch.Tensor:
        truth = self.truth[channel]
        return torch.nonzero(truth > 0 if value is None else truth == value).flatten()


def _reduced(scene: Scene, predicted: Prediction) -> Scene:
    patches = [predicted.patches(_KIND, KIND_NUMBERS[o.kind]) for o in scene.objects]
    objects = tuple(_visible_object(o, predicted, at) for o, at in zip(scene.objects, patches, strict=True))
    # "The object is above the object" states nothing.
    clear = [r for r in scene.relations if any(objects[at].kind != SOMETHING for at in (r.subject, r.object))]
    board = scene.board
    if board and not predicted.is_sure_of("word", predicted.patches(_WORD)):
        board = dataclasses.replace(board, word="")
    return dataclasses.replace(scene, objects=objects, relations=tuple(clear), board=board)


def _visible_object(thing: SceneObject, predicted: Prediction, patches: torch.Tensor) -> SceneObject:
    return dataclasses.replace(
        thing,
        kind=thing.kind if predicted.is_sure_of("kind", patches) else SOMETHING,
        colour=thing.colour if predicted.is_sure_of("colour", patches) else "",
        size=thing.size if predicted.is_sure_of("size", patches) else "",
        place=thing.place if predicted.is_sure_of("place", patches) else "",
    )


# Each lesson draws its batches from a random stream of its own.
_TOWER, _TEXT, _SPEECH, _JOINT, _EXAM = range(1, 6)
# Weight of the tower's own loss beside that of captions: it teaches faster than captions do.
_SIGHT = 0.3
# The share of pictures in changed light; colour and background are learned from the others.
_RELIT = 0.5


@dataclass(frozen=True)
class Pictures:
    """The training corpus, a part of the held-out one for evaluations, and the device."""

    train: Sequence[Corpus]
    heldout: Sequence[Corpus]
    seed: int
    device: torch.device

    def exam(self, count: int) -> Batch:
        """The first held-out scenes."""
        return pick(self.heldout, range(min(count, sum(len(c) for c in self.heldout)))).to(self.device)

    def batch(self, size: int, rng: Rng, most: int = 5, relit: float = 0.0) -> Batch:
        """Training scenes of at most ``most`` objects, a share of them in changed light."""
        allowed = self._numbers(most)
        return pick(self.train, allowed[rng.integers(0, len(allowed), size)], rng, relit).to(self.device)

    def _numbers(self, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        if most not in self._cache:
            objects = np.array([len(s.objects) for c in self.train for s in c.scenes])
            found = np.flatnonzero(objects <= most)
            self._cache[most] = found if len(found) else np.arange(len(objects))
        return self._cache[most]

    _cache: dict[int, np.ndarray[tuple[int], np.dtype[np.int64]]] = field(default_factory=dict)


@dataclass
class Seeing:
    """The tower learns to classify every patch."""

    seer: tower.Seer
    pictures: Pictures
    size: int = 64
    name: str = "tower"

    def modules(self) -> dict[str, nn.Module]:
        return {"seer": self.seer}

    def loss(self, step: int, progress: float) -> torch.Tensor:
        rng = generator(self.pictures.seed, _TOWER, step)
        return tower.loss(self.seer, self.pictures.batch(self.size, rng, relit=_RELIT))

    def evaluate(self) -> dict[str, float]:
        return tower.accuracy(self.seer, self.pictures.exam(192))


@dataclass
class Reading:
    """Text alone: entities and subjects of news captions."""

    model: LlavaForConditionalGeneration
    speller: Speller
    pictures: Pictures
    size: int = 32
    name: str = "text"

    def modules(self) -> dict[str, nn.Module]:
        return {"language": self.model.model.language_model}

    def loss(self, step: int, progress: float) -> torch.Tensor:
        sequences = _news(self, generator(self.pictures.seed, _TEXT, step))
        return language.loss(self.model, sequences, None)

    def evaluate(self) -> dict[str, float]:
        sequences = _news(self, generator(self.pictures.seed, _EXAM), heldout=True)
        return {"news": language.accuracy(self.model, sequences, None)}


@dataclass
class Speaking:
    """Captions of images, with a tower that no longer learns, and news captions."""

    model: LlavaForConditionalGeneration
    speller: Speller
    pictures: Pictures
    size: int = 32
    news: int = 8
    name: str = "speech"

    def modules(self) -> dict[str, nn.Module]:
        # The tower is not part of this lesson's state: another lesson may have trained it further.
        return {"projector": self.model.model.multi_modal_projector, "language": self.model.model.language_model}

    def loss(self, step: int, progress: float) -> torch.Tensor:
        rng = generator(self.pictures.seed, _SPEECH, step)
        # From one object to five, over the first fifth of the lesson.
        batch = self.pictures.batch(self.size, rng, most=min(5, 1 + int(25 * progress)))
        sequences = self.speller.sequences(language.image_examples(batch.scenes, rng), True).to(self.pictures.device)
        with torch.no_grad():
            seen = language.look(self.model, batch.pixels)
        return language.loss(self.model, sequences, seen) + _news_share(self, rng)

    def evaluate(self) -> dict[str, float]:
        return _exam(self)


@dataclass
class Together:
    """Trains tower and language model together. The tower goes on classifying patches, also in changed light, and
    captions leave out what it does not predict surely."""

    model: LlavaForConditionalGeneration
    seer: tower.Seer
    speller: Speller
    pictures: Pictures
    size: int = 32
    news: int = 8
    strange: int = 12
    name: str = "joint"

    def modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "seer": self.seer}

    def loss(self, step: int, progress: float) -> torch.Tensor:
        rng = generator(self.pictures.seed, _JOINT, step)
        batch = self.pictures.batch(self.size, rng)
        seen = language.look(self.model, batch.pixels)
        patches, whole = self.seer.classify(seen)
        examples = language.image_examples(
            batch.scenes, rng, visible=visible_facts(batch.scenes, patches, batch.patches)
        )
        sequences = self.speller.sequences(examples, True).to(self.pictures.device)
        speech = language.loss(self.model, sequences, seen) + _news_share(self, rng)
        strange = tower.loss(self.seer, self.pictures.batch(self.strange, rng, relit=1.0))
        return speech + _SIGHT * (tower.loss_of(patches, whole, batch) + strange)

    def evaluate(self) -> dict[str, float]:
        return {**_exam(self), **tower.accuracy(self.seer, self.pictures.exam(192))}


def _news(lesson: Reading | Speaking | Together, rng: Rng, heldout: bool = False, size: int = 0) -> Sequences:
    chunks = lesson.pictures.heldout if heldout else lesson.pictures.train
    scenes = [chunks[int(c)].scenes[int(i)] for c, i in _numbers(chunks, rng, size or lesson.size)]
    return lesson.speller.sequences(language.news_examples(scenes, rng), False).to(lesson.pictures.device)


def _numbers(chunks: Sequence[Corpus], rng: Rng, size: int) -> list[tuple[int, int]]:
    return [(c := int(rng.integers(len(chunks))), int(rng.integers(len(chunks[c])))) for _ in range(size)]


def _news_share(lesson: Speaking | Together, rng: Rng) -> torch.Tensor:
    return 0.5 * language.loss(lesson.model, _news(lesson, rng, size=lesson.news), None)


def _exam(lesson: Speaking | Together) -> dict[str, float]:
    """Teacher-forced accuracy of the next token on held-out scenes, in training phrases."""
    batch = lesson.pictures.exam(96)
    rng = generator(lesson.pictures.seed, _EXAM)
    sequences = lesson.speller.sequences(language.image_examples(batch.scenes, rng), True).to(lesson.pictures.device)
    seen = language.look(lesson.model, batch.pixels)
    return {
        "words": language.accuracy(lesson.model, sequences, seen),
        "attributes": language.accuracy(lesson.model, sequences, seen, lesson.speller.attributes()),
        "news": language.accuracy(lesson.model, _news(lesson, rng, heldout=True), None),
    }
