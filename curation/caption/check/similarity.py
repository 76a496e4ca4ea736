"""Cosine of image and text by any two-tower checkpoint that transformers loads: CLIP, SigLIP and their kin.

Never runs code that comes with a checkpoint, and never loads pickled weights.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import AutoModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING
from transformers.utils.logging import disable_progress_bar

from curation.caption.model.chat import ModelIdentity
from curation.caption.model.checkpoint import text_limit
from curation.caption.model.processor import open_processor
from curation.core.checkpoints import (
    Device,
    device_of,
    folder_or_name,
    one_line,
    one_thread,
    open_config,
    weights_identity,
)
from curation.core.errors import ModelError


def identify(model: str, revision: str = "main", key: str = "scores") -> ModelIdentity:
    """Checks, without loading weights, that a checkpoint has a tower for images and one for text.

    The revision is a hash of the files for a folder, the commit for a name on the hub. Raises
    ``ModelError``, in one line, for what is no such checkpoint; ``key`` is the table of the recipe that names it.
    """
    config = open_config(f"{key}.model", model, folder_or_name(model), revision)
    kind = MODEL_MAPPING.get(type(config), None)
    if not (hasattr(kind, "get_image_features") and hasattr(kind, "get_text_features")):
        raise ModelError(
            f"{key}.model {model!r} is a {getattr(config, 'model_type', None) or 'nameless'} checkpoint; one with a "
            "tower for images and one for text was expected (CLIP, SigLIP, …); name another, or leave it empty"
        )
    return weights_identity(f"{key}.model", model, config, revision)


class SimilarityModel:
    """A two-tower checkpoint, loaded. Embeddings are rows of unit length, float32, on the CPU.

    With ``half`` its weights are float16 where it runs on a GPU; processors are slower with those. ``key`` is the
    table of the recipe that names it.
    """

    def __init__(
        self, model: str, revision: str = "main", device: Device = "auto", *, key: str = "scores", half: bool = False
    ) -> None:
        """Raises ``ModelError`` for a checkpoint that cannot be loaded."""
        disable_progress_bar()
        self._device = device_of(f"{key}.device", device)
        self._dtype = torch.float16 if half and self._device.type == "cuda" else torch.float32
        place = folder_or_name(model)
        try:
            self._processor: Any = open_processor(place, revision)
            self._model: Any = AutoModel.from_pretrained(
                place, revision=revision, trust_remote_code=False, use_safetensors=True, dtype=self._dtype
            )
        except Exception as error:  # whatever a damaged or foreign checkpoint makes its classes raise
            raise ModelError(f"{key}.model {model!r} cannot be loaded: {one_line(error)}") from error
        self._tokenizer: Any = getattr(self._processor, "tokenizer", None)
        self._prepare: Any = getattr(self._processor, "image_processor", None)
        if self._tokenizer is None or self._prepare is None:
            raise ModelError(f"{key}.model {model!r} lacks a tokenizer or an image processor; name a whole checkpoint")
        self._model.to(self._device).eval()
        self._limit = text_limit(self._model.config, self._tokenizer, positions=77)

    def embed_images(self, images: Sequence[bytes]) -> torch.Tensor:
        """One row an image (encoded, as a file holds it). Raises ``OSError`` for what is no image."""
        return self.embed_pictures([decode(data) for data in images])

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """The same of pictures that are decoded."""
        inputs = self._prepare(images=list(pictures), return_tensors="pt")
        return self._embed(self._model.get_image_features, inputs)

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """One row a text; what goes beyond the text tower's limit is not read."""
        # Padded to the limit: SigLIP was trained so, and no text's numbers depend on its neighbours' lengths.
        inputs = self._tokenizer(
            [t.encode("utf-8", "replace").decode() for t in texts],
            padding="max_length",
            truncation=True,
            max_length=self._limit,
            return_tensors="pt",
        )
        return self._embed(self._model.get_text_features, inputs)

    def close(self) -> None:
        """Frees the weights. A second call does nothing."""
        self._model = self._processor = None

    def _embed(self, tower: Any, inputs: Any) -> torch.Tensor:
        with torch.inference_mode(), one_thread():
            features = tower(**{name: self._moved(values) for name, values in inputs.items()})
            pooled = features if isinstance(features, torch.Tensor) else features.pooler_output
            unit: torch.Tensor = torch.nn.functional.normalize(pooled.float(), dim=-1).cpu()
        return unit

    def _moved(self, values: torch.Tensor) -> torch.Tensor:
        """Onto the device, pixels in the type of the weights."""
        return values.to(self._device, self._dtype if values.is_floating_point() else None)


def decode(data: bytes) -> Image.Image:
    """A picture as the model takes it. Raises ``OSError`` for what is no image."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")
