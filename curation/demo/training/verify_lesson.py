"""The verifier's lesson: yes or no to statements about pictures, in pairs and alone; its tower learns, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from curation.caption.model.images import square
from curation.demo.training import corpus, tower
from curation.demo.training.batches import locate, normalise, pick
from curation.demo.training.doubts import Doubt
from curation.demo.training.lessons import Pictures
from curation.demo.training.packed import Asker, Packed, hidden, leads, states_at
from curation.demo.training.pair import Pair
from curation.demo.training.squares import square_pairs
from curation.demo.training.statements import doubtful_pair, pairs
from curation.demo.training.tower import Seer, features
from curation.demo.training.truths import Truth, truths
from curation.demo.truth import Scene, generator
from curation.demo.vocabulary import COLOURS

_WORDS = 0.5  # weight of the answers at every word
_PAIRS = 0.5  # weight of telling the two of a pair apart
_END = 0.05  # weight of ending after the answer
_SIGHT = 0.3  # weight of the tower's own classes
EVALUATED = 96  # scenes


@dataclass(frozen=True)
class Course:
    """A part of the training: its steps, rate and pictures a step, and how much each picture is asked about: ``pairs``
    of a true and a false statement, and ``truths``, true statements alone. ``relit`` more pictures a step are shown in
    changed light, and asked about nothing: they teach the tower shapes in colours that it never saw.
    """

    name: str
    steps: int
    rate: float
    batch: int
    pairs: int
    truths: int = 0
    relit: int = 0


@dataclass(frozen=True)
class Asked:
    """What is asked about a picture; of the statements of the pairs, every second one is false."""

    pairs: list[Pair]
    truths: list[Truth]

    def texts(self) -> list[str]:
        return [*(text for p in self.pairs for text in (p.true, p.false)), *(t.text for t in self.truths)]

    def kinds(self) -> list[str]:
        """What sort of statement each is."""
        return [
            *(kind for p in self.pairs for kind in (f"{p.fault}, true", f"{p.fault}, false")),
            *(t.kind for t in self.truths),
        ]


@dataclass
class Verifying:
    """Yes or no to statements about pictures."""

    model: LlavaForConditionalGeneration
    seer: Seer  # around the model's own tower
    asker: Asker
    pictures: Pictures
    doubts: Mapping[int, Sequence[Doubt]]  # of training scenes, by their numbers
    course: Course
    losses: dict[str, list[float]] = field(default_factory=dict)  # of the steps since the last evaluation

    @property
    def name(self) -> str:
        return self.course.name

    def modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "seer": self.seer}

    def loss(self, step: int, progress: float) -> torch.Tensor:
        rng = generator(self.pictures.seed, 21, step)
        numbers = self._drawn(rng)
        batch = pick(self.pictures.train, numbers, rng)
        asked = [
            self._asked(s, self.pictures.train, rng, self.doubts.get(int(i), ()))
            for i, s in zip(numbers, batch.scenes, strict=True)
        ]
        more, squares = self._squares(rng, 1)
        seen = features(self.model.model.vision_tower, torch.cat([batch.pixels, squares]))
        shown = tower.loss_of(*self.seer.classify(seen[: len(batch.scenes)]), batch)
        if self.course.relit:
            shown = shown + tower.loss(self.seer, self.pictures.batch(self.course.relit, rng, relit=1.0))
        return self._loss([*asked, *more], seen) + _SIGHT * shown

    def _drawn(self, rng: Any) -> NDArray[np.int64]:
        """The numbers of a step's scenes: as many as there can be, up to half, are doubtful ones."""
        whole = sum(len(c) for c in self.pictures.train)
        doubtful = np.array(sorted(self.doubts), np.int64)
        half = self.course.batch // 2 if len(doubtful) else 0
        more = rng.integers(0, whole, self.course.batch - half)
        return np.concatenate([more, doubtful[rng.integers(0, len(doubtful), half)]]) if half else more

    def _asked(self, shown: Scene, among: Sequence[corpus.Corpus], rng: Any, doubts: Sequence[Doubt] = ()) -> Asked:
        ((other, at),) = locate(among, [int(rng.integers(sum(len(c) for c in among)))])
        doubted = [p for d in rng.permutation(len(doubts))[:2] if (p := doubtful_pair(shown, doubts[int(d)], rng))]
        more = pairs(shown, other.scenes[at], rng, self.course.pairs - len(doubted))
        return Asked([*doubted, *more], truths(shown, rng, self.course.truths))

    def _squares(self, rng: Any, count: int) -> tuple[list[Asked], torch.Tensor]:
        """What is asked about pictures of plain squares, and their pixels."""
        shown, asked = [], []
        for _ in range(count):
            ground, middle = (list(COLOURS)[int(i)] for i in rng.permutation(len(COLOURS))[:2])
            shown.append(corpus.pixels(square(256, ground, middle)))
            found = square_pairs(middle, ground, rng, self.course.pairs + self.course.truths)
            true = [Truth(p.true, p.fault) for p in found[self.course.pairs :]]
            asked.append(Asked(found[: self.course.pairs], true))
        return asked, normalise(np.stack(shown))

    def _loss(self, asked: list[Asked], seen: torch.Tensor) -> torch.Tensor:
        packed = self.asker.pack([row.texts() for row in asked], answers=self._answers())
        n, s = packed.lengths.shape
        truth = torch.tensor(self._answers()).expand(n, s)
        answers = torch.where(truth, self.asker.yes, self.asker.no)
        states = hidden(self.model, packed, seen)
        logits = self.model.lm_head(states_at(states, packed.places(2))).float()
        each = functional.cross_entropy(logits.flatten(0, 1), answers.flatten(), reduction="none").view(n, s)
        self._note(asked, each.detach())
        lead = (logits[..., self.asker.yes] - logits[..., self.asker.no])[:, : 2 * self.course.pairs]
        apart = functional.softplus(lead[:, 1::2] - lead[:, ::2]).mean()
        then = self.model.lm_head(states_at(states, packed.places(1))).float().flatten(0, 1)
        ended = functional.cross_entropy(then, torch.full((n * s,), self.asker.end))
        return each.mean() + _WORDS * self._word_by_word(states, packed, asked) + _PAIRS * apart + _END * ended

    def _answers(self) -> list[bool]:
        return [True, False] * self.course.pairs + [True] * self.course.truths

    def _note(self, asked: list[Asked], each: torch.Tensor) -> None:
        """Keeps the losses by kind of statement, for the log."""
        for row, found in zip(asked, each.tolist(), strict=True):
            for kind, loss in zip(row.kinds(), found, strict=True):
                self.losses.setdefault(kind, []).append(loss)

    def _word_by_word(self, states: torch.Tensor, packed: Packed, asked: list[Asked]) -> torch.Tensor:
        """The loss of the answer at every word: of a pair from the first one in which the two differ to the statement's
        end, of a true statement from its first."""
        numbers: list[int] = []
        wanted: list[float] = []
        ends = len(self.asker.suffix) + 1
        for at, row in enumerate(asked):
            for which, common in enumerate(self._decided(row)):
                first, length = int(packed.first[at, which]), int(packed.lengths[at, which])
                base = at * states.shape[1] + first
                numbers += range(base + common, base + length - ends)
                wanted += [float(self._answers()[which])] * max(0, length - ends - common)
        rows = self.model.lm_head.weight[[self.asker.yes, self.asker.no]]
        leads = states.flatten(0, 1)[torch.tensor(numbers)] @ (rows[0] - rows[1]).to(states.dtype)
        return functional.binary_cross_entropy_with_logits(leads.float(), torch.tensor(wanted))

    def _decided(self, row: Asked) -> list[int]:
        """The number of each statement's first token from which on its answer is known."""
        found: list[int] = []
        for pair in row.pairs:
            one, two = self.asker.tokens(pair.true), self.asker.tokens(pair.false)
            found += [next(i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)] * 2
        return [*found, *[0] * len(row.truths)]

    def evaluate(self) -> dict[str, float]:
        """Shares of right answers about held-out scenes, and the losses of the last steps, by kind of statement."""
        rng = generator(self.pictures.seed, 22)
        right: dict[str, list[float]] = {}
        heldout = self.pictures.heldout
        count = min(EVALUATED, sum(len(c) for c in heldout))
        for first in range(0, count, 24):
            batch = pick(heldout, range(first, min(count, first + 24)))
            asked = [self._asked(s, heldout, rng) for s in batch.scenes]
            seen = features(self.model.model.vision_tower, batch.pixels)
            lead = leads(self.model, self.asker, self.asker.pack([row.texts() for row in asked]), seen)
            for row, found in zip(asked, lead.tolist(), strict=True):
                for kind, truth, value in zip(row.kinds(), self._answers(), found, strict=True):
                    for name in ("true" if truth else "false", kind):
                        right.setdefault(name, []).append((value > 0) == truth)
        said = {k: float(np.mean(v)) for k, v in sorted(right.items())}
        said |= {f"loss, {k}": float(np.mean(v)) for k, v in sorted(self.losses.items())}
        self.losses.clear()
        return said
