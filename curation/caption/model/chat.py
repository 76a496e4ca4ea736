"""The one seam to language models: requests in, replies out.

A reply that a sample cannot get is data (a ``Reason`` in the reply); a model that cannot be used at all
is a ``ModelError`` before work, or ``EndpointsGone`` during it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Literal, Protocol

from pydantic import BaseModel, ValidationError

from schemas.reasons import Reason

Finish = Literal["stop", "length"]
MAX_REPLY_CHARACTERS = 200_000
_DETAIL_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights answer: the model's name, and a revision or content hash that changes with them."""

    name: str
    revision: str


UNKNOWN = ModelIdentity("", "")
"""Stands in a stage until it has looked at its model."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. ``temperature`` 0 is greedy, and then ``top_p`` and ``seed`` change nothing."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question. ``key`` names it for its reply; ``reply_type`` is what the reply must parse as."""

    key: str
    user: str
    system: str = ""
    image: bytes | None = None
    mime: str = "image/jpeg"
    sampling: Sampling = Sampling()
    reply_type: type[BaseModel] | None = None

    @property
    def seed(self) -> int:
        """The request's own seed, 0 <= seed < 2**31: equal requests repeat, others are independent."""
        told = hashlib.sha256(f"{self.sampling.seed}:{self.key}".encode()).digest()
        return int.from_bytes(told[:4]) & 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One answer. ``text`` is null exactly when ``reason`` says why; ``seconds`` is what the model took for
    it, all tries together, without the wait for its turn."""

    key: str
    text: str | None
    reason: Reason | None = None
    detail: str | None = None
    finish: Finish | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float = 0.0


class ChatModel(Protocol):
    """A model that answers requests."""

    @property
    def identity(self) -> ModelIdentity: ...

    @property
    def batch(self) -> int | None:
        """How many requests are computed together, so that replies may depend, in the last bit, on their
        neighbours: callers cut such batches by row. ``None`` where every reply stands alone."""
        ...

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        """One reply a request, as they finish, in any order. Requests are pulled only as room for them
        frees, so memory does not grow with their number. Raises ``EndpointsGone``.
        """
        ...

    def close(self) -> None: ...


def failure(request: ChatRequest, reason: Reason, detail: str, seconds: float = 0.0) -> ChatReply:
    """The reply of a request that got none."""
    detail = " ".join(encodable(detail).split())
    if len(detail) > _DETAIL_CHARACTERS:
        detail = detail[: _DETAIL_CHARACTERS - 1] + "…"
    return ChatReply(request.key, None, reason, detail, seconds=seconds)


def accept(request: ChatRequest, reply: ChatReply) -> ChatReply:
    """The reply if its text can be used; else its failure as ``INVALID_REPLY``, saying what was found."""
    text = reply.text
    if text is None:
        return reply
    if not text.strip():
        return failure(request, Reason.INVALID_REPLY, "an empty reply", reply.seconds)
    if len(text) > MAX_REPLY_CHARACTERS:
        found = f"a reply of {len(text)} characters; at most {MAX_REPLY_CHARACTERS} were expected"
        return failure(request, Reason.INVALID_REPLY, found, reply.seconds)
    if request.reply_type is not None:
        try:
            request.reply_type.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(p) for p in first["loc"]) or "reply"
            found = f"not a {request.reply_type.__name__}: {where}: {first['msg']}"
            return failure(request, Reason.INVALID_REPLY, found, reply.seconds)
    return replace(reply, text=encodable(text))


@cache
def reply_schema(reply_type: type[BaseModel] | None) -> dict[str, object] | None:
    """The JSON Schema that a reply must follow; none for free text. Made once, for it takes longer than a request."""
    return None if reply_type is None else reply_type.model_json_schema()


def reply_key(
    image_sha256: str,
    model: ModelIdentity,
    *,
    system: str,
    user: str,
    sampling: Sampling,
    reply_type: type[BaseModel] | None = None,
    arithmetic: Mapping[str, str | int] | None = None,
) -> str:
    """The hash, 64 hex digits, of all that a reply depends on; nobody pays twice for the same key.

    ``arithmetic`` is what else changes the numbers: the size at which the image is shown, the dtype, the
    batch that in-process replies are computed in.
    """
    told = {
        "image": image_sha256,
        "model": asdict(model),
        "prompt": [system, user],
        "sampling": asdict(sampling),
        "schema": reply_schema(reply_type),
        "arithmetic": dict(arithmetic or {}),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def encodable(text: str) -> str:
    """The text with lone surrogates, which JSON can spell and UTF-8 cannot, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
