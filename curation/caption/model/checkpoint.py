"""Find, check and identify the checkpoint that a recipe names, without loading its weights."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from curation.caption.model.processor import open_processor
from curation.core.checkpoints import folder_or_name, one_line, open_config, weights_identity
from curation.core.errors import ModelError
from curation.core.model_identity import ModelIdentity

_DEMO = Path(__file__).parents[2] / "demo"
_SHIPPED = {"demo": _DEMO / "checkpoint", "demo-verifier": _DEMO / "verifier"}

log = logging.getLogger(__name__)


def demo_is_trained() -> bool:
    """Whether the demo captioner's checkpoint is installed with the package."""
    return _is_there("demo")


def _is_there(name: str) -> bool:
    return (_SHIPPED[name] / "config.json").is_file()


def locate(model: str) -> str:
    """The path of ``demo``, of ``demo-verifier`` or of a folder; any other name is returned unchanged, as a name on
    the hub.

    Raises ``ModelError`` where a demo model is not installed.
    """
    if model in _SHIPPED:
        if not _is_there(model):
            raise ModelError(
                f"model {model!r} is not installed: {_SHIPPED[model]} holds no checkpoint; install the package whole, "
                "or name another model"
            )
        return str(_SHIPPED[model])
    return folder_or_name(model)


@cache
def warn_of_demo(model: str = "demo") -> None:
    """Warn, once a process, that the demo captioner or the demo verifier is not for real photographs."""
    what, key = ("captioner", "caption.model") if model == "demo" else ("verifier", "verify.model")
    log.warning(
        "the demo %s is not for real photographs: it knows only its own toy world; name a real model in %s", what, key
    )


def identify(model: str, revision: str = "main", *, images: bool = True) -> ModelIdentity:
    """Check, without loading weights, that a checkpoint can be used, and identify it.

    ``images``: whether it is asked about images; without them a causal language model will do, too. The revision
    is a hash of the files for a folder, the commit for a name on the hub. Raises ``ModelError``, in one line, for
    what is no such checkpoint of safetensors. Warns of the demo captioner.
    """
    place = locate(model)
    if model in _SHIPPED:
        warn_of_demo(model)
    config = open_config("caption.model", model, place, revision)
    kind = str(getattr(config, "model_type", "")) or "nameless"
    sees = sees_images(config)
    if not sees and kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        wanted = "images and text" if images else "text, with or without images,"
        raise ModelError(
            f"caption.model {model!r} is a {kind} checkpoint; one that takes {wanted} and answers with text was "
            "expected (LLaVA, Qwen-VL, …); name another"
        )
    if images and not sees:
        raise ModelError(
            f"caption.model {model!r} is a {kind} checkpoint, which reads text only; a captioner must see images: name "
            "an image-text-to-text checkpoint (LLaVA, Qwen-VL, …)"
        )
    usable_processor(model, place, revision, images=sees)
    found = weights_identity("caption.model", place, config, revision)
    return replace(found, name=model) if model in _SHIPPED else found


def text_limit(config: Any, tokenizer: Any, positions: int | None = None) -> int | None:
    """The most tokens of a text that a checkpoint takes; ``positions`` stand in where its configuration names none.

    None where neither names a limit.
    """
    named = getattr(getattr(config, "text_config", config), "max_position_embeddings", None) or positions
    limits = [int(limit) for limit in (named, tokenizer.model_max_length) if limit]
    return min(limits, default=None)


def sees_images(config: Any) -> bool:
    """Whether a checkpoint of this configuration takes images beside text."""
    return getattr(config, "model_type", "") in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def usable_processor(model: str, place: str, revision: str, *, images: bool) -> Any:
    """The checkpoint's processor, or its tokenizer where it reads text only.

    Raises ``ModelError`` where there is none, or none with a chat template.
    """
    try:
        if images:
            processor = open_processor(place, revision)
        else:
            processor = AutoTokenizer.from_pretrained(place, revision=revision, trust_remote_code=False)
    except Exception as error:  # whatever a damaged or foreign checkpoint makes its classes raise
        raise ModelError(f"caption.model {model!r} has no usable processor: {one_line(error)}") from error
    if (images and getattr(processor, "tokenizer", None) is None) or not getattr(processor, "chat_template", None):
        raise ModelError(f"caption.model {model!r} has no chat template; name an instruction-tuned checkpoint")
    return processor
