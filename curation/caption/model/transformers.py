"""Any image-text-to-text or causal language model checkpoint, in this process, through transformers' own classes.

Never runs code that comes with a checkpoint, and never loads pickled weights.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

import torch
from PIL import Image
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
)
from transformers.utils.logging import disable_progress_bar

from curation.caption.model.chat import (
    ChatReply,
    ChatRequest,
    Finish,
    ModelIdentity,
    Sampling,
    accept,
    corrected,
    failure,
    together,
)
from curation.caption.model.checkpoint import locate, sees_images, usable_processor
from curation.caption.model.decoding import Guide, SampleByRow, YesNo
from curation.caption.model.template import Template
from curation.core.checkpoints import Device, Dtype, device_of, dtype_of, one_line, open_config
from curation.core.errors import LapidaryError, ModelError
from schemas.reasons import Reason

# Another try may pass where memory or the accelerator failed; what else is raised comes of the request itself.
_PASSING = (MemoryError, RuntimeError)


class TransformersModel:
    """A checkpoint, loaded. Requests are computed in batches of ``batch`` in the order in which they come.

    A request that makes its batch fail costs only its own reply: the batch is halved until that one is alone.
    Replies that must be JSON are guided by their schema, and asked for once more where they are invalid all the same.
    """

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
        self._device = device_of("caption.device", device)
        self._sees = sees_images(open_config("caption.model", model, place, revision))
        self._processor: Any = usable_processor(model, place, revision, images=self._sees)
        kind = AutoModelForImageTextToText if self._sees else AutoModelForCausalLM
        try:
            self._model: Any = kind.from_pretrained(
                place,
                revision=revision,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=dtype_of(dtype, self._device),
            )
        except Exception as error:  # whatever a damaged or foreign checkpoint makes its classes raise
            raise ModelError(f"caption.model {model!r} cannot be loaded: {one_line(error)}") from error
        self._model.to(self._device).eval()
        self._tokenizer: Any = self._processor.tokenizer if self._sees else self._processor
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._ends = _ends(self._model, self._tokenizer)
        self._context = _context(self._model.config)
        self._template = Template(self._processor, self._tokenizer, images=self._sees)
        self._guide: Guide | None = None
        self._answers_of: YesNo | None = None

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        """One reply a request. Raises ``LapidaryError`` where the model fails at everything, not at one request."""
        source = iter(requests)
        while batch := list(islice(source, self.batch)):
            replies = {r.key: accept(r, reply) for r, reply in self._answers(batch)}
            again = [
                r
                for r in batch
                if (r.reply_type is not None or r.yes_no) and replies[r.key].reason is Reason.INVALID_REPLY
            ]
            for request, reply in self._answers([corrected(r, replies[r.key]) for r in again]):
                # A correction for which the context is too small leaves the first reply as it is.
                if reply.reason is not Reason.MODEL_REFUSED_REQUEST:
                    replies[request.key] = together(replies[request.key], accept(request, reply))
            yield from (replies[r.key] for r in batch)

    def close(self) -> None:
        """Free the weights. A second call does nothing."""
        self._model = self._processor = None

    def _answers(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[ChatRequest, ChatReply]]:
        """The replies as the model gives them."""
        # Rows of one call share their sampling, and either all have an image or none has.
        for _, group in groupby(requests, key=lambda r: (r.sampling, r.image is None, r.yes_no)):
            readable: list[tuple[ChatRequest, Image.Image | None]] = []
            for request in group:
                image = self._decoded(request)
                if isinstance(image, str):
                    yield request, failure(request, Reason.MODEL_REFUSED_REQUEST, image)
                else:
                    readable.append((request, image))
            if readable:
                yield from self._computed(readable)

    def _decoded(self, request: ChatRequest) -> Image.Image | str | None:
        """The request's image, or why there is none."""
        if request.image is None:
            return None
        if not self._sees:
            return "this checkpoint reads text only, and the request has an image"
        try:
            with Image.open(io.BytesIO(request.image)) as image:
                return image.convert("RGB")
        except Exception as error:  # Pillow's readers raise SyntaxError and struct.error, too
            return f"the image cannot be decoded: {error}"

    def _computed(
        self, asked: Sequence[tuple[ChatRequest, Image.Image | None]]
    ) -> Iterator[tuple[ChatRequest, ChatReply]]:
        """The replies of requests computed together; a batch that fails is halved until the cause is alone."""
        try:
            replies = self._compute(asked)
        except Exception as error:  # whatever a processor or a model raises at one image
            passing = isinstance(error, _PASSING)
            found = f"{type(error).__name__}: {one_line(error)}"
        else:
            yield from zip((r for r, _ in asked), replies, strict=True)
            return
        # Only here is the traceback gone that kept the failed batch in memory.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if len(asked) > 1:
            middle = len(asked) // 2
            yield from self._computed(asked[:middle])
            yield from self._computed(asked[middle:])
            return
        self._check_that_it_answers(found)
        request = asked[0][0]
        yield request, failure(request, Reason.MODEL_ERROR if passing else Reason.MODEL_REFUSED_REQUEST, found)

    def _check_that_it_answers(self, found: str) -> None:
        """Raises ``LapidaryError`` where the model fails at the simplest request, too."""
        plain = Image.new("RGB", (64, 64), "grey") if self._sees else None
        word = ChatRequest("", "Write the word hello.", image=b"" if plain else None, sampling=Sampling(max_tokens=1))
        try:
            self._compute([(word, plain)])
        except Exception as error:
            raise LapidaryError(f"{self.identity.name} answers nothing any more: {found}") from error

    def _compute(self, asked: Sequence[tuple[ChatRequest, Image.Image | None]]) -> list[ChatReply]:
        started = time.perf_counter()
        inputs = self._inputs([r for r, _ in asked], [i for _, i in asked if i is not None])
        lengths: list[int] = inputs["attention_mask"].sum(dim=1).tolist()
        fitting = [
            pair for pair, n in zip(asked, lengths, strict=True) if n + pair[0].sampling.max_tokens <= self._context
        ]
        if len(fitting) < len(asked):
            answered = dict(zip((r.key for r, _ in fitting), self._compute(fitting) if fitting else [], strict=True))
            return [
                answered[r.key] if r.key in answered else self._too_long(r, n)
                for (r, _), n in zip(asked, lengths, strict=True)
            ]
        listen = self._yes_no().listen() if asked[0][0].yes_no else None
        tokens = self._generate(inputs, [r for r, _ in asked], [] if listen is None else [listen])
        seconds = (time.perf_counter() - started) / len(asked)
        replies = [self._reply(r, n, row, seconds) for (r, _), n, row in zip(asked, lengths, tokens, strict=True)]
        if listen is None:
            return replies
        return [replace(r, probability=listen.probability(i, tokens[i])) for i, r in enumerate(replies)]

    def _yes_no(self) -> YesNo:
        if self._answers_of is None:
            self._answers_of = YesNo(self._tokenizer)
        return self._answers_of

    def _too_long(self, request: ChatRequest, length: int) -> ChatReply:
        found = (
            f"a prompt of {length} tokens and {request.sampling.max_tokens} for the reply exceed the context of "
            f"{self._context}; lower {request.limit_key}"
        )
        return failure(request, Reason.MODEL_REFUSED_REQUEST, found)

    def _inputs(self, requests: Sequence[ChatRequest], images: list[Image.Image]) -> Any:
        texts = [self._template.prompt(r) for r in requests]
        # The chat template has written the special tokens.
        if not self._sees:
            found = self._tokenizer(
                text=texts, padding=True, return_tensors="pt", add_special_tokens=False, return_token_type_ids=False
            )
            return found.to(self._device)
        found = self._processor(
            text=texts,
            images=[[i] for i in images] or None,
            padding=True,
            return_tensors="pt",
            add_special_tokens=False,
        )
        return found.to(self._device, dtype=self._model.dtype)

    def _generate(
        self, inputs: Any, requests: Sequence[ChatRequest], listening: Sequence[LogitsProcessor]
    ) -> list[list[int]]:
        sampling = requests[0].sampling
        config = GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=False,
            num_beams=1,  # a checkpoint's own settings fill in whatever is left out here
            num_return_sequences=1,
            repetition_penalty=sampling.repetition_penalty,
            eos_token_id=self._ends,
            pad_token_id=self._tokenizer.pad_token_id,
        )
        extra = LogitsProcessorList(listening)
        if any(r.reply_type is not None for r in requests):
            self._guide = self._guide or Guide(self._tokenizer, _text_config(self._model.config).vocab_size, self._ends)
            extra.extend(self._guide.processors([r.reply_type for r in requests]))
        if sampling.temperature > 0:
            extra.append(SampleByRow(sampling, [r.seed for r in requests]))
        with torch.inference_mode():
            out = self._model.generate(**inputs, generation_config=config, logits_processor=extra)
        rows: list[list[int]] = out[:, inputs["input_ids"].shape[1] :].tolist()
        return rows

    def _reply(self, request: ChatRequest, tokens_in: int, row: list[int], seconds: float) -> ChatReply:
        end = next((i for i, t in enumerate(row) if t in self._ends), None)
        finish: Finish = "length" if end is None else "stop"
        text = self._tokenizer.decode(row if end is None else row[:end], skip_special_tokens=True)
        tokens_out = len(row) if end is None else end + 1
        return ChatReply(request.key, text.strip(), None, None, finish, tokens_in, tokens_out, seconds)


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end a reply: the checkpoint's own, and the tokenizer's."""
    named = getattr(model.generation_config, "eos_token_id", None)
    ends = named if isinstance(named, list) else [named]
    return sorted({int(t) for t in [*ends, tokenizer.eos_token_id] if t is not None})


def _context(config: Any) -> int:
    return int(getattr(_text_config(config), "max_position_embeddings", None) or 1 << 30)


def _text_config(config: Any) -> Any:
    return config.get_text_config() if hasattr(config, "get_text_config") else config
