"""Image classifiers: checkpoints that transformers knows, without the code that comes with some."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoModelForImageClassification
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES

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


def identify(key: str, model: str, revision: str) -> tuple[ModelIdentity, list[str]]:
    """Which weights they are, and their labels, without loading them. Raises ``ModelError`` naming ``key``."""
    config = open_config(key, model, folder_or_name(model), revision)
    kind = getattr(config, "model_type", None) or "nameless"
    if kind not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
        raise ModelError(
            f"{key} {model!r} is a {kind} checkpoint; an image classifier was expected (ViT, Swin, ConvNeXt, …); "
            "name another"
        )
    return weights_identity(key, model, config, revision), [str(label) for label in config.id2label.values()]


class ImageClassifier:
    """A classifier, loaded. ``independent``: its labels do not exclude each other."""

    def __init__(self, key: str, model: str, revision: str, device: Device) -> None:
        """Raises ``ModelError`` for a checkpoint that cannot be loaded."""
        self._device = device_of(f"{key}.device", device)
        self._prepare, self._model = load_looking(
            AutoModelForImageClassification, f"{key}.model", model, revision, self._device
        )
        self.independent = self._model.config.problem_type == "multi_label_classification"

    def probabilities(self, pixels: NDArray[np.uint8]) -> Mapping[str, float]:
        """Label -> probability, for a picture (H, W, 3; blue, green, red)."""
        inputs = self._prepare(images=[Image.fromarray(pixels[..., ::-1])], return_tensors="pt")
        with torch.inference_mode(), one_thread():
            logits = self._model(**inputs.to(self._device)).logits[0].float()
        found = logits.sigmoid() if self.independent else logits.softmax(-1)
        names = self._model.config.id2label
        return {str(names[at]): float(value) for at, value in enumerate(found.tolist())}
