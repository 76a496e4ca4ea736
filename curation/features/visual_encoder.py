"""The vision tower of a checkpoint, in this process: CLIP, SigLIP, DINOv2 and their like, alone or beside a text part.

Never runs code that comes with a checkpoint, and never loads pickled weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel
from transformers.utils.logging import disable_progress_bar

from curation.caption.model.chat import ModelIdentity
from curation.caption.model.checkpoint import locate, warn_of_demo
from curation.core.checkpoints import device_of, folder_or_name, one_line, open_config, weights_identity
from curation.core.errors import LapidaryError, ModelError
from curation.features.checkpoint_part import as_words, layer_of, load_part
from curation.load.features import Words
from schemas.visual import Visual

_TOWERS = ("vision_model", "vision_tower")  # as two-tower and image-text-to-text checkpoints call theirs
_PROBE = 64  # pixels of a side


@dataclass(frozen=True)
class Sight:
    """Which states of which checkpoint are kept: all on which the states of a look depend.

    ``layer`` counts from the patch embeddings, 0, to the last layer, ``layers``. A look has ``tokens`` states of
    ``width``.
    """

    model: ModelIdentity
    layer: int
    layers: int
    tokens: int
    width: int
    keep: str
    stored: str
    dtype: str

    @property
    def key(self) -> str:
        """A hash of all this, hex. With the hash of a look it is the key of the look's states."""
        fields = {n: value for n, value in vars(self).items() if n in ("layer", "keep", "stored", "dtype")}
        fields["model"] = [self.model.name, self.model.revision]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The checkpoint as name@revision."""
        return f"{self.model.name}@{self.model.revision}"


def identify(recipe: Visual) -> Sight:
    """Checks, without loading weights, that the recipe's checkpoint has a vision tower with such a layer.

    Raises ``ModelError``, in one line, for one that cannot be used.
    """
    place = locate(recipe.model)
    shipped = place != folder_or_name(recipe.model)
    if shipped:
        warn_of_demo(recipe.model)
    config = open_config("visual.model", recipe.model, place, recipe.revision)
    processor = _processor(recipe.model, place, recipe.revision)
    try:
        with torch.device("meta"):
            tower = _tower_of(AutoModel.from_config(config, trust_remote_code=False))
        if tower is None:
            raise ModelError(
                f"visual.model {recipe.model!r} is a {config.model_type or 'nameless'} checkpoint; one with a vision "
                "tower was expected (CLIP, SigLIP, DINOv2, LLaVA); name another"
            )
        pixels = processor(images=[Image.new("RGB", (_PROBE, _PROBE))], return_tensors="pt")["pixel_values"]
        out = tower.eval()(pixel_values=pixels.to("meta"), output_hidden_states=True)
        layers = len(out.hidden_states) - 1
        shapes = [tuple(state.shape) for state in out.hidden_states]
    except ModelError:
        raise
    except Exception as error:  # whatever a foreign tower makes its classes raise
        raise ModelError(
            f"visual.model {recipe.model!r} does not see as CLIP does (pixels in, the same number of tokens for every "
            f"picture out); name another: {one_line(error)}"
        ) from error
    layer = layer_of("visual", recipe, layers, "patch")
    shape = shapes[layer]
    if recipe.keep == "pooled":
        shape = _pooled_shape(recipe, out)
    if len(shape) != 3:
        raise ModelError(f"visual.model {recipe.model!r} has states {shape}; (pictures, tokens, width) was expected")
    found = weights_identity("visual.model", place, config, recipe.revision)
    model = replace(found, name=recipe.model) if shipped else found
    return Sight(model, layer, layers, shape[1], shape[2], recipe.keep, recipe.stored, recipe.dtype)


def _pooled_shape(recipe: Visual, out: Any) -> tuple[int, ...]:
    if recipe.layer != -1:
        raise ModelError(
            f"visual.keep is pooled, which comes after the last layer; set visual.layer to -1, not {recipe.layer}"
        )
    pooled = getattr(out, "pooler_output", None)
    if pooled is None:
        raise ModelError(f"visual.model {recipe.model!r} pools no state; set visual.keep to tokens")
    return (len(pooled), 1, pooled.shape[-1])


class VisualEncoder:
    """A checkpoint's vision tower, loaded."""

    def __init__(self, recipe: Visual, sight: Sight, threads: int = 0) -> None:
        """``threads`` bounds the CPU threads of this process's tensors; 0 leaves them as they are.

        Raises ``ModelError`` for a checkpoint that cannot be loaded whole.
        """
        disable_progress_bar()
        if threads:
            torch.set_num_threads(threads)
        self.sight = sight
        self._named = recipe.model
        self._device = device_of("visual.device", recipe.device)
        place = locate(recipe.model)
        self._processor = _processor(recipe.model, place, recipe.revision)
        self._tower = _load(recipe, place).to(self._device).eval()
        self._dtype = next(self._tower.parameters()).dtype

    def encode(self, looks: Sequence[Image.Image]) -> list[Words]:
        """The states of square RGB pictures as 16-bit words (tokens, width), computed together.

        Raises ``LapidaryError`` where a state is not a finite number of the stored type.
        """
        pixels = self._processor(images=list(looks), return_tensors="pt")["pixel_values"]
        sight = self.sight
        inner = sight.keep == "tokens" and sight.layer < sight.layers
        with torch.inference_mode():
            out = self._tower(pixel_values=pixels.to(self._device, self._dtype), output_hidden_states=inner)
            if sight.keep == "pooled":
                states = out.pooler_output[:, None]
            else:
                states = out.hidden_states[sight.layer] if inner else out.last_hidden_state
            expected = (len(looks), sight.tokens, sight.width)
            if tuple(states.shape) != expected:
                raise LapidaryError(f"{self._named} has states of shape {tuple(states.shape)}; expected {expected}")
            return list(as_words(states, sight.stored, "visual", self._named))

    def close(self) -> None:
        """Frees the weights."""
        del self._tower
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _load(recipe: Visual, place: str) -> Any:
    # Some towers are published without the layer that pools, which is not asked for tokens.
    may_lack = "pooler" if recipe.keep == "tokens" else ""
    return load_part("visual", recipe, place, AutoModel, _tower_of, "vision tower", may_lack)


def _tower_of(model: Any) -> Any:
    """The part of a model that takes pixels alone; None where there is none."""
    found = next((part for name in _TOWERS if (part := getattr(model, name, None)) is not None), None)
    if found is not None:
        return found
    return model if getattr(model, "main_input_name", "") == "pixel_values" else None


def _processor(model: str, place: str, revision: str) -> Any:
    try:
        return AutoImageProcessor.from_pretrained(place, revision=revision, trust_remote_code=False)
    except Exception as error:  # likewise
        raise ModelError(
            f"visual.model {model!r} has no usable image processor (preprocessor_config.json): {one_line(error)}; get "
            "the whole checkpoint"
        ) from error
