"""Asks the model about every statement of a shard's captions, and never for a reply that the shard already has."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import pyarrow as pa

from curation.caption.check.caption import language_of
from curation.caption.model.asking import ask, blocks, undecided, undecided_why
from curation.caption.model.chat import ChatModel, ChatReply, ChatRequest, ModelIdentity, Sampling, reply_key
from curation.caption.model.images import FittedImages
from curation.caption.model.ledger import Ledger
from curation.caption.prompts import Prompt
from curation.caption.recaption import arithmetic
from curation.caption.regions import Described, Regions, image_key
from curation.caption.verify.statements import Statement as Spoken
from curation.caption.verify.statements import split
from curation.caption.verify.verified_stage import FALSE, NO_ANSWER, NOT_ASKED, TRUE
from curation.core.losses import Losses
from curation.core.stage import Shard
from curation.images.reading import open_images
from schemas.arrow import rows_of, table_of
from schemas.captions import CaptionCheck, Statement
from schemas.chat import Seeing
from schemas.records import ImageRow


class Task(Protocol):
    """What the work needs to know of the verify stage."""

    @property
    def name(self) -> str: ...

    @property
    def threshold(self) -> float: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def most(self) -> int: ...

    @property
    def sampling(self) -> Sampling: ...

    @property
    def image_size(self) -> int: ...

    @property
    def language(self) -> str: ...

    @property
    def model(self) -> ModelIdentity: ...

    @property
    def tags(self) -> tuple[str, ...]: ...

    @property
    def chat(self) -> Seeing: ...

    @property
    def regions(self) -> Regions | None: ...

    @property
    def stop_at_share(self) -> float: ...


@dataclass
class _Sample:
    """A sample with the statements of its captions by kind, and the replies so far by kind and index."""

    sample_id: str
    sha256: str
    offset: int
    size: int
    described: Described = field(default_factory=dict)  # regions by kind, where captions describe such
    spoken: dict[str, list[Spoken]] = field(default_factory=dict)
    replies: dict[tuple[str, int], ChatReply] = field(default_factory=dict)


def verify_shard(task: Task, prompt: Prompt, model: ChatModel, shard: Shard, losses: Losses | None = None) -> pa.Table:
    """The statements of one shard, with an open model.

    Raises ``EndpointsGone`` when no server is left, and ``TooManyLost``; the replies that came before are in the
    journal.
    """
    losses = losses or Losses(task.name, task.stop_at_share)
    samples = _samples(task, shard)
    shard.rows_in = len(samples)
    extra = arithmetic(task.chat, model)
    with Ledger(shard.store, shard.name) as ledger, open_images(shard.store, shard.name, whole=True) as images:
        fitted = FittedImages(images)

        def dress(asked: tuple[_Sample, str, int], request: ChatRequest) -> ChatRequest:
            sample, kind, _ = asked
            region = sample.described.get(kind)
            return replace(request, image=fitted(sample.offset, sample.size, task.image_size, region))

        for rows in blocks(samples, model.batch):
            requests = (
                ((sample, kind, spoken.index), _request(task, prompt, extra, sample, kind, spoken))
                for sample in rows
                for kind, spoken in _shuffled(task, sample)
            )
            for (sample, kind, index), reply in ask(model, ledger, requests, dress):
                sample.replies[kind, index] = reply
                losses.count(reply.reason, reply.detail)
    failed = {s.sample_id: found for s in samples if (found := undecided(s.replies.values()))}
    if failed:
        shard.leave_undecided(len(failed), undecided_why(len(samples), failed))
    return table_of(
        Statement,
        (
            _row(task, prompt, sample, kind, spoken)
            for sample in samples
            if sample.sample_id not in failed
            for kind, all_spoken in sample.spoken.items()
            for spoken in all_spoken
        ),
    )


def _samples(task: Task, shard: Shard) -> list[_Sample]:
    """The samples with a caption that passed, in the order of the images table."""
    found: dict[str, _Sample] = {
        image.sample_id: _Sample(image.sample_id, image.sha256, image.offset, image.size)
        for image in rows_of(ImageRow, shard.read(ImageRow))
        if image.sha256 is not None and image.offset is not None and image.size is not None
    }
    if task.regions is not None:
        for sample_id, described in task.regions.of(shard).items():
            found[sample_id].described = described
    for check in rows_of(CaptionCheck, shard.read(CaptionCheck)):
        if check.passed and check.caption is not None:
            spoken = split(check.caption, language_of(check.caption, task.language), tags=check.kind in task.tags)
            found[check.sample_id].spoken[check.kind] = spoken if len(spoken) <= task.most else []
    return [sample for sample in found.values() if any(sample.spoken.values())]


def _shuffled(task: Task, sample: _Sample) -> Iterator[tuple[str, Spoken]]:
    """What is to be asked about a sample, in an order of its own: models trust what is said early in a caption.

    The statements of one image stand together, so that servers compute the image once.
    """
    asked = [
        (kind, spoken)
        for kind, all_spoken in sample.spoken.items()
        for spoken in all_spoken
        if not task.classes or set(task.classes) & set(spoken.classes)
    ]
    seed = hashlib.sha256(f"{task.sampling.seed}:{sample.sample_id}".encode()).digest()
    random.Random(seed).shuffle(asked)  # noqa: S311  # an order, no secret
    yield from sorted(asked, key=lambda what: image_key("", sample.described.get(what[0])))


def _request(
    task: Task, prompt: Prompt, extra: dict[str, str | int], sample: _Sample, kind: str, spoken: Spoken
) -> ChatRequest:
    user = prompt.render("", {}, spoken.asked)
    key = reply_key(
        image_key(sample.sha256, sample.described.get(kind)),
        task.model,
        system=prompt.system,
        user=user,
        sampling=task.sampling,
        arithmetic=extra,
        yes_no=True,
    )
    return ChatRequest(key, user, prompt.system, None, task.sampling, limit_key="verify.max_tokens", yes_no=True)


def _row(task: Task, prompt: Prompt, sample: _Sample, kind: str, spoken: Spoken) -> Statement:
    reply = sample.replies.get((kind, spoken.index))
    return Statement(
        sample_id=sample.sample_id,
        kind=kind,
        index=spoken.index,
        start=spoken.start,
        end=spoken.end,
        text=spoken.text,
        leans_on=spoken.leans_on,
        classes=list(spoken.classes),
        probability=None if reply is None else reply.probability,
        verdict=_verdict(reply, task.threshold),
        detail=None if reply is None else reply.detail,
        model=task.model.name,
        model_revision=task.model.revision,
        prompt=prompt.label,
        reply_key="" if reply is None else reply.key,
    )


def _verdict(reply: ChatReply | None, threshold: float) -> str:
    if reply is None:
        return NOT_ASKED
    if reply.probability is None:
        return NO_ANSWER
    return TRUE if reply.probability >= threshold else FALSE
