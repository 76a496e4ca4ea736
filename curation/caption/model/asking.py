"""Asks a model all questions whose replies are not in the journal yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from curation.caption.model.chat import ChatModel, ChatReply, ChatRequest
from curation.caption.model.ledger import Ledger
from schemas.reasons import Reason

_NAMED = 5  # samples in one message

T = TypeVar("T")
Questions = Iterable[tuple[T, ChatRequest]]
Dress = Callable[[T, ChatRequest], ChatRequest]


def _as_it_is(tag: object, request: ChatRequest) -> ChatRequest:
    return request


def blocks(rows: Iterable[T], batch: int | None) -> Iterator[Iterable[T]]:
    """Rows in the groups that are asked about together: all at once, or ``batch`` by ``batch``.

    Batches are cut by row, whatever the journal holds, so that each row has the same neighbours in every run.
    """
    if batch is None:
        yield rows
        return
    source = iter(rows)
    while block := list(islice(source, batch)):
        yield block


def undecided(replies: Iterable[ChatReply]) -> ChatReply | None:
    """The first of a sample's replies that failed for a passing reason; None where all are verdicts.

    A sample that has one gets no rows at all: its other replies are in the journal, and when the last one has come
    the rows are those of a run in which nothing failed.
    """
    return next((r for r in replies if r.reason is Reason.MODEL_ERROR), None)


def undecided_why(of: int, failed: Mapping[str, ChatReply]) -> str:
    """The explanation for a shard of ``of`` samples that leaves those undecided which failed, by their ids."""
    causes = Counter(r.detail or "no detail" for r in failed.values())
    (most, times), others = causes.most_common(1)[0], len(causes) - 1
    more = f" ({times} of them; {others} other causes)" if others else ""
    beyond = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    named = ", ".join(islice(failed, _NAMED)) + beyond
    return (
        f"{len(failed)} of {of} samples got no reply: {most}{more}. The others are finished; the same command asks "
        f"again for these alone, once the cause has passed or is mended. They are {named}. "
        "To go on without one that always fails, save its picture in a folder and add that to decontamination.sets"
    )


def ask(
    model: ChatModel, ledger: Ledger, questions: Questions[T], dress: Dress[T] = _as_it_is
) -> Iterator[tuple[T, ChatReply]]:
    """A reply for every tagged request, in any order; requests with equal keys are asked once.

    ``dress`` completes a request that is not in the journal (with its image, say) as the model pulls it. Replies
    are journalled as they come. A model that computes batches journals a batch at a time; a batch that lacks a
    reply in the journal is computed again whole. Raises ``EndpointsGone``.
    """
    return (
        _one_by_one(model, ledger, questions, dress)
        if model.batch is None
        else _in_batches(model, ledger, questions, dress)
    )


def _one_by_one(
    model: ChatModel, ledger: Ledger, questions: Questions[T], dress: Dress[T]
) -> Iterator[tuple[T, ChatReply]]:
    known: list[tuple[T, ChatReply]] = []
    waiting: dict[str, list[T]] = {}
    failed: dict[str, ChatReply] = {}

    def missing() -> Iterator[ChatRequest]:
        for tag, request in questions:
            reply = ledger.get(request.key) or failed.get(request.key)
            if reply is not None:
                known.append((tag, reply))
            elif request.key in waiting:
                waiting[request.key].append(tag)
            else:
                waiting[request.key] = [tag]
                yield dress(tag, request)

    for reply in model.complete(missing()):
        ledger.add([reply])
        if reply.text is None:
            failed[reply.key] = reply
        for tag in waiting.pop(reply.key):
            yield tag, reply
    yield from known


def _in_batches(
    model: ChatModel, ledger: Ledger, questions: Questions[T], dress: Dress[T]
) -> Iterator[tuple[T, ChatReply]]:
    waiting: dict[str, list[T]] = {}
    replies: dict[str, ChatReply] = {}

    def distinct() -> Iterator[tuple[T, ChatRequest]]:
        for tag, request in questions:
            if request.key in waiting:
                waiting[request.key].append(tag)
            else:
                waiting[request.key] = [tag]
                yield tag, request

    for block in blocks(distinct(), model.batch):
        asked = list(block)
        if any(ledger.get(request.key) is None for _, request in asked):
            came = list(model.complete(dress(tag, request) for tag, request in asked))
            ledger.add([reply for reply in came if ledger.get(reply.key) is None])
            replies |= {reply.key: reply for reply in came}
        replies |= {r.key: known for _, r in asked if (known := ledger.get(r.key)) is not None}
    for key, tags in waiting.items():
        for tag in tags:
            yield tag, replies[key]
