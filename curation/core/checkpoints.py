"""Find, check and identify checkpoints of any kind, without loading their weights.

Never runs code that comes with a checkpoint, and never loads pickled weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from curation.core.errors import ModelError
from curation.core.model_identity import ModelIdentity

_IDENTIFYING = {".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken"}
_UNIDENTIFYING = {"training_log.json", "figures.json", "README.txt", "LICENSE.txt"}

Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def folder_or_name(model: str) -> str:
    """The path of a folder; any other name is returned unchanged, as a name on the hub."""
    folder = Path(model).expanduser()
    return str(folder) if folder.is_dir() else model


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


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16. A processor without them computes it by detours, two to three
    times as slowly as float32."""
    return device.type != "cpu" or bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def dtype_of(dtype: Dtype, device: torch.device) -> Dtype:
    """The type to load weights with: ``auto`` is the checkpoint's own, or float32 where that alone is fast."""
    return "float32" if dtype == "auto" and not computes_bfloat16(device) else dtype


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


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums are rounded in an order that depends on the number of threads; the same bytes need the same number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
