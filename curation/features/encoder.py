"""The part of a checkpoint that reads text, in this process: encoders, decoders, and the text side of two towers.

Never runs code that comes with a checkpoint, and never loads pickled weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModel, AutoModelForTextEncoding, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING
from transformers.utils.logging import disable_progress_bar

from curation.caption.model.chat import ModelIdentity
from curation.caption.model.checkpoint import text_limit
from curation.core.checkpoints import device_of, folder_or_name, one_line, open_config, weights_identity
from curation.core.errors import LapidaryError, ModelError
from curation.features.checkpoint_part import as_words, layer_of, load_part
from curation.load.features import Words
from schemas.features import Features

_PROBE = "A red ball lies on the table."
_FEWEST = 5  # different tokens of the probe, which has seven different words
_TEXT_PARTS = ("text_model", "language_model")  # as two-tower and image-text-to-text checkpoints call theirs


@dataclass(frozen=True)
class Encoder:
    """Which states of which checkpoint are kept: all on which a caption's states depend.

    ``layer`` counts from the token embeddings, 0, to the last layer, ``layers``. ``max_tokens`` is what the recipe
    allows, or less where the checkpoint takes less.
    """

    model: ModelIdentity
    layer: int
    layers: int
    width: int
    max_tokens: int
    prefix: str
    stored: str
    dtype: str

    @property
    def key(self) -> str:
        """A hash of all this, hex. With a caption's hash it is the key of the caption's states."""
        fields = {name: value for name, value in vars(self).items() if name not in ("model", "layers", "width")}
        fields["model"] = [self.model.name, self.model.revision]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The checkpoint as name@revision."""
        return f"{self.model.name}@{self.model.revision}"


def identify(recipe: Features) -> Encoder:
    """Checks, without loading weights, that the recipe's checkpoint has such a layer and a tokenizer.

    Raises ``ModelError``, in one line, for one that cannot be used.
    """
    place = folder_or_name(recipe.model)
    config = open_config("features.model", recipe.model, place, recipe.revision)
    text = config.get_text_config(encoder=True) if config.is_encoder_decoder else config.get_text_config()
    layers, width = getattr(text, "num_hidden_layers", None), getattr(text, "hidden_size", None)
    if not isinstance(layers, int) or not isinstance(width, int):
        raise ModelError(
            f"features.model {recipe.model!r} is a {config.model_type or 'nameless'} checkpoint; one that reads text "
            "was expected (T5, CLIP, Llama, …); name another"
        )
    layer = layer_of("features", recipe, layers, "token")
    tokenizer = _tokenizer(recipe.model, place, recipe.revision)
    limit = min(recipe.max_tokens, text_limit(config, tokenizer) or recipe.max_tokens)
    least = tokenizer.num_special_tokens_to_add() + 1
    if limit < least:
        raise ModelError(
            f"features.max_tokens is {limit}, which leaves no token for a caption; {least} at least, since "
            f"{recipe.model!r} adds {least - 1} of its own"
        )
    model = weights_identity("features.model", recipe.model, config, recipe.revision)
    return Encoder(model, layer, layers, width, limit, recipe.prefix, recipe.stored, recipe.dtype)


@dataclass(frozen=True)
class Tokens:
    """A caption's tokens, special ones included, and how many were left out since there are too many."""

    ids: tuple[int, ...]
    cut: int


class TextEncoder:
    """A checkpoint's text part, loaded."""

    def __init__(self, recipe: Features, encoder: Encoder, threads: int = 0) -> None:
        """``threads`` bounds the CPU threads of this process's tensors; 0 leaves them as they are.

        Raises ``ModelError`` for a checkpoint that cannot be loaded whole.
        """
        disable_progress_bar()
        if threads:
            torch.set_num_threads(threads)
        self.encoder = encoder
        self._named = recipe.model
        self._device = device_of("features.device", recipe.device)
        place = folder_or_name(recipe.model)
        self._tokenizer = _tokenizer(recipe.model, place, recipe.revision)
        self._model = _load(recipe, place).to(self._device).eval()
        self._model.config.use_cache = False
        self._rows = self._model.get_input_embeddings().num_embeddings
        self._pad = self._tokenizer.pad_token_id or 0  # hidden by the mask, whatever it is

    def tokenise(self, captions: Sequence[str]) -> list[Tokens]:
        """The tokens of captions behind the prefix. Raises ``ModelError`` for a tokenizer of another checkpoint."""
        if not captions:
            return []
        texts = [(self.encoder.prefix + c).encode("utf-8", "replace").decode() for c in captions]
        most, found = self.encoder.max_tokens, []
        for text, ids in zip(texts, self._tokenizer(texts, verbose=False)["input_ids"], strict=True):
            kept = ids if len(ids) <= most else self._tokenizer(text, truncation=True, max_length=most)["input_ids"]
            found.append(Tokens(tuple(kept) or (self._start(),), len(ids) - len(kept)))
        highest = max((max(tokens.ids) for tokens in found), default=0)
        if highest >= self._rows:
            raise ModelError(
                f"features.model {self._named!r} has a tokenizer of another checkpoint: token {highest}, where the "
                f"weights know {self._rows}; get the checkpoint again"
            )
        return found

    def encode(self, batch: Sequence[Tokens]) -> list[Words]:
        """The states of each as 16-bit words (tokens, width), computed together.

        Raises ``LapidaryError`` where a state is not a finite number of the stored type.
        """
        longest = max(len(tokens.ids) for tokens in batch)
        # Padded on the right: a decoder's tokens see only what stands before them, and positions count from 0.
        ids = torch.tensor([[*t.ids, *[self._pad] * (longest - len(t.ids))] for t in batch])
        mask = torch.arange(longest)[None, :] < torch.tensor([len(t.ids) for t in batch])[:, None]
        ids, mask = ids.to(self._device), mask.to(self._device)
        last = self.encoder.layer == self.encoder.layers
        with torch.inference_mode():
            out = self._model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=not last)
            valid = (out.last_hidden_state if last else out.hidden_states[self.encoder.layer])[mask]
            if valid.shape[-1] != self.encoder.width:
                width = self.encoder.width
                raise LapidaryError(f"{self._named} has states of width {valid.shape[-1]}; expected {width}")
            words = as_words(valid, self.encoder.stored, "features", self._named)
        found, at = [], 0
        for tokens in batch:
            found.append(words[at : at + len(tokens.ids)])
            at += len(tokens.ids)
        return found

    def close(self) -> None:
        """Frees the weights."""
        del self._model
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _start(self) -> int:
        """What is encoded where a tokenizer makes no token of an empty text."""
        own = (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id, self._tokenizer.pad_token_id)
        return int(next((token for token in own if token is not None), 0))


def _load(recipe: Features, place: str) -> Any:
    config = open_config("features.model", recipe.model, place, recipe.revision)
    kind = AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel

    def text_of(model: Any) -> Any:
        text = model.get_encoder() if config.is_encoder_decoder and kind is AutoModel else model
        return next((part for name in _TEXT_PARTS if (part := getattr(text, name, None)) is not None), text)

    return load_part("features", recipe, place, kind, text_of, "text part")


def _tokenizer(model: str, place: str, revision: str) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, revision=revision, trust_remote_code=False)
        ids = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    except Exception as error:  # likewise
        raise ModelError(f"features.model {model!r} has no usable tokenizer: {one_line(error)}") from error
    # Where its files are missing, some classes of transformers make one with an empty vocabulary.
    if len(set(ids)) < _FEWEST:
        raise ModelError(
            f"features.model {model!r} has no tokenizer beside its weights: it knows no word of {_PROBE!r}; get the "
            "whole checkpoint"
        )
    tokenizer.padding_side = "right"
    return tokenizer
