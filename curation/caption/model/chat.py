"""The one seam to language models: requests in, replies out.

A sample that gets no reply is data (a ``Reason`` in the reply). A model that cannot be used at all is a
``ModelError`` before any work, or ``EndpointsGone`` during it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, Protocol

from pydantic import BaseModel

from curation.caption.model.json_reply import NotReadableError, read_json
from curation.caption.model.yes_no import read_yes_no
from curation.core.model_identity import UNKNOWN as UNKNOWN
from curation.core.model_identity import ModelIdentity as ModelIdentity
from schemas.changed import changed, fields_of
from schemas.reasons import Reason

Finish = Literal["stop", "length"]
MAX_REPLY_CHARACTERS = 200_000
_DETAIL_CHARACTERS = 300
_SAID_CHARACTERS = 4000
_QUOTED_CHARACTERS = 80
_DECIMALS = 5  # kept of a probability; the rest is the order in which a processor adds
_CORRECT_YES_NO = "This reply cannot be used: {wrong}. Answer again, with the word yes or the word no and nothing else."
_CORRECT = "This reply cannot be used: {wrong}. Answer again, with the JSON that was asked for and nothing else."


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. ``temperature`` 0 is greedy, and then ``top_p`` and ``seed`` change nothing."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Correction:
    """A reply that could not be used, and the message that asks for a better one."""

    said: str
    message: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question. ``key`` identifies its reply; ``reply_type`` is what the reply must parse as.

    The reply to a ``yes_no`` question is yes or no, with the probability of yes.
    ``limit_key`` is the recipe's name for ``sampling.max_tokens``, for messages; ``correction`` continues the
    conversation after a reply that could not be used.
    """

    key: str
    user: str
    system: str = ""
    image: bytes | None = None
    sampling: Sampling = Sampling()
    reply_type: type[BaseModel] | None = None
    limit_key: str = "max_tokens"
    correction: Correction | None = None
    yes_no: bool = False

    @property
    def seed(self) -> int:
        """The request's own seed, 0 <= seed < 2**31: equal requests get equal seeds, others independent ones."""
        digest = hashlib.sha256(f"{self.sampling.seed}:{self.key}".encode()).digest()
        return int.from_bytes(digest[:4]) & 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One answer. ``text`` is null exactly when ``reason`` says why.

    ``seconds`` is what the model took for it, all tries together, without the wait for its turn. ``said`` is the
    start of what the model wrote where that cannot be used. ``probability`` is that of yes, 0 to 1, in the reply to
    a ``yes_no`` question: as the model's token probabilities give it, else 1 or 0 by what it said.
    """

    key: str
    text: str | None
    reason: Reason | None = None
    detail: str | None = None
    finish: Finish | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float = 0.0
    said: str | None = None
    probability: float | None = None


class ChatModel(Protocol):
    """A model that answers requests."""

    @property
    def identity(self) -> ModelIdentity: ...

    @property
    def batch(self) -> int | None:
        """How many requests are computed together; ``None`` where every reply is independent of all others.

        Replies of a batch may depend, in the last bit, on one another, so callers cut batches by row.
        """
        ...

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[ChatReply]:
        """One reply a request, in the order in which they finish. Requests are pulled one by one as earlier ones
        finish, so memory does not grow with their number. Raises ``EndpointsGone``.
        """
        ...

    def close(self) -> None: ...


def failure(request: ChatRequest, reason: Reason, detail: str, seconds: float = 0.0) -> ChatReply:
    """The reply of a request that got none."""
    return ChatReply(request.key, None, reason, _one_line(detail, _DETAIL_CHARACTERS), seconds=seconds)


def unusable(request: ChatRequest, reply: ChatReply, found: str, reason: Reason = Reason.INVALID_REPLY) -> ChatReply:
    """A reply whose text cannot be used: its tokens and first words are kept, for they were paid for.

    A reply that was cut at its token limit says so and names the setting.
    """
    said = encodable(reply.text or "")[:_SAID_CHARACTERS]
    if reply.finish == "length":
        limit = request.sampling.max_tokens
        found = f"cut at its limit of {limit} tokens, raise {request.limit_key}: {found}"
    words = "".join(c if c.isprintable() else " " for c in said[: 4 * _QUOTED_CHARACTERS])
    quoted = f"; the reply begins “{_one_line(words, _QUOTED_CHARACTERS)}”" if words.strip() else ""
    detail = _one_line(found, _DETAIL_CHARACTERS - len(quoted)) + quoted
    return replace(reply, text=None, reason=reason, detail=detail, said=said)


def accept(request: ChatRequest, reply: ChatReply) -> ChatReply:
    """The reply with the text that was asked for; else ``unusable`` with ``INVALID_REPLY`` and what was found.

    Of a request with a ``reply_type``, the text is the JSON alone (see ``read_json``).
    """
    text = reply.text
    if text is None:
        return reply
    if not text.strip():
        return unusable(request, reply, "an empty reply")
    if len(text) > MAX_REPLY_CHARACTERS:
        found = f"a reply of {len(text)} characters, at most {MAX_REPLY_CHARACTERS} were expected"
        return unusable(request, reply, found)
    if request.reply_type is not None:
        try:
            text = read_json(text, request.reply_type)
        except NotReadableError as error:
            return unusable(request, reply, str(error))
    if request.yes_no:
        return _yes_or_no(request, reply, text)
    return changed(reply, text=encodable(text), probability=None)


def _yes_or_no(request: ChatRequest, reply: ChatReply, text: str) -> ChatReply:
    said = read_yes_no(text)
    if said is None:
        return unusable(request, reply, "neither yes nor no")
    probability = float(said) if reply.probability is None else reply.probability
    return replace(reply, text="yes" if said else "no", probability=round(probability, _DECIMALS))


def corrected(request: ChatRequest, invalid: ChatReply) -> ChatRequest:
    """The request that asks once more after an invalid reply, with twice the tokens where that one was cut."""
    sampling = request.sampling
    if invalid.finish == "length":
        sampling = replace(sampling, max_tokens=2 * sampling.max_tokens)
    wanted = _CORRECT_YES_NO if request.yes_no else _CORRECT
    correction = Correction(invalid.said or "", wanted.format(wrong=invalid.detail))
    return replace(request, sampling=sampling, correction=correction)


def together(first: ChatReply, second: ChatReply) -> ChatReply:
    """The second reply with the tokens and seconds of both."""
    return replace(
        second,
        tokens_in=_sum(first.tokens_in, second.tokens_in),
        tokens_out=_sum(first.tokens_out, second.tokens_out),
        seconds=first.seconds + second.seconds,
    )


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None and second is None else (first or 0) + (second or 0)


def _one_line(text: str, limit: int) -> str:
    text = " ".join(encodable(text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


@cache
def reply_schema(reply_type: type[BaseModel] | None) -> dict[str, object] | None:
    """The JSON Schema that a reply must follow; none for free text. Cached: making it takes longer than a request."""
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
    yes_no: bool = False,
) -> str:
    """The hash, 64 hex digits, of all that a reply depends on; a reply with a known key is never requested again.

    ``arithmetic`` holds what else changes the numbers: the size at which the image is shown, and for replies
    computed in process the dtype and the batch.
    """
    known = {
        "image": image_sha256,
        "model": fields_of(model),
        "prompt": [system, user],
        "sampling": fields_of(sampling),
        "schema": reply_schema(reply_type),
        "arithmetic": dict(arithmetic or {}),
    }
    if yes_no:
        known["reply"] = "yes or no"
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def encodable(text: str) -> str:
    """The text with lone surrogates, which JSON can spell and UTF-8 cannot, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
