"""Makes a verifier's probabilities mean what they say: a slope and a shift, fitted on scenes that nothing else is
measured or trained on, and stored in the checkpoint as the weights of the word "yes"."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from curation.demo.training.batches import locate, pick
from curation.demo.training.corpus import Corpus
from curation.demo.training.packed import Asker, hidden, states_at
from curation.demo.training.statements import pairs
from curation.demo.training.teaching import low_precision
from curation.demo.training.tower import features
from curation.demo.training.truths import truths
from curation.demo.training.verify_lesson import EVALUATED
from curation.demo.truth import generator

_TOGETHER = 16  # pictures
_STEPS = 500
_RIDGE = 1e-4  # of the states' mean square
_TRUTHS, _PAIRS = 4, 4  # statements about a scene: a third are false, as of a captioner that is worth a second look


def fitted_on(heldout: Sequence[Corpus]) -> range:
    """The scenes to fit on: those by which nothing was chosen during training."""
    count = sum(len(c) for c in heldout)
    return range(min(EVALUATED, count // 2), count)


@torch.no_grad()
def answered(
    model: LlavaForConditionalGeneration, asker: Asker, heldout: Sequence[Corpus], numbers: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoder's states (n, width) where it answers statements about these scenes, and which are true (n)."""
    states, true = [], []
    count = sum(len(c) for c in heldout)
    for first in range(0, len(numbers), _TOGETHER):
        some = numbers[first : first + _TOGETHER]
        rows = []
        for number in some:
            rng = generator(23, number)
            (c, k), (d, j) = locate(heldout, [number, int(rng.integers(count))])
            shown, stranger = c.scenes[k], d.scenes[j]
            both = pairs(shown, stranger, rng, _PAIRS)
            rows.append(
                [*(t.text for t in truths(shown, rng, _TRUTHS)), *(p.true for p in both), *(p.false for p in both)]
            )
        packed = asker.pack(rows)
        with low_precision(torch.device("cpu")):
            seen = features(model.model.vision_tower, pick(heldout, some).pixels).float()
            found = hidden(model, packed, seen)
        states.append(states_at(found, packed.places(1)).float().flatten(0, 1))
        true.append(torch.tensor([True] * (_TRUTHS + _PAIRS) + [False] * _PAIRS).repeat(len(some)))
    return torch.cat(states), torch.cat(true)


def fitted(leads: torch.Tensor, true: torch.Tensor) -> tuple[float, float]:
    """Slope and shift of the logistic curve that gives statements with these leads the likeliest probabilities."""
    both = torch.tensor([1.0, 0.0], requires_grad=True)
    optimiser = torch.optim.Adam([both], lr=0.02)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(leads * both[0] + both[1], true.float())
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
        optimiser.step()
    slope, shift = both.tolist()
    return slope, shift


@torch.no_grad()
def calibrate(
    model: LlavaForConditionalGeneration, asker: Asker, states: torch.Tensor, true: torch.Tensor
) -> tuple[float, float]:
    """Changes the weights of "yes" so that its lead over "no" is the fitted line of the old one. Returns the line.

    The shift is added along the direction that is most nearly the same in all states.
    """
    rows = model.lm_head.weight
    ahead = rows[asker.yes] - rows[asker.no]
    with torch.enable_grad():
        slope, shift = fitted(states @ ahead, true)
    rows[asker.yes] = rows[asker.no] + slope * ahead + shift * _same_in_all(states)
    return slope, shift


def _same_in_all(states: torch.Tensor) -> torch.Tensor:
    """The direction (width) whose product with each state (n, width) is nearest to 1, by ridge regression."""
    found = states.double()
    squares = found.T @ found
    ridge = _RIDGE * squares.diagonal().mean() * torch.eye(len(squares), dtype=squares.dtype)
    same: torch.Tensor = torch.linalg.solve(squares + ridge, found.sum(dim=0))
    return same.to(states.dtype)
