"""Asks a model many questions, and never one whose reply is in the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from curation.llm.chat import ChatModel, ChatReply, ChatRequest
from curation.llm.ledger import Ledger

T = TypeVar("T")


def _as_it_is(tag: object, request: ChatRequest) -> ChatRequest:
    return request


def ask(
    model: ChatModel,
    ledger: Ledger,
    questions: Iterable[tuple[T, ChatRequest]],
    dress: Callable[[T, ChatRequest], ChatRequest] = _as_it_is,
) -> Iterator[tuple[T, ChatReply]]:
    """A reply for every tagged request, in any order; requests with equal keys are asked once.

    ``dress`` completes a request that is really asked (with its image, say), as the model pulls it. Replies
    are journalled as they come; those of a model that computes batches, together. Raises ``EndpointsGone``.
    """
    known: list[tuple[T, ChatReply]] = []
    waiting: dict[str, list[T]] = {}

    def missing() -> Iterator[ChatRequest]:
        for tag, request in questions:
            reply = ledger.get(request.key)
            if reply is not None:
                known.append((tag, reply))
            elif request.key in waiting:
                waiting[request.key].append(tag)
            else:
                waiting[request.key] = [tag]
                yield dress(tag, request)

    together: list[ChatReply] = []
    for reply in model.complete(missing()):
        if model.batch is None:
            ledger.add([reply])
        else:
            together.append(reply)
        for tag in waiting.pop(reply.key):
            yield tag, reply
    ledger.add(together)
    yield from known
