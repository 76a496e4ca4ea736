"""Measures the captioner as the judge of statements: ``python -m curation.demo.training.self_verifying``.

It answers no question about a statement. But it can be asked how likely it would have written it: at each word that
names a thing, a colour, a size, a number, a place or a relation, how much less likely that word is than the word of
this sort that it would rather have written. The worst word of a statement decides. What probability that is, is fitted
on training scenes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from curation.caption.model.checkpoint import locate
from curation.demo.false_captions import SEED
from curation.demo.render import jpeg
from curation.demo.training import corpus
from curation.demo.training.batches import normalise
from curation.demo.training.calibrating import fitted
from curation.demo.training.packed import hidden, pack
from curation.demo.training.saving import add_figures
from curation.demo.training.shape import IMAGE_TOKENS
from curation.demo.training.tasks import prompt
from curation.demo.training.teaching import low_precision
from curation.demo.training.tower import features
from curation.demo.training.verifying import VERIFIER, Verifier, asked_of, figures
from curation.demo.truth import Scene
from curation.demo.vocabulary import COLOURS, COLUMNS, KINDS, NUMBERS, RELATIONS, ROWS, SIZES, WORDS
from curation.demo.world import scene

_ITSELF = "the captioner as its own judge"
_COMPARED = ("held-out scenes", "true statements called false", "expected calibration error", "true rated above false")
_FITTED_ON = 100  # training scenes
_TOGETHER = 8  # pictures


def self_verifier(folder: Path) -> Verifier:
    """The captioner's doubts about statements, as probabilities."""
    doubts = open_doubts(folder)
    shown = [scene(SEED + 1, i) for i in range(_FITTED_ON)]
    asked = asked_of(shown)
    rows = [[a.text for a in asked if a.scene == at] for at in range(len(shown))]
    scores = torch.tensor([x for row in doubts(shown, rows) for x in row])
    slope, shift = fitted(scores, torch.tensor([a.true for a in asked]))

    def verify(scenes: Sequence[Scene], statements: Sequence[Sequence[str]]) -> list[list[float]]:
        found = doubts(scenes, statements)
        return [torch.sigmoid(torch.tensor(row) * slope + shift).tolist() for row in found]

    return verify


def open_doubts(folder: Path) -> Verifier:
    """For every statement the least log-probability of a word of it, less that of the word it would rather write."""
    model: Any = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.set_attn_implementation("eager")
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    telling = torch.tensor(_telling(tokenizer))
    opening = _ids(tokenizer, "<s>USER: ")
    asked = _ids(tokenizer, f"\n{prompt('dense').render('', {})}\nASSISTANT:")
    prefix = [*opening, *[model.config.image_token_index] * IMAGE_TOKENS, *asked]

    @torch.no_grad()
    def doubts(scenes: Sequence[Scene], rows: Sequence[Sequence[str]]) -> list[list[float]]:
        found: list[list[float]] = []
        for at in range(0, len(scenes), _TOGETHER):
            some = rows[at : at + _TOGETHER]
            most = max(len(r) for r in some)
            # The last token of the request stands before each statement, since it predicts the first one.
            tokens = [[[prefix[-1], *_ids(tokenizer, t)] for t in [*r, *["."] * (most - len(r))]] for r in some]
            packed = pack(prefix[:-1], tokens, tokenizer.pad_token_id)
            pictures = np.stack([corpus.pixels(jpeg(s)) for s in scenes[at : at + _TOGETHER]])
            with low_precision(torch.device("cpu")):
                seen = features(model.model.vision_tower, normalise(pictures)).float()
                states = hidden(model, packed, seen)
            for number, row in enumerate(some):
                likely = torch.log_softmax(model.lm_head(states[number].to(torch.float32)).float(), dim=-1)
                best = likely[:, telling].max(dim=1).values
                ids = packed.ids[number].flatten()
                gaps = (likely[:-1].gather(1, ids[1:, None])[:, 0] - best[:-1]).where(
                    torch.isin(ids[1:], telling), torch.tensor(0.0)
                )
                spans = zip(packed.first[number].tolist(), packed.lengths[number].tolist(), strict=True)
                least = [float(gaps[a : a + n - 1].min()) for a, n in spans]
                found.append(least[: len(row)])
        return found

    return doubts


def _telling(tokenizer: Any) -> list[int]:
    """The first tokens of words that only a look at the picture can choose."""
    words = [*KINDS, *(k.plural for k in KINDS.values()), *COLOURS, *SIZES, *NUMBERS[1:6], *COLUMNS, *ROWS]
    words += [*RELATIONS, "top", "bottom", *WORDS]
    spelled = {_ids(tokenizer, form)[0] for w in words for form in (f" {w}", w.capitalize(), w)}
    return sorted(i for i in spelled if len(tokenizer.decode([i]).strip()) > 2)


def _ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return found


def compared(found: Mapping[str, float]) -> dict[str, float]:
    """What a verifier's card says of the captioner: the rows to compare with its own."""
    caught = [value for name, value in found.items() if name.startswith("caught")]
    rows = {"caught, the mean of all faults": float(np.mean(caught)), "caught, the least of all faults": min(caught)}
    rows |= {name: found[name] for name in _COMPARED}
    return {f"{_ITSELF}: {name}": value for name, value in rows.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.demo.training.self_verifying", description=__doc__)
    parser.add_argument("--model", default="demo", help="a captioner's checkpoint folder, or demo")
    parser.add_argument("--scenes", type=int, default=300, help="held-out scenes to measure on")
    parser.add_argument("--write", type=Path, help="a verifier's checkpoint folder, for the card to compare with")
    options = parser.parse_args(arguments)
    shown = [scene(SEED, i, "heldout") for i in range(options.scenes)]
    found = figures(shown, self_verifier(Path(locate(options.model))))
    for name, value in found.items():
        sys.stdout.write(f"{name:50} {value:.4g}\n")
    if options.write:
        add_figures(options.write, compared(found), VERIFIER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
