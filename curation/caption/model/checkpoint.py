"""Find, check and identify the checkpoint that a recipe names, without loading its weights."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from curation.caption.model.chat import ModelIdentity
from curation.caption.model.processor import open_processor
from curation.core.errors import ModelError

_DEMO = Path(__file__).parents[2] / "demo"
_SHIPPED = {"demo": _DEMO / "checkpoint", "demo-verifier": _DEMO / "verifier"}
_IDENTIFYING = {".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken"}
_UNIDENTIFYING = {"training_log.json", "figures.json", "README.txt", "LICENSE.txt"}

Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]

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


def folder_or_name(model: str) -> str:
    """The path of a folder; any other name is returned unchanged, as a name on the hub."""
    folder = Path(model).expanduser()
    return str(folder) if folder.is_dir() else model


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


def weights_identity(key: str, model: str, config: Any, revision: str) -> ModelIdentity:
    """Which weights a checkpoint of this configuration has: a hash of a folder's files, else the hub's commit.

    Raises ``ModelError`` naming the recipe's ``key`` for a folder whose weights are no safetensors, or are damaged.
    """
    folder = Path(folder_or_name(model))
    if not folder.is_dir():
        return ModelIdentity(model, str(getattr(config, "_commit_hash", None) or revision))
    _check_weights(key, model, folder)
    return ModelIdentity(folder.resolve().name, content_hash(folder))


def device_of(key: str, device: Device) -> torch.device:
    """Where a model of this process runs. Raises ``ModelError`` naming the recipe's ``key`` where it cannot."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError(f'{key} is "cuda" but no GPU can be used; set it to "auto" or "cpu"')
    return torch.device(device)


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


def one_line(error: BaseException) -> str:
    """An error's message on one line of at most 300 characters."""
    return " ".join(str(error).split())[:300]


def _check_weights(key: str, model: str, folder: Path) -> None:
    """Read the headers of the weight files, which say how long each file must be."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{key} {model!r} has no *.safetensors file; convert its weights to safetensors")
    index = folder / "model.safetensors.index.json"
    try:
        listed = set(json.loads(index.read_bytes())["weight_map"].values()) if index.is_file() else set()
        for file in files:
            with safe_open(file, framework="pt"):
                pass
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise ModelError(
            f"{key} {model!r}: its weights are damaged ({one_line(error)}); download them again"
        ) from error
    missing = sorted(listed - {f.name for f in files})
    if missing:
        raise ModelError(f"{key} {model!r} lacks {len(missing)} weight files, {missing[0]} first; download them again")


def open_config(key: str, model: str, place: str, revision: str) -> Any:
    """The checkpoint's configuration. Raises ``ModelError`` naming the recipe's ``key`` for what is no checkpoint."""
    if Path(place).is_dir() and not (Path(place) / "config.json").is_file():
        found = sorted(p.name for p in Path(place).iterdir())[:5]
        raise ModelError(
            f"{key} {model!r} is a folder without config.json (it holds {found}); expected a checkpoint folder "
            "as save_pretrained writes it; name one"
        )
    if not Path(place).is_dir() and (place.startswith(("/", ".", "~")) or place.count("/") > 1):
        raise ModelError(f"{key} {model!r} is not there; name a folder or a model of the hub")
    try:
        return AutoConfig.from_pretrained(place, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{key} {model!r} is neither a checkpoint folder nor a model found on the hub or in its cache; "
            f"name one: {one_line(error)}"
        ) from error


def content_hash(folder: Path) -> str:
    """SHA-256, hex, over the names and contents of the files that decide what the model answers."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if path.is_file() and path.suffix in _IDENTIFYING and path.name not in _UNIDENTIFYING:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.name}\0{digest}\n".encode())
    return whole.hexdigest()
