"""Image embeddings by any CLIP-like checkpoint that transformers loads.

Never runs code that comes with a checkpoint, and never loads pickled weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from curation.core.checkpoints import (
    Device,
    device_of,
    folder_or_name,
    one_thread,
    open_config,
    weights_identity,
)
from curation.core.errors import ModelError
from curation.core.model_identity import ModelIdentity
from curation.scores.models.loading import load_looking

_KEY = "scores.aesthetics.model"


def identify(model: str, revision: str) -> tuple[ModelIdentity, int]:
    """Which weights they are, and how many numbers an embedding has, without loading them. Raises ``ModelError``."""
    config = open_config(_KEY, model, folder_or_name(model), revision)
    if not hasattr(MODEL_MAPPING.get(type(config), None), "get_image_features"):
        raise ModelError(
            f"{_KEY} {model!r} is a {getattr(config, 'model_type', None) or 'nameless'} checkpoint; one with a tower "
            "for images was expected (CLIP, SigLIP, …); name another"
        )
    # CLIP projects what its tower sees; SigLIP's embedding is what its tower pools.
    width = getattr(config, "projection_dim", None) or config.vision_config.hidden_size
    return weights_identity(_KEY, model, config, revision), int(width)


class ImageTower:
    """The tower for images of a checkpoint, loaded."""

    def __init__(self, model: str, revision: str, device: Device) -> None:
        """Raises ``ModelError`` for a checkpoint that cannot be loaded."""
        self._device = device_of("scores.aesthetics.device", device)
        self._prepare, self._model = load_looking(AutoModel, _KEY, model, revision, self._device)

    def embed(self, pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """One row of unit length, float32, on the CPU, for each picture (H, W, 3; blue, green, red)."""
        images = [Image.fromarray(pixels[..., ::-1]) for pixels in pictures]
        inputs = self._prepare(images=images, return_tensors="pt")
        with torch.inference_mode(), one_thread():
            features = self._model.get_image_features(**inputs.to(self._device))
            pooled = features if isinstance(features, torch.Tensor) else features.pooler_output
            unit: torch.Tensor = torch.nn.functional.normalize(pooled.float(), dim=-1).cpu()
        return unit
