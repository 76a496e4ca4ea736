"""Any image-text-to-text checkpoint, in this process, through transformers' ordinary classes.

Never runs code that comes with a checkpoint, and never loads pickled weights.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any, Literal

import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
)
from transformers.utils.logging import disable_progress_bar

from curation.caption.model.chat import ChatReply, ChatRequest, Finish, ModelIdentity, Sampling, accept, failure
from curation.caption.model.checkpoint import locate, one_line, usable_processor
from curation.core.errors import ModelError
from schemas.reasons import Reason

Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class TransformersModel:
    """A checkpoint, loaded. Requests are computed in batches of ``batch`` in the order they come."""

    def __init__(
        self,
        model: str,
        identity: ModelIdentity,
        *,
        revision: str = "main",
        batch: int = 8,
        device: Device = "auto",
        dtype: Dtype = "auto",
        threads: int = 0,
    ) -> None:
        """``threads`` bounds the CPU threads of this process's tensors; 0 takes all cores.

        Raises ``ModelError`` for a checkpoint that cannot be loaded.
        """
        self.identity = identity
        self.batch = batch
        disable_progress_bar()
        torch.set_num_threads(threads or os.cpu_count() or 1)
        place = locate(model)
        self._device = _device(device)
        self._processor: Any = usable_processor(model, place, revision)
        try:
            self._model: Any = AutoModelForImageTextToText.from_pretrained(
                place, revision=revision, trust_remote_code=False, use_safetensors=True, dtype=dtype
            )
        except Exception as error:  # whatever a damaged or foreign checkpoint makes its classes raise
            raise ModelError(f"caption.model {model!r} cannot be loaded: {one_line(error)}") from error
        self._model.to(self._device).eval()
        self._tokenizer: Any = self._processor.tokenizer
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._ends = _ends(self._model, self._tokenizer)
        self._context = _context(self._model.config)
        self._special = _control_tokens(self._tokenizer)

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        source = iter(requests)
        while batch := list(islice(source, self.batch)):
            # Rows of one call share their sampling, and either all have an image or none has.
            for _, group in groupby(batch, key=lambda r: (r.sampling, r.image is None)):
                yield from self._answer(list(group))

    def close(self) -> None:
        """Frees the weights. A second call does nothing."""
        self._model = self._processor = None

    def _answer(self, requests: list[ChatRequest]) -> Iterator[ChatReply]:
        started = time.perf_counter()
        images: list[Image.Image] = []
        good: list[ChatRequest] = []
        for request in requests:
            image = _decode(request.image)
            if isinstance(image, str):
                yield failure(request, Reason.MODEL_REFUSED_REQUEST, image)
                continue
            good.append(request)
            images.extend([image] if image else [])
        if not good:
            return
        inputs = self._inputs(good, images)
        lengths: list[int] = inputs["attention_mask"].sum(dim=1).tolist()
        room = self._context - good[0].sampling.max_tokens
        if any(n > room for n in lengths):
            long = [r for r, n in zip(good, lengths, strict=True) if n > room]
            for request, n in ((r, n) for r, n in zip(good, lengths, strict=True) if n > room):
                told = f"a prompt of {n} tokens and {request.sampling.max_tokens} for the reply exceed {self._context}"
                yield failure(request, Reason.MODEL_REFUSED_REQUEST, told)
            yield from self._answer([r for r in good if r not in long])
            return
        tokens = self._generate(inputs, good)
        seconds = (time.perf_counter() - started) / len(good)
        for request, n, row in zip(good, lengths, tokens, strict=True):
            yield self._reply(request, n, row, seconds)

    def _inputs(self, requests: Sequence[ChatRequest], images: list[Image.Image]) -> Any:
        texts = [
            self._processor.apply_chat_template(self._turns(r), add_generation_prompt=True, tokenize=False)
            for r in requests
        ]
        return self._processor(
            text=texts,
            images=[[i] for i in images] or None,
            padding=True,
            return_tensors="pt",
            add_special_tokens=False,  # the chat template has written them
        ).to(self._device, dtype=self._model.dtype)

    def _turns(self, request: ChatRequest) -> list[dict[str, Any]]:
        image = [{"type": "image"}] if request.image is not None else []
        user = {"role": "user", "content": [*image, {"type": "text", "text": self._defused(request.user)}]}
        if not request.system:
            return [user]
        return [{"role": "system", "content": [{"type": "text", "text": self._defused(request.system)}]}, user]

    def _defused(self, text: str) -> str:
        """The text without this tokenizer's control tokens, which it would take for the template's own."""
        for token in self._special:
            if token in text:
                text = text.replace(token, f"{token[:1]} {token[1:]}" if len(token) > 1 else " ")
        return text

    def _generate(self, inputs: Any, requests: Sequence[ChatRequest]) -> list[list[int]]:
        sampling = requests[0].sampling
        config = GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=False,
            repetition_penalty=sampling.repetition_penalty,
            eos_token_id=self._ends,
            pad_token_id=self._tokenizer.pad_token_id,
        )
        extra = LogitsProcessorList()
        if sampling.temperature > 0:
            extra.append(_SampleByRow(sampling, [r.seed for r in requests]))
        with torch.inference_mode():
            out = self._model.generate(**inputs, generation_config=config, logits_processor=extra)
        rows: list[list[int]] = out[:, inputs["input_ids"].shape[1] :].tolist()
        return rows

    def _reply(self, request: ChatRequest, tokens_in: int, row: list[int], seconds: float) -> ChatReply:
        end = next((i for i, t in enumerate(row) if t in self._ends), None)
        finish: Finish = "length" if end is None else "stop"
        text = self._tokenizer.decode(row if end is None else row[:end], skip_special_tokens=True)
        tokens_out = len(row) if end is None else end + 1
        reply = ChatReply(request.key, text.strip(), None, None, finish, tokens_in, tokens_out, seconds)
        return accept(request, reply)


class _SampleByRow(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped here
    """Turns greedy search into sampling, with each row's own randomness (the Gumbel-max trick: the argmax of
    logits plus Gumbel noise is a sample of their softmax). So a row's draw does not depend on its batch.
    """

    def __init__(self, sampling: Sampling, seeds: Sequence[int]) -> None:
        self._sampling = sampling
        self._generators = [torch.Generator().manual_seed(s) for s in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.float() / self._sampling.temperature
        if self._sampling.top_p < 1:
            ordered, places = scores.softmax(-1).sort(descending=True)
            outside = ordered.cumsum(-1) - ordered > self._sampling.top_p
            scores = scores.masked_fill(outside.scatter(1, places, outside), -torch.inf)
        noise = torch.stack([torch.rand(scores.shape[1], generator=g, dtype=torch.float64) for g in self._generators])
        gumbel = -torch.log(-torch.log(noise.clamp_(1e-300, 1 - 1e-16)))
        return scores + gumbel.to(scores.device, scores.dtype)


def _device(device: Device) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError('caption.device is "cuda" but no GPU can be used; set it to "auto" or "cpu"')
    return torch.device(device)


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end a reply: the checkpoint's own, and the tokenizer's."""
    told = getattr(model.generation_config, "eos_token_id", None)
    ends = told if isinstance(told, list) else [told]
    return sorted({int(t) for t in [*ends, tokenizer.eos_token_id] if t is not None})


def _control_tokens(tokenizer: Any) -> list[str]:
    """All tokens that a text must not spell, longest first."""
    added = [str(t) for t in getattr(tokenizer, "added_tokens_decoder", {}).values() if t.special]
    return sorted({*map(str, tokenizer.all_special_tokens), *added}, key=lambda t: (-len(t), t))


def _context(config: Any) -> int:
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    return int(getattr(text, "max_position_embeddings", None) or 1 << 30)


def _decode(data: bytes | None) -> Image.Image | str | None:
    if data is None:
        return None
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        return f"the image cannot be decoded: {error}"
