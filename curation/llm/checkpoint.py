"""Which checkpoint a recipe means: found, checked and identified without loading its weights."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from curation.errors import ModelError
from curation.llm.chat import ModelIdentity

_SHIPPED = Path(__file__).parent.parent / "demo" / "checkpoint"
_IDENTIFYING = {".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken"}
_UNIDENTIFYING = {"training_log.json", "README.txt", "LICENSE.txt"}

log = logging.getLogger(__name__)


def locate(model: str) -> str:
    """Where a checkpoint is: ``demo`` and folders become a path, anything else stays a name on the hub."""
    if model == "demo":
        if (_SHIPPED / "config.json").is_file():
            log.warning("the demo captioner only knows its own toy world; name a real model in caption.model")
            return str(_SHIPPED)
        from curation.demo.tiny import cached_tiny_checkpoint

        log.warning("no trained demo captioner is installed: an untrained one will answer, and it says nonsense")
        return str(cached_tiny_checkpoint())
    folder = Path(model).expanduser()
    return str(folder) if folder.is_dir() else model


def identify(model: str, revision: str = "main") -> ModelIdentity:
    """Checks, without loading weights, that a checkpoint can be used, and says which one it is.

    The revision is a hash of the files for a folder, the commit for a name on the hub. Raises
    ``ModelError``, in one line, for what is not an image-text-to-text checkpoint of safetensors.
    """
    place = locate(model)
    folder = Path(place)
    config = _config(model, place, revision)
    kind = str(getattr(config, "model_type", ""))
    if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise ModelError(
            f"caption.model {model!r} is a {kind or 'nameless'} checkpoint; one that takes images and text and answers "
            "with text was expected (LLaVA, Qwen-VL, …); name another"
        )
    if not folder.is_dir():
        commit = getattr(config, "_commit_hash", None)
        return ModelIdentity(model, str(commit or revision))
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"caption.model {model!r} has no *.safetensors file; convert its weights to safetensors")
    name = model if model == "demo" else folder.resolve().name
    return ModelIdentity(name, content_hash(folder))


def one_line(error: BaseException) -> str:
    """What went wrong, on one line of at most 300 characters."""
    return " ".join(str(error).split())[:300]


def _config(model: str, place: str, revision: str) -> Any:
    if Path(place).is_dir() and not (Path(place) / "config.json").is_file():
        found = sorted(p.name for p in Path(place).iterdir())[:5]
        raise ModelError(
            f"caption.model {model!r} is a folder without config.json (it holds {found}); expected a checkpoint folder "
            "as save_pretrained writes it; name one"
        )
    if not Path(place).is_dir() and (place.startswith(("/", ".", "~")) or place.count("/") > 1):
        raise ModelError(f"caption.model {model!r} is not there; name a folder or a model of the hub")
    try:
        return AutoConfig.from_pretrained(place, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"caption.model {model!r} is neither a checkpoint folder nor a model found on the hub or in its cache; "
            f"name one: {one_line(error)}"
        ) from error


def content_hash(folder: Path) -> str:
    """SHA-256, hex, over the names and contents of the files that decide what the model answers."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if path.is_file() and path.suffix in _IDENTIFYING and path.name not in _UNIDENTIFYING:
            with path.open("rb") as file:
                told = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.name}\0{told}\n".encode())
    return whole.hexdigest()
