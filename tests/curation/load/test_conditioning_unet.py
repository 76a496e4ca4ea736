"""Weights reach what a diffusion model attends to: a small untrained UNet of diffusers, read by a text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from curation.load.conditioning import Weighted, scaled, token_weights
from tests.support.words import WIDTH, states_of, word_tokenizer

CAPTION = "ann lee waves in the rain"
ANN, RAIN = Weighted(0, 7, 1.0), Weighted(21, 25, 1.0)


@cache
def unet() -> Any:
    """As Stable Diffusion's, with a cross-attention on the way down, in the middle and on the way up."""
    torch.manual_seed(1)
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(32, 32),
        norm_num_groups=8, cross_attention_dim=WIDTH, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()  # fmt: skip


def denoised(states: torch.Tensor) -> torch.Tensor:
    """What the UNet makes of the same noise under these states."""
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return unet()(noise, 10, encoder_hidden_states=states).sample  # type: ignore[no-any-return]


def weights(subjects: Sequence[Weighted], strength: float = 0.5) -> list[tuple[float, ...]]:
    return [token_weights(CAPTION, subjects, word_tokenizer(), strength).weights]


def change(subjects: Sequence[Weighted], strength: float = 0.5) -> torch.Tensor:
    states = states_of(CAPTION)
    return denoised(scaled(states, weights(subjects, strength))) - denoised(states)


def test_weights_of_one_change_nothing() -> None:
    states = states_of(CAPTION)
    assert torch.equal(denoised(scaled(states, [(1.0,) * 77])), denoised(states))
    assert torch.equal(change([]), torch.zeros(1, 4, 8, 8))
    assert torch.equal(change([Weighted(0, 7, 0.0)]), torch.zeros(1, 4, 8, 8))


def test_every_cross_attention_is_given_each_token_by_its_factor() -> None:
    seen: list[torch.Tensor] = []
    crossing = [m for name, m in unet().named_modules() if name.endswith("attn2.to_k")]
    hooks = [m.register_forward_pre_hook(lambda _, given: seen.append(given[0])) for m in crossing]
    states = states_of(CAPTION)
    try:
        denoised(scaled(states, weights([ANN, Weighted(21, 25, 0.4)])))
    finally:
        for hook in hooks:
            hook.remove()
    assert len(seen) == len(crossing) >= 3
    for given in seen:
        share = (given / states)[0].median(dim=-1).values
        found = share / share[2]  # "waves" is nobody's; what is left is common to all tokens
        expected = torch.tensor([1.5, 1.5, 1.0, 1.0, 1.0, 1.2, *[1.0] * 71])
        assert torch.allclose(found, expected, atol=1e-4)
        assert torch.allclose(given.mean(), states.mean(), atol=1e-4)


@pytest.mark.parametrize("subject", [ANN, RAIN])
def test_the_more_a_subject_weighs_the_further_the_picture_moves(subject: Weighted) -> None:
    by_strength = [change([subject], s).norm().item() for s in (0.1, 0.3, 1.0)]
    by_weight = [change([Weighted(subject.start, subject.end, w)]).norm().item() for w in (0.2, 0.6, 1.0)]
    assert 1e-5 < by_strength[0] < by_strength[1] < by_strength[2]
    assert 1e-5 < by_weight[0] < by_weight[1] < by_weight[2]


def test_another_subject_moves_the_picture_elsewhere() -> None:
    ann, rain = change([ANN]).flatten(), change([RAIN]).flatten()
    assert torch.nn.functional.cosine_similarity(ann, rain, dim=0) < 0.9


def test_a_mean_near_zero_scales_no_prompt_up_or_over() -> None:
    """Behind a layer norm all tokens have nearly the mean zero, and a quotient of two such means is any number."""
    torch.manual_seed(3)
    states = torch.nn.functional.layer_norm(torch.randn(200, 12, 8), (8,)) + 0.05 * torch.randn(200, 12, 1)
    factors = [1.0, 1.5, 1.2, *[1.0] * 9]
    found = scaled(states, [factors] * 200)
    shares = (found / states).median(dim=2).values
    plain = states.mean(dim=(1, 2)) / (states * torch.tensor(factors)[:, None]).mean(dim=(1, 2))
    assert plain.min() < 0 and plain.max() > 3, "the bare quotients are useless"
    assert shares.min() >= 1 / 1.5 - 1e-4 and shares.max() <= 1.5 + 1e-4
    assert torch.allclose(shares / shares[:, :1], torch.tensor(factors).expand(200, 12), atol=1e-3)
    kept = (plain > 1 / 1.5) & (plain < 1) & (states.mean(dim=(1, 2)).abs() > 0.01)
    assert kept.any() and torch.allclose(found.mean(dim=(1, 2))[kept], states.mean(dim=(1, 2))[kept], atol=1e-5)
