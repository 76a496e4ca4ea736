"""Open a checkpoint's processor, with or without torchvision."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, AutoProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import is_torchvision_available


def open_processor(place: str, revision: str) -> Any:
    """The processor of a checkpoint folder or of a name on the hub; never runs code that comes with it.

    Without torchvision, Pillow prepares the images, and the video part that some processors have (Qwen-VL,
    InternVL, SmolVLM …) is left out, since it needs torchvision.
    """
    if not is_torchvision_available():
        config = AutoConfig.from_pretrained(place, revision=revision, trust_remote_code=False)
        kind = PROCESSOR_MAPPING.get(type(config), None)
        if kind is not None and "video_processor" in kind.get_attributes():
            return _without_video(kind).from_pretrained(place, revision=revision, trust_remote_code=False)
    return AutoProcessor.from_pretrained(place, revision=revision, trust_remote_code=False)


def _without_video(kind: Any) -> Any:
    kept = [a for a in kind.get_attributes() if a != "video_processor"]
    return type(kind.__name__, (kind,), {"get_attributes": classmethod(lambda _: list(kept))})
