"""The curriculum: see, read and write JSON, speak of what is seen, and at last all together."""

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

# From which probability on the tower counts as sure.
SURE = 0.9
_CHANNEL = {name: at for at, name in enumerate(CHANNELS)}
_KIND, _WORD = _CHANNEL["kind"], _CHANNEL["word"]


@torch.no_grad()
def witnessed(
    scenes: Sequence[Scene], told: Sequence[torch.Tensor], truth: torch.Tensor, sure: float = SURE
) -> list[Scene]:
    """The scenes as the tower saw them: without the kinds, colours, sizes, places and written words that it does not
    tell with a probability of ``sure``. ``told`` are its logits (n, patches, classes) a channel, ``truth`` the
    classes (n, channels, patches)."""
    chances = [t.float().log_softmax(dim=-1).cpu() for t in told]
    there = truth.cpu()
    return [_reduced(scene, _Sight([c[at] for c in chances], there[at], sure)) for at, scene in enumerate(scenes)]


@dataclasses.dataclass(frozen=True)
class _Sight:
    """One picture: log-probabilities (patches, classes) a channel, and the true classes (channels, patches)."""

    told: list[torch.Tensor]
    truth: torch.Tensor
    sure: float

    def tells(self, channel: str, patches: torch.Tensor) -> bool:
        """Whether these patches together tell the truth surely: the product of what each of them tells."""
        if not len(patches):
            return False
        at = _CHANNEL[channel]
        true = int(self.truth[at, patches].mode().values)
        together = self.told[at][patches].mean(dim=0).softmax(dim=0)
        return true >= 0 and float(together[true]) >= self.sure

    def patches(self, channel: int, value: int | None = None) -> torch.Tensor:
        truth = self.truth[channel]
        return torch.nonzero(truth > 0 if value is None else truth == value).flatten()


def _reduced(scene: Scene, sight: _Sight) -> Scene:
    patches = [sight.patches(_KIND, KIND_NUMBERS[o.kind]) for o in scene.objects]
    objects = tuple(_told(o, sight, at) for o, at in zip(scene.objects, patches, strict=True))
    # "The object is above the object" says nothing.
    clear = [r for r in scene.relations if any(objects[at].kind != SOMETHING for at in (r.subject, r.object))]
    board = scene.board
    if board and not sight.tells("word", sight.patches(_WORD)):
        board = dataclasses.replace(board, word="")
    return dataclasses.replace(scene, objects=objects, relations=tuple(clear), board=board)


def _told(thing: SceneObject, sight: _Sight, patches: torch.Tensor) -> SceneObject:
    return dataclasses.replace(
        thing,
        kind=thing.kind if sight.tells("kind", patches) else SOMETHING,
        colour=thing.colour if sight.tells("colour", patches) else "",
        size=thing.size if sight.tells("size", patches) else "",
        place=thing.place if sight.tells("place", patches) else "",
    )


# Each lesson draws its batches from a stream of its own.
_TOWER, _TEXT, _SPEECH, _JOINT, _EXAM = range(1, 6)
# How much the tower's own lesson weighs beside speech: it teaches in one step what captions take many for.
_SIGHT = 0.3
# The share of pictures in a strange light: of colour and background there is little to learn.
_RELIT = 0.5


@dataclass(frozen=True)
class Pictures:
    """The corpus to learn from, a part of the held-out one to look at now and then, and where to compute."""

    train: Sequence[Corpus]
    heldout: Sequence[Corpus]
    seed: int
    device: torch.device

    def exam(self, count: int) -> Batch:
        """The first held-out scenes."""
        return pick(self.heldout, range(min(count, sum(len(c) for c in self.heldout)))).to(self.device)

    def batch(self, size: int, rng: Rng, most: int = 5, relit: float = 0.0) -> Batch:
        """Training scenes of at most ``most`` objects, a share of them in a strange light."""
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
    """The tower tells what every patch shows."""

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
        told = _news(self, generator(self.pictures.seed, _TEXT, step))
        return language.loss(self.model, told, None)

    def evaluate(self) -> dict[str, float]:
        told = _news(self, generator(self.pictures.seed, _EXAM), heldout=True)
        return {"news": language.accuracy(self.model, told, None)}


@dataclass
class Speaking:
    """Captions of images whose features come from a tower that no longer learns, and news captions beside."""

    model: LlavaForConditionalGeneration
    speller: Speller
    pictures: Pictures
    size: int = 32
    news: int = 8
    name: str = "speech"

    def modules(self) -> dict[str, nn.Module]:
        # The tower is not this lesson's to keep: if it has learned more meanwhile, so much the better.
        return {"projector": self.model.model.multi_modal_projector, "language": self.model.model.language_model}

    def loss(self, step: int, progress: float) -> torch.Tensor:
        rng = generator(self.pictures.seed, _SPEECH, step)
        # From one object to five, over the first fifth of the lesson.
        batch = self.pictures.batch(self.size, rng, most=min(5, 1 + int(25 * progress)))
        told = self.speller.sequences(language.image_examples(batch.scenes, rng), True).to(self.pictures.device)
        with torch.no_grad():
            seen = language.look(self.model, batch.pixels)
        return language.loss(self.model, told, seen) + _news_share(self, rng)

    def evaluate(self) -> dict[str, float]:
        return _exam(self)


@dataclass
class Together:
    """Tower and language model at once; the tower goes on telling what every patch shows, also in strange light,
    and captions leave unsaid what it does not tell surely."""

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
        patches, whole = self.seer.tell(seen)
        examples = language.image_examples(batch.scenes, rng, told=witnessed(batch.scenes, patches, batch.patches))
        told = self.speller.sequences(examples, True).to(self.pictures.device)
        speech = language.loss(self.model, told, seen) + _news_share(self, rng)
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
    """Teacher-forced: how often the right next word comes first, on held-out scenes in training phrases."""
    batch = lesson.pictures.exam(96)
    rng = generator(lesson.pictures.seed, _EXAM)
    told = lesson.speller.sequences(language.image_examples(batch.scenes, rng), True).to(lesson.pictures.device)
    seen = language.look(lesson.model, batch.pixels)
    return {
        "words": language.accuracy(lesson.model, told, seen),
        "attributes": language.accuracy(lesson.model, told, seen, lesson.speller.attributes()),
        "news": language.accuracy(lesson.model, _news(lesson, rng, heldout=True), None),
    }
