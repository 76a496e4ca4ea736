"""The verifier's lesson: yes or no to statements about pictures, in pairs and alone."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from curation.caption.model.images import square
from curation.demo.training import corpus
from curation.demo.training.batches import normalise
from curation.demo.training.packed import Asker, Packed, hidden, leads, states_at
from curation.demo.training.pair import Pair
from curation.demo.training.squares import square_pairs
from curation.demo.training.statements import pairs
from curation.demo.training.tower import features
from curation.demo.training.truths import Truth, truths
from curation.demo.truth import generator
from curation.demo.vocabulary import COLOURS

_WORDS = 0.5  # weight of the answers at every word
_PAIRS = 0.5  # weight of telling the two of a pair apart
_END = 0.05  # weight of ending after the answer
EVALUATED = 96  # scenes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Course:
    """A part of the training: its steps, rate and pictures a step, and how much each picture is asked about: ``pairs``
    of a true and a false statement, and ``truths``, true statements alone.
    """

    name: str
    steps: int
    rate: float
    batch: int
    pairs: int
    truths: int = 0


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
class Seen:
    """Scenes with the tower's features of their pictures (scenes, patches, width), float16, on disk."""

    chunks: list[corpus.Corpus]
    features: list[np.memmap[Any, np.dtype[np.float16]]]

    def __len__(self) -> int:
        return sum(len(c) for c in self.chunks)

    def at(self, index: int) -> tuple[Any, np.ndarray[Any, Any]]:
        size = len(self.chunks[0])
        return self.chunks[index // size].scenes[index % size], self.features[index // size][index % size]


@torch.no_grad()
def look(model: LlavaForConditionalGeneration, folder: Path, split: Any, count: int) -> Seen:
    """The features of a corpus; what was computed before is read again."""
    chunks = corpus.load(folder, split, count)
    found = []
    for number, chunk in enumerate(chunks):
        file = folder / f"{split}-{number:04d}-features.npy"
        if not file.exists():
            parts = [
                features(model.model.vision_tower, normalise(chunk.pixels[i : i + 100]))
                for i in range(0, len(chunk), 100)
            ]
            temporary = file.with_suffix(".tmp.npy")
            np.save(temporary, torch.cat(parts).half().numpy())
            temporary.replace(file)
            log.info("looked at %s", file.name)
        found.append(np.load(file, mmap_mode="r"))
    return Seen(chunks, found)


@dataclass
class Verifying:
    """Yes or no to statements about pictures."""

    model: LlavaForConditionalGeneration
    asker: Asker
    train: Seen
    heldout: Seen
    seed: int
    course: Course
    losses: dict[str, list[float]] = field(default_factory=dict)  # of the steps since the last evaluation

    @property
    def name(self) -> str:
        return self.course.name

    def modules(self) -> dict[str, nn.Module]:
        return {"projector": self.model.model.multi_modal_projector, "language": self.model.model.language_model}

    def loss(self, step: int, progress: float) -> torch.Tensor:
        rng = generator(self.seed, 21, step)
        numbers = rng.integers(0, len(self.train), self.course.batch)
        asked = [self._asked(self.train, int(i), rng) for i in numbers]
        seen = torch.from_numpy(np.stack([self.train.at(int(i))[1] for i in numbers])).float()
        more, squares = self._squares(rng, 1)
        return self._loss([*asked, *more], torch.cat([seen, squares]))

    def _asked(self, seen: Seen, index: int, rng: Any) -> Asked:
        shown, stranger = seen.at(index)[0], seen.at(int(rng.integers(len(seen))))[0]
        return Asked(pairs(shown, stranger, rng, self.course.pairs), truths(shown, rng, self.course.truths))

    def _squares(self, rng: Any, count: int) -> tuple[list[Asked], torch.Tensor]:
        """Pictures of plain squares, their features, and what is asked about them."""
        shown, asked = [], []
        for _ in range(count):
            ground, middle = (list(COLOURS)[int(i)] for i in rng.permutation(len(COLOURS))[:2])
            shown.append(corpus.pixels(square(256, ground, middle)))
            found = square_pairs(middle, ground, rng, self.course.pairs + self.course.truths)
            true = [Truth(p.true, p.fault) for p in found[self.course.pairs :]]
            asked.append(Asked(found[: self.course.pairs], true))
        with torch.no_grad():
            return asked, features(self.model.model.vision_tower, normalise(np.stack(shown))).float()

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
        rng = generator(self.seed, 22)
        right: dict[str, list[float]] = {}
        count = min(EVALUATED, len(self.heldout))
        for first in range(0, count, 48):
            numbers = range(first, min(count, first + 48))
            asked = [self._asked(self.heldout, i, rng) for i in numbers]
            seen = torch.from_numpy(np.stack([self.heldout.at(i)[1] for i in numbers])).float()
            lead = leads(self.model, self.asker, self.asker.pack([row.texts() for row in asked]), seen)
            for row, found in zip(asked, lead.tolist(), strict=True):
                for kind, truth, value in zip(row.kinds(), self._answers(), found, strict=True):
                    for name in ("true" if truth else "false", kind):
                        right.setdefault(name, []).append((value > 0) == truth)
        said = {k: float(np.mean(v)) for k, v in sorted(right.items())}
        said |= {f"loss, {k}": float(np.mean(v)) for k, v in sorted(self.losses.items())}
        self.losses.clear()
        return said
