"""Teaches the whole model to answer: captions from images, JSON from news captions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.nn import functional
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from curation.demo.training.shape import IMAGE, IMAGE_TOKENS
from curation.demo.training.tasks import Example, image_example, news_example
from curation.demo.training.tower import features
from curation.demo.truth import Rng, Scene
from curation.demo.vocabulary import COLOURS, KINDS, NUMBERS, SIZES

_IGNORED = -100


@dataclass(frozen=True)
class Sequences:
    """``ids`` (n, length), padded on the right; ``targets`` the same with everything but the answer ignored."""

    ids: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device) -> Sequences:
        return Sequences(self.ids.to(device), self.targets.to(device))


class Speller:
    """Turns examples into token sequences, as the chat template and the processor would."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer: Any = tokenizer
        self.image: int = self.tokenizer.convert_tokens_to_ids(IMAGE)
        self.pad: int = self.tokenizer.pad_token_id
        self._begin: int = self.tokenizer.bos_token_id
        self._end: int = self.tokenizer.eos_token_id
        self._opening = [self._begin, *self._ids("USER: ")]
        self._closing = self._ids("\nASSISTANT:")

    def sequences(self, examples: Sequence[Example], with_image: bool) -> Sequences:
        image = [*[self.image] * IMAGE_TOKENS, *self._ids("\n")] if with_image else []
        rows: list[tuple[list[int], list[int]]] = []
        for example in examples:
            question = [*self._opening, *image, *self._ids(example.prompt), *self._closing]
            answer = [*self._ids(example.answer), self._end]
            rows.append((question + answer, [_IGNORED] * len(question) + answer))
        length = max(len(ids) for ids, _ in rows)
        return Sequences(
            torch.tensor([ids + [self.pad] * (length - len(ids)) for ids, _ in rows]),
            torch.tensor([answer + [_IGNORED] * (length - len(answer)) for _, answer in rows]),
        )

    @cache  # noqa: B019  # one speller lives as long as the training
    def attributes(self) -> torch.Tensor:
        """The tokens that name kinds, colours, sizes and numbers: those that need the image."""
        words = [*KINDS, *(k.plural for k in KINDS.values()), *COLOURS, *SIZES, *NUMBERS[1:5]]
        spelled = [self._ids(form) for w in words for form in (f" {w}", w.capitalize())]
        return torch.tensor(sorted({ids[0] for ids in spelled if len(self.tokenizer.decode(ids[:1]).strip()) > 2}))

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return found


def image_examples(
    scenes: Sequence[Scene], rng: Rng, dense: float = 0.7, visible: Sequence[Scene] | None = None
) -> list[Example]:
    """One question about the image of every scene, a share ``dense`` of them for dense captions; in training phrases.

    The answers describe ``visible``, the scenes reduced to their visible facts; by default the scenes themselves.
    """
    shown = [dataclasses.replace(s, split="train") for s in scenes]
    answers = shown if visible is None else [dataclasses.replace(s, split="train") for s in visible]
    strangers = [shown[int(i)] for i in rng.integers(0, len(shown), len(shown))]
    return [
        image_example("dense" if rng.random() < dense else "short", s, other, rng, answer)
        for s, other, answer in zip(shown, strangers, answers, strict=True)
    ]


def news_examples(scenes: Sequence[Scene], rng: Rng) -> list[Example]:
    """A question about a news caption of every scene."""
    return [
        news_example("entities" if rng.random() < 0.5 else "subjects", dataclasses.replace(s, split="train"), rng)
        for s in scenes
    ]


def answer_logits(
    model: LlavaForConditionalGeneration, sequences: Sequences, seen: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (tokens, vocabulary) for all answer tokens of a batch, and these tokens. ``seen`` are the tower's
    features (n, patches, width) for sequences with an image."""
    embedded = model.get_input_embeddings()(sequences.ids)
    if seen is not None:
        projected = model.model.multi_modal_projector(seen)
        at = (sequences.ids == model.config.image_token_index).unsqueeze(-1)
        embedded = embedded.to(projected.dtype).masked_scatter(at, projected)
    hidden = model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    follows = sequences.targets[:, 1:]
    answered = follows != _IGNORED
    return model.lm_head(hidden[:, :-1][answered]).float(), follows[answered]


def loss(model: LlavaForConditionalGeneration, sequences: Sequences, seen: torch.Tensor | None) -> torch.Tensor:
    """Mean cross-entropy of the answers' tokens."""
    return functional.cross_entropy(*answer_logits(model, sequences, seen))


@torch.no_grad()
def accuracy(
    model: LlavaForConditionalGeneration,
    sequences: Sequences,
    seen: torch.Tensor | None,
    among: torch.Tensor | None = None,
) -> float:
    """Share of the answers' tokens (of those ``among`` the given ones) that the model predicts."""
    logits, truth = answer_logits(model, sequences, seen)
    counted = torch.ones_like(truth, dtype=torch.bool) if among is None else torch.isin(truth, among.to(truth.device))
    return float((logits.argmax(1) == truth)[counted].float().mean())


def look(model: LlavaForConditionalGeneration, pixels: torch.Tensor) -> torch.Tensor:
    """The features of the model's tower: (n, patches, width)."""
    return features(model.model.vision_tower, pixels)
