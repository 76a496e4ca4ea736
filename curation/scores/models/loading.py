"""Loads a checkpoint that looks at images, with what prepares them for it."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoImageProcessor
from transformers.utils.logging import disable_progress_bar

from curation.core.checkpoints import folder_or_name, one_line
from curation.core.errors import ModelError


def load_looking(kind: Any, key: str, model: str, revision: str, device: torch.device) -> tuple[Any, Any]:
    """The image processor, and the weights in float32 by ``kind``, a class of transformers such as ``AutoModel``.

    Raises ``ModelError`` naming the recipe's ``key`` for a checkpoint that cannot be loaded.
    """
    disable_progress_bar()
    place = folder_or_name(model)
    try:
        prepare = AutoImageProcessor.from_pretrained(place, revision=revision, trust_remote_code=False)
        loaded = kind.from_pretrained(
            place, revision=revision, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    except Exception as error:  # whatever a damaged or foreign checkpoint makes its classes raise
        raise ModelError(f"{key} {model!r} cannot be loaded: {one_line(error)}") from error
    return prepare, loaded.to(device).eval()
