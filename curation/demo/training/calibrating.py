"""Makes a verifier's probabilities mean what they say: a slope and a shift, fitted on scenes that nothing else is
measured or trained on, and stored in the checkpoint as the weights of the word "yes"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from curation.demo.training.packed import Asker, hidden, states_at
from curation.demo.training.statements import pairs
from curation.demo.training.teaching import low_precision
from curation.demo.training.truths import truths
from curation.demo.training.verify_lesson import EVALUATED, Seen
from curation.demo.truth import generator

_TOGETHER = 16  # pictures
_STEPS = 500
_TRUTHS, _PAIRS = 10, 4  # statements about a scene: as many false ones as captions with one fault have


def fitted_on(seen: Seen) -> range:
    """The scenes to fit on: those by which nothing was chosen during training."""
    return range(min(EVALUATED, len(seen) // 2), len(seen))


@torch.no_grad()
def answered(
    model: LlavaForConditionalGeneration, asker: Asker, seen: Seen, numbers: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoder's states (n, width) where it answers statements about these scenes, and which are true (n)."""
    states, true = [], []
    for first in range(0, len(numbers), _TOGETHER):
        some = numbers[first : first + _TOGETHER]
        rows = []
        for number in some:
            rng = generator(23, number)
            shown, stranger = seen.at(number)[0], seen.at(int(rng.integers(len(seen))))[0]
            both = pairs(shown, stranger, rng, _PAIRS)
            rows.append(
                [*(t.text for t in truths(shown, rng, _TRUTHS)), *(p.true for p in both), *(p.false for p in both)]
            )
        packed = asker.pack(rows)
        with low_precision(torch.device("cpu")):
            found = hidden(model, packed, torch.from_numpy(np.stack([seen.at(n)[1] for n in some])).float())
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

    The shift is added along the mean of the states, which is nearly the same in all of them.
    """
    rows = model.lm_head.weight
    ahead = rows[asker.yes] - rows[asker.no]
    with torch.enable_grad():
        slope, shift = fitted(states @ ahead, true)
    mean = states.mean(dim=0)
    rows[asker.yes] = rows[asker.no] + slope * ahead + shift * mean / mean.square().sum()
    return slope, shift
