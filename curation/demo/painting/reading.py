"""Reads a release into memory by the loader: small pictures, and the tokens of their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Self

import numpy as np
import torch
from PIL import Image

from curation.caption.model.checkpoint import locate
from curation.load.conditioning import Weighted, weights_of
from curation.load.loader import load, pad

HEIGHT, WIDTH = 24, 48
"""Pixels of a painted picture: the middle half of one of the corner, where all of its things stand."""
TOKENS = 32
"""Tokens of a text that the painter reads, at most; a short caption has 10 to 25."""
CLIP_TOKENS = 77
"""Likewise of a dense one, as CLIP's text encoder has it."""
NEWS_TOKENS = 56
"""Likewise of a news caption, whose names are spelt in many tokens; it has 12 to 55."""
PAD = 0


@dataclass(frozen=True)
class Lessons:
    """Pictures, uint8 (n, 3, HEIGHT, WIDTH), and their texts; with a language model's states of each text, (tokens,
    width), and of the empty one, or with ``factors`` of each text's tokens. Those that teach how to extend a picture
    have the ``canvas`` of each, float (n, 4, HEIGHT, WIDTH): see ``curation.demo.painting.painter.Painter``."""

    pixels: torch.Tensor
    texts: list[str]
    states: list[torch.Tensor] = field(default_factory=list)
    of_nothing: torch.Tensor | None = None
    canvas: torch.Tensor | None = None
    factors: Sequence[Sequence[float]] = ()

    def __len__(self) -> int:
        return len(self.texts)


def read_release(root: str, captions: Mapping[str, float], seed: int = 0, states: bool = False) -> Lessons:
    """The train split of a release in its own order, each picture with the caption that the loader draws.

    Pictures are few and small enough to be read once: what each epoch reads afterwards is a permutation of them.
    A picture that has none of these captions has no text. (The loader would take the preferred one, and an arm that
    trains on alt texts would learn from captions where alt texts are empty.) ``states`` reads the features beside the
    release, too.
    """
    wanted: Literal["valid", False] = "valid" if states else False
    release = load(root, "train", captions, shuffle=0, seed=seed, transform=shrunk, features=wanted)
    pixels, texts, found = [], [], []
    for sample in release:
        pixels.append(sample["image"])
        texts.append(text_of(sample, captions))
        if states:
            found.append(sample["features"].float())
    return Lessons(torch.stack(pixels), texts, found, release.empty_prompt()["features"].float() if states else None)


def read_news(root: str, strength: float, most: int = NEWS_TOKENS) -> Lessons:
    """The train split of a release of news in its own order, each picture with its caption. Where ``strength`` is not
    0, each token has the factor that the release's subjects give it."""
    rows = list(load(root, "train", shuffle=0, transform=shrunk))
    texts = [str(row["caption"]) for row in rows]
    factors = []
    if strength:
        for text, row in zip(texts, rows, strict=True):
            subjects = [Weighted(s["start"], s["end"], s["weight"]) for s in row["json"]["subjects"]]
            factors.append(factors_of(text, subjects, strength, most))
    return Lessons(torch.stack([row["image"] for row in rows]), texts, factors=factors)


def factors_of(text: str, subjects: Sequence[Weighted], strength: float, most: int = TOKENS) -> tuple[float, ...]:
    """A factor for each of the ``most`` tokens that a painter reads of a text, the begin token and padding included."""
    end = (len(text), len(text))
    encoded = tokenizer()(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    offsets = [end, *((int(a), int(b)) for a, b in encoded)][:most]
    return weights_of(text, [*offsets, *[end] * (most - len(offsets))], subjects, strength).weights


def text_of(sample: Mapping[str, Any], captions: Mapping[str, float]) -> str:
    """A sample's caption if it is one of these kinds, else nothing."""
    asked_for = sample["caption_kind"] in captions or "preferred" in captions
    return str(sample["caption"]) if asked_for else ""


def shrunk(image: Image.Image, width: int = WIDTH) -> torch.Tensor:
    """The middle half of a picture as uint8 (3, HEIGHT, width)."""
    box = (0, image.height / 4, image.width, image.height * 3 / 4)
    small = image.convert("RGB").resize((width, HEIGHT), Image.Resampling.LANCZOS, box)
    return torch.from_numpy(np.array(small).transpose(2, 0, 1).copy())


@cache
def tokenizer() -> Any:
    """The demo captioner's: a byte-level BPE of the world's English, which spells any text."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(locate("demo"))
    found.padding_side = "right"
    return found


def tokens_of(texts: Sequence[str], most: int = TOKENS) -> torch.Tensor:
    """Token numbers, int64 (n, most): a begin token, then the text, cut or padded with 0."""
    spelt = tokenizer()
    rows = torch.zeros(len(texts), most, dtype=torch.int64)
    for row, ids in enumerate(spelt([t or " " for t in texts], add_special_tokens=False)["input_ids"]):
        kept = [spelt.bos_token_id, *(ids if texts[row] else [])][:most]
        rows[row, : len(kept)] = torch.tensor(kept)
    return rows


@dataclass(frozen=True)
class Texts:
    """What a painter reads of n texts: ``tokens``, int64 (n, length), and where it has a cross adapter ``states``
    (n, most, width) of a language model with their mask ``known`` (n, most). ``factors`` (n, length) scale the text
    encoder's own states."""

    tokens: torch.Tensor
    states: torch.Tensor | None = None
    known: torch.Tensor | None = None
    factors: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        most: int,
        states: Sequence[torch.Tensor] = (),
        factors: Sequence[Sequence[float]] = (),
    ) -> Self:
        """The texts, cut to ``most`` tokens, with their states where there are any; ``factors`` have ``most`` each."""
        scales = torch.tensor([list(row) for row in factors]) if factors else None
        found, known = pad(states) if states else (None, None)
        return cls(tokens_of(texts, most), found, known, scales)

    def __len__(self) -> int:
        return len(self.tokens)

    def rows(self, rows: torch.Tensor | slice) -> Texts:
        """Some of them, without padding that all of these have."""
        tokens = self.tokens[rows]
        tokens = tokens[:, : int((tokens != PAD).sum(dim=1).max())]
        factors = None if self.factors is None else self.factors[rows][:, : tokens.shape[1]]
        if self.states is None or self.known is None:
            return Texts(tokens, factors=factors)
        known = self.known[rows]
        longest = int(known.sum(dim=1).max())
        return Texts(tokens, self.states[rows][:, :longest], known[:, :longest], factors)

    def forgetting(self, forgotten: torch.Tensor, nothing: Texts) -> Texts:
        """The same where ``forgotten`` (n,) is false, else the one text ``nothing``."""
        tokens = torch.where(forgotten[:, None], _long(nothing.tokens, self.tokens.shape[1]), self.tokens)
        factors = None if self.factors is None else self.factors.masked_fill(forgotten[:, None], 1.0)
        if self.states is None or self.known is None or nothing.states is None or nothing.known is None:
            return Texts(tokens, factors=factors)
        length = self.states.shape[1]
        states = torch.where(forgotten[:, None, None], _long(nothing.states, length), self.states)
        known = torch.where(forgotten[:, None], _long(nothing.known, length), self.known)
        return Texts(tokens, states, known, factors)


def _long(values: torch.Tensor, length: int) -> torch.Tensor:
    """(n, …, …) cut or padded with zeros to (n, length, …)."""
    found = values.new_zeros(len(values), length, *values.shape[2:])
    kept = min(length, values.shape[1])
    found[:, :kept] = values[:, :kept]
    return found
