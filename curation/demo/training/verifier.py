"""Trains the demo verifier: ``python -m curation.demo.training.verifier``.

It begins with the captioner's tower, which stays as it is, and the first layers of its decoder. Each picture is asked
about in pairs of statements that differ in one thing. The answer is learned at the end of the request, and, from the
first word in which the two of a pair differ, at every word: so each step says which word was the wrong one.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoTokenizer, LlavaForConditionalGeneration, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from curation.caption.model.checkpoint import locate
from curation.caption.model.images import square
from curation.demo.training import corpus
from curation.demo.training.batches import normalise
from curation.demo.training.packed import Asker, Packed, hidden, leads, states_at
from curation.demo.training.pair import Pair
from curation.demo.training.saving import check_target, save_checkpoint, save_figures
from curation.demo.training.squares import square_pairs
from curation.demo.training.statements import pairs
from curation.demo.training.teaching import Pace, teach
from curation.demo.training.tokens import add_verifying
from curation.demo.training.tower import features
from curation.demo.truth import generator
from curation.demo.vocabulary import COLOURS

SHIPPED = Path(__file__).parents[1] / "verifier"
LAYERS = 3
_WORDS = 0.5  # weight of the answers at every word
_PAIRS = 0.5  # weight of telling the two of a pair apart
_END = 0.05  # weight of ending after the answer

log = logging.getLogger(__name__)


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
    size: int = 16
    pairs: int = 12
    name: str = "verify"

    def modules(self) -> dict[str, nn.Module]:
        return {"projector": self.model.model.multi_modal_projector, "language": self.model.model.language_model}

    def loss(self, step: int, progress: float) -> torch.Tensor:
        rng = generator(self.seed, 21, step)
        numbers = rng.integers(0, len(self.train), self.size)
        asked = [self._pairs(self.train, int(i), rng) for i in numbers]
        seen = torch.from_numpy(np.stack([self.train.at(int(i))[1] for i in numbers])).float()
        more, squares = self._squares(rng, 1)
        return self._loss([*asked, *more], torch.cat([seen, squares]))

    def _squares(self, rng: Any, count: int) -> tuple[list[list[Pair]], torch.Tensor]:
        """Pictures of plain squares, their features, and pairs about them."""
        shown, asked = [], []
        for _ in range(count):
            ground, middle = (list(COLOURS)[int(i)] for i in rng.permutation(len(COLOURS))[:2])
            shown.append(corpus.pixels(square(256, ground, middle)))
            asked.append(square_pairs(middle, ground, rng, self.pairs))
        with torch.no_grad():
            return asked, features(self.model.model.vision_tower, normalise(np.stack(shown))).float()

    def _pairs(self, seen: Seen, index: int, rng: Any) -> list[Pair]:
        stranger = seen.at(int(rng.integers(len(seen))))[0]
        return pairs(seen.at(index)[0], stranger, rng, self.pairs)

    def _loss(self, asked: list[list[Pair]], seen: torch.Tensor) -> torch.Tensor:
        packed = self.asker.pack(
            [[text for p in row for text in (p.true, p.false)] for row in asked], answers=(True, False)
        )
        n, s = packed.lengths.shape
        truth = torch.tensor([True, False]).repeat(s // 2).expand(n, s)
        answers = torch.where(truth, self.asker.yes, self.asker.no)
        states = hidden(self.model, packed, seen)
        logits = self.model.lm_head(states_at(states, packed.places(2))).float()
        said = functional.cross_entropy(logits.flatten(0, 1), answers.flatten())
        lead = logits[..., self.asker.yes] - logits[..., self.asker.no]
        apart = functional.softplus(lead[:, 1::2] - lead[:, ::2]).mean()
        then = self.model.lm_head(states_at(states, packed.places(1))).float().flatten(0, 1)
        ended = functional.cross_entropy(then, torch.full((n * s,), self.asker.end))
        return said + _WORDS * self._word_by_word(states, packed, asked) + _PAIRS * apart + _END * ended

    def _word_by_word(self, states: torch.Tensor, packed: Packed, asked: list[list[Pair]]) -> torch.Tensor:
        """The loss of the answer at every word from the first one in which a pair differs to the statement's end."""
        numbers: list[int] = []
        wanted: list[float] = []
        ends = len(self.asker.suffix) + 1
        for at, row in enumerate(asked):
            for k, pair in enumerate(row):
                one, two = self.asker.tokens(pair.true), self.asker.tokens(pair.false)
                common = next(i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
                for which in (2 * k, 2 * k + 1):
                    first, length = int(packed.first[at, which]), int(packed.lengths[at, which])
                    base = at * states.shape[1] + first
                    numbers += range(base + common, base + length - ends)
                    wanted += [1.0 - which % 2] * max(0, length - ends - common)
        rows = self.model.lm_head.weight[[self.asker.yes, self.asker.no]]
        leads = states.flatten(0, 1)[torch.tensor(numbers)] @ (rows[0] - rows[1]).to(states.dtype)
        return functional.binary_cross_entropy_with_logits(leads.float(), torch.tensor(wanted))

    def evaluate(self) -> dict[str, float]:
        rng = generator(self.seed, 22)
        right: dict[str, list[float]] = {}
        count = min(192, len(self.heldout))
        for first in range(0, count, 48):
            numbers = range(first, min(count, first + 48))
            asked = [self._pairs(self.heldout, i, rng) for i in numbers]
            seen = torch.from_numpy(np.stack([self.heldout.at(i)[1] for i in numbers])).float()
            packed = self.asker.pack([[text for p in row for text in (p.true, p.false)] for row in asked])
            lead = leads(self.model, self.asker, packed, seen)
            for row, found in zip(asked, lead.tolist(), strict=True):
                for pair, a, b in zip(row, found[::2], found[1::2], strict=True):
                    right.setdefault("true", []).append(a > 0)
                    right.setdefault("false", []).append(b <= 0)
                    right.setdefault(f"{pair.fault}", []).append((a > 0) * 0.5 + (b <= 0) * 0.5)
        return {k: float(np.mean(v)) for k, v in right.items()}


def begin(captioner: Path, layers: int = LAYERS) -> tuple[LlavaForConditionalGeneration, PreTrainedTokenizerFast]:
    """The captioner with fewer decoder layers, and its tokenizer with the words of the verify prompt."""
    model: Any = LlavaForConditionalGeneration.from_pretrained(captioner, dtype=torch.float32)
    model.set_attn_implementation("eager")
    tokenizer = AutoTokenizer.from_pretrained(captioner)
    add_verifying(tokenizer)
    decoder = model.model.language_model
    decoder.layers = decoder.layers[:layers]
    for config in (model.config.text_config, decoder.config):
        config.num_hidden_layers = layers
        config.layer_types = None
    torch.manual_seed(1)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=True)
    model.model.vision_tower.requires_grad_(False)
    return model, tokenizer


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.training.verifier", description=__doc__)
    parser.add_argument("--captioner", type=Path, default=locate("demo"), help="the checkpoint to begin with")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="folder for the checkpoint")
    parser.add_argument("--work", type=Path, default=Path("runs/verifier"), help="folder for corpus and state")
    parser.add_argument("--corpus", type=Path, help="folder for rendered scenes (default: a folder in --work)")
    parser.add_argument("--steps", type=int, default=2700)
    parser.add_argument("--scenes", type=int, default=12_000, help="training scenes to render")
    parser.add_argument("--heldout", type=int, default=1_500, help="held-out scenes to render")
    parser.add_argument("--chunk", type=int, default=500, help="scenes of one file of the corpus")
    parser.add_argument("--batch", type=int, default=15, help="pictures per step")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 for all cores")
    parser.add_argument("--score", type=int, default=1000, help="held-out scenes to measure on; 0 for none")
    parser.add_argument("--seed", type=int, default=202, help="of the scenes; another one than the captioner's")
    options = parser.parse_args(arguments)
    try:
        check_target(options.out)
    except ValueError as error:
        parser.error(f"--out: {error}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    disable_progress_bar()
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    rendered = options.corpus or options.work / "corpus"
    workers = os.cpu_count() or 1
    corpus.build(rendered, options.heldout, options.seed, "heldout", workers, options.chunk)
    corpus.build(rendered, options.scenes, options.seed, "train", workers, options.chunk)
    model, tokenizer = begin(options.captioner)
    asker = Asker(tokenizer, model.config.image_token_index)
    train, heldout = (
        look(model, rendered, split, count)
        for split, count in (("train", options.scenes), ("heldout", options.heldout))
    )
    lesson = Verifying(model, asker, train, heldout, options.seed, options.batch)
    pace = Pace(options.steps, rate=options.rate, evaluate_every=100)
    state = teach(lesson, pace, options.work, torch.device("cpu"))
    save_checkpoint(options.out, model, tokenizer, state.records)
    if options.score:
        from curation.demo.training.verifying import VERIFIER, measure

        save_figures(options.out, measure(options.out, options.score), state.records, VERIFIER)
    log.info("the checkpoint is in %s", options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
