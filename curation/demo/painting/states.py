"""A language model's states of prompts, as the pipeline's ``features`` stage makes them of captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from curation.caption.model.checkpoint import locate
from curation.features.encoder import TextEncoder, identify
from schemas.features import Features

_BATCH = 32


def features_recipe() -> Features:
    """The language model of the demo captioner, which has read the world's English."""
    return Features(model=locate("demo"), max_tokens=128, dtype="float32")


def features_settings() -> tuple[str, ...]:
    """The same as settings of a release's recipe."""
    recipe = features_recipe()
    return tuple(f"features.{key}={getattr(recipe, key)}" for key in ("model", "max_tokens", "dtype"))


def states_of(texts: Sequence[str]) -> list[torch.Tensor]:
    """The states of each text: float (tokens, width), to the precision in which releases store them."""
    recipe = features_recipe()
    encoder = TextEncoder(recipe, identify(recipe))
    try:
        tokens = encoder.tokenise(texts)
        words = [w for at in range(0, len(tokens), _BATCH) for w in encoder.encode(tokens[at : at + _BATCH])]
    finally:
        encoder.close()
    return [torch.from_numpy(w.view(np.float16).astype(np.float32)) for w in words]
