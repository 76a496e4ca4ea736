"""What text and vision parts of checkpoints have in common: their layers, their weights, their states as words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from curation.core.checkpoints import one_line
from curation.core.errors import LapidaryError, ModelError
from curation.load.features import Words

_STORED = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class _Recipe(Protocol):
    """What both tables of the recipe say of their checkpoint."""

    @property
    def model(self) -> str: ...

    @property
    def revision(self) -> str: ...

    @property
    def dtype(self) -> str: ...

    @property
    def layer(self) -> int: ...


def layer_of(table: str, recipe: _Recipe, layers: int, first: str) -> int:
    """The layer that a table of the recipe names, counted from 0, which is ``first``. Raises ``ModelError``."""
    layer = recipe.layer if recipe.layer >= 0 else layers + 1 + recipe.layer
    if not 0 <= layer <= layers:
        raise ModelError(
            f"{table}.layer is {recipe.layer}, but {recipe.model!r} has {layers} layers: name one from 0 (the {first} "
            f"embeddings) to {layers}, or from -1 (the last one) to {-layers - 1}"
        )
    return layer


def load_part(
    table: str,
    recipe: _Recipe,
    place: str,
    kind: Any,
    part_of: Callable[[Any], Any],
    part: str,
    may_lack: str = "",
) -> Any:
    """The part of a checkpoint that ``part_of`` finds in it, with all its weights; ``part`` is what it is called.

    Weights below a module of the name ``may_lack`` may be missing. Raises ``ModelError`` for a checkpoint that cannot
    be loaded whole, or that has no such part.
    """
    try:
        model, info = kind.from_pretrained(
            place,
            revision=recipe.revision,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=recipe.dtype,
            output_loading_info=True,
        )
    except Exception as error:  # whatever a damaged or foreign checkpoint makes its classes raise
        raise ModelError(f"{table}.model {recipe.model!r} cannot be loaded: {one_line(error)}") from error
    found = part_of(model)
    if found is None:
        raise ModelError(f"{table}.model {recipe.model!r} has no {part}; name a checkpoint that has one")
    missing = _missing(model, found, info["missing_keys"])
    if may_lack:
        missing = [name for name in missing if f".{may_lack}." not in f".{name}"]
    if missing:
        raise ModelError(
            f"{table}.model {recipe.model!r} lacks {len(missing)} weights of its {part}, {missing[0]} first; name "
            "a whole checkpoint"
        )
    return found


def _missing(model: PreTrainedModel, part: torch.nn.Module, missing: set[str]) -> list[str]:
    """The weights of a part that the file lacks: they would be made up."""
    own = {id(weight) for weight in part.parameters()}
    names = {name for name, weight in model.named_parameters(remove_duplicate=False) if id(weight) in own}
    return sorted(names & set(missing))


def as_words(states: torch.Tensor, stored: str, table: str, model: str) -> Words:
    """States as 16-bit words of the stored type, of the same shape.

    Raises ``LapidaryError`` where one is not a finite number of it.
    """
    kept = states.to(_STORED[stored]).cpu()
    if not torch.isfinite(kept).all():
        if torch.isfinite(states).all():
            raise LapidaryError(f"states of {model} are too large for float16; set {table}.stored to bfloat16")
        raise LapidaryError(f"states of {model} are no finite numbers; set {table}.dtype to float32 or bfloat16")
    words: Words = kept.contiguous().view(torch.int16).numpy().view("u2")
    return words
