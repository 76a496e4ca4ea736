"""Reads a release into memory by the loader: small pictures, and the tokens of their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from curation.caption.model.checkpoint import locate
from curation.load.loader import load

HEIGHT, WIDTH = 24, 48
"""Pixels of a painted picture: the middle half of one of the corner, where all of its things stand."""
TOKENS = 32
"""Tokens of a text that the painter reads, at most; a short caption has 10 to 25."""


@dataclass(frozen=True)
class Lessons:
    """Pictures, uint8 (n, 3, HEIGHT, WIDTH), and their texts."""

    pixels: torch.Tensor
    texts: list[str]

    def __len__(self) -> int:
        return len(self.texts)


def read_release(root: str, captions: Mapping[str, float], seed: int = 0) -> Lessons:
    """The train split of a release in its own order, each picture with the caption that the loader draws.

    Pictures are few and small enough to be read once: what each epoch reads afterwards is a permutation of them.
    A picture that has none of these captions has no text. (The loader would take the preferred one, and an arm that
    trains on alt texts would learn from captions where alt texts are empty.)
    """
    pixels, texts = [], []
    for sample in load(root, "train", captions, shuffle=0, seed=seed, transform=shrunk):
        pixels.append(sample["image"])
        texts.append(text_of(sample, captions))
    return Lessons(torch.stack(pixels), texts)


def text_of(sample: Mapping[str, Any], captions: Mapping[str, float]) -> str:
    """A sample's caption if it is one of these kinds, else nothing."""
    asked_for = sample["caption_kind"] in captions or "preferred" in captions
    return str(sample["caption"]) if asked_for else ""


def shrunk(image: Image.Image) -> torch.Tensor:
    """The middle half of a picture as uint8 (3, HEIGHT, WIDTH)."""
    box = (0, image.height / 4, image.width, image.height * 3 / 4)
    small = image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box)
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
