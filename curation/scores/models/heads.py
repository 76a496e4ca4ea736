"""Aesthetic heads: LAION's linear one, LAION's MLP and that of SigLIP v2.5, from their published shapes.

All three are linear layers one after the other, without activations between them, over an embedding of unit length:

    linear       D -> 1                             github.com/LAION-AI/aesthetic-predictor
    MLP          D -> 1024 -> 128 -> 64 -> 16 -> 1  github.com/christophschuhmann/improved-aesthetic-predictor
    SigLIP v2.5  likewise                           github.com/discus0434/aesthetic-predictor-v2-5

They are published as pickles, which are never loaded here: convert them once with ``safetensors.torch.save_file``.
The MLP's layers are numbered 0, 2, 4, 6, 7, those of v2.5 0, 2, 4, 6, 8: between them stand dropouts, which do nothing
when a head is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from curation.core.checkpoints import one_line
from curation.core.errors import ModelError
from curation.scores.models.extras import identity

_KEY = "scores.aesthetics.head"
_HIDDEN = (1024, 128, 64, 16, 1)
_KINDS: Mapping[tuple[int, ...], str] = {(0, 2, 4, 6, 7): "LAION's MLP head", (0, 2, 4, 6, 8): "the SigLIP v2.5 head"}
_NUMBERED = re.compile(r"(?:.*\.)?(\d+)\.(weight|bias)")
_SHAPES = "a linear head (weight, bias), or linear layers of 1024, 128, 64, 16 and 1 numbers, called NAME.0.weight …"


@dataclass(frozen=True)
class Head:
    """A head, loaded. ``width`` numbers an embedding; ``layers`` are (weight, bias) in their order."""

    kind: str
    width: int
    identity: str
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    def rating(self, embedding: torch.Tensor) -> float:
        """The rating of an embedding of unit length, shape (width,)."""
        found = embedding
        for weight, bias in self.layers:
            found = torch.nn.functional.linear(found, weight, bias)
        return float(found[0])


def find(head: str, revision: str) -> Path:
    """The file of a head: the file itself, the only one in a folder, or that of a name on the hub.

    Raises ``ModelError`` where there is none, or where there are several.
    """
    place = Path(head).expanduser()
    if place.is_file():
        return place
    if not place.is_dir():
        place = _from_hub(head, revision)
    files = sorted(place.glob("*.safetensors"))
    if len(files) != 1:
        names = ", ".join(f.name for f in files) or "none"
        raise ModelError(f"{_KEY} {head!r} must hold one *.safetensors file, found {names}; name the file itself")
    return files[0]


def _from_hub(head: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download

    if head.startswith(("/", ".", "~")) or head.count("/") > 1:
        raise ModelError(f"{_KEY} {head!r} is not there; name a file, a folder or a name on the hub")
    try:
        return Path(snapshot_download(head, revision=revision, allow_patterns=["*.safetensors"]))
    except Exception as error:  # the hub's client raises what its transport raises, too
        raise ModelError(
            f"{_KEY} {head!r} is neither a file nor a folder, nor found on the hub or in its cache: {one_line(error)}"
        ) from error


def opened(file: Path) -> Head:
    """The head of a file. Raises ``ModelError`` for one of another shape, or that is damaged."""
    if file.suffix != ".safetensors":
        raise ModelError(
            f"{_KEY} {str(file)!r} is no *.safetensors file; pickled weights are never loaded: convert them"
        )
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(file).items()}
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"{_KEY} {str(file)!r} is damaged ({one_line(error)}); download it again") from error
    kind, layers = _layers(tensors)
    sizes = [(tuple(weight.shape), tuple(bias.shape)) for weight, bias in layers]
    wanted = _HIDDEN if len(layers) > 1 else (1,)
    width = layers[0][0].shape[1] if layers and layers[0][0].ndim == 2 else 0
    ins = (width, *wanted[:-1])
    if not kind or sizes != [((out, into), (out,)) for into, out in zip(ins, wanted, strict=True)]:
        found = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in sorted(tensors.items())[:12])
        raise ModelError(f"{_KEY} {str(file)!r} holds {found}; expected {_SHAPES}")
    return Head(kind, int(width), identity(file), layers)


def _layers(tensors: Mapping[str, torch.Tensor]) -> tuple[str, tuple[tuple[torch.Tensor, torch.Tensor], ...]]:
    """What kind of head has layers so called, and these in their order; an empty kind for none that is known."""
    if tensors.keys() == {"weight", "bias"}:
        return "LAION's linear head", ((tensors["weight"], tensors["bias"]),)
    found: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if (match := _NUMBERED.fullmatch(name)) is None:
            return "", ()
        found.setdefault(int(match[1]), {})[match[2]] = tensor
    kind = _KINDS.get(tuple(sorted(found)), "")
    if not kind or any(layer.keys() != {"weight", "bias"} for layer in found.values()):
        return "", ()
    return kind, tuple((found[n]["weight"], found[n]["bias"]) for n in sorted(found))
