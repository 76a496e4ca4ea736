"""Asks the model about every statement of a shard's captions, and never for a reply that the shard already has."""

from __future__ import annotations

import hashlib
import random
from collections import deque
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
from curation.caption.verify.atoms import in_place_of, question_of
from curation.caption.verify.statements import Statement as Spoken
from curation.caption.verify.statements import split
from curation.caption.verify.verified_stage import FALSE, NO_ANSWER, NOT_ASKED, TRUE
from curation.core.losses import Losses
from curation.core.stage import Shard
from curation.images.reading import open_images
from schemas.arrow import rows_of, table_of
from schemas.atoms import Atom
from schemas.candidates import plain_kind
from schemas.captions import CaptionCheck, Statement
from schemas.chat import Seeing
from schemas.questions import Question
from schemas.records import ImageRow


class Task(Protocol):
    """What the work needs to know of the verify task."""

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
    def of_atoms(self) -> bool: ...

    @property
    def least_named(self) -> float: ...

    @property
    def question(self) -> Prompt | None: ...

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
    fates: dict[tuple[str, int], Spoken | None] = field(default_factory=dict)  # see ``fallen``
    waves: int = 0  # how many have been put; each is of what hangs on the waves before it
    awaited: int = 0  # replies to the latest wave that have not come

    def next_wave(self, task: Task) -> list[tuple[str, Spoken]]:
        """What can be asked now that all earlier waves are answered; nothing at the end."""
        last = max((s.wave for spoken in self.spoken.values() for s in spoken), default=0)
        while self.waves <= last:
            asked = [
                (kind, spoken)
                for kind, spoken in _shuffled(task, self)
                if spoken.wave == self.waves and self.fallen(kind, spoken, task.threshold) is None
            ]
            self.waves += 1
            if asked:
                self.awaited = len(asked)
                return asked
        return []

    def fallen(self, kind: str, spoken: Spoken, threshold: float) -> Spoken | None:
        """What the statement hangs on and is not true, directly or not; none where it can be asked.

        Wants the replies of all earlier waves.
        """
        place = kind, spoken.index
        if place not in self.fates:
            parents = (self.spoken[kind][index] for index in spoken.hangs_on)
            self.fates[place] = next(filter(None, (self._untrue(kind, p, threshold) for p in parents)), None)
        return self.fates[place]

    def _untrue(self, kind: str, spoken: Spoken, threshold: float) -> Spoken | None:
        reply = self.replies.get((kind, spoken.index))
        if reply is None:
            return self.fallen(kind, spoken, threshold)
        return None if _verdict(reply, threshold) == TRUE else spoken


_Asked = tuple[_Sample, str, int]  # with the kind of caption and the statement's index


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

        def dress(asked: _Asked, request: ChatRequest) -> ChatRequest:
            sample, kind, _ = asked
            region = sample.described.get(plain_kind(kind))
            image = fitted(sample.offset, sample.size, sample.sha256, task.image_size, region)
            return replace(request, image=image)

        def requests(ready: deque[_Sample], new: Iterator[_Sample]) -> Iterator[tuple[_Asked, ChatRequest]]:
            # Samples whose latest wave is answered come before new ones: the server still has their images.
            while (sample := ready.popleft() if ready else next(new, None)) is not None:
                for kind, spoken in sample.next_wave(task):
                    yield (sample, kind, spoken.index), _request(task, prompt, extra, sample, kind, spoken)

        for rows in blocks(samples, model.batch):
            ready, new, more = deque[_Sample](), iter(rows), True
            while more:
                more = False
                for (sample, kind, index), reply in ask(model, ledger, requests(ready, new), dress):
                    sample.replies[kind, index] = reply
                    sample.awaited -= 1
                    more = True
                    if not sample.awaited:
                        ready.append(sample)
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
    atoms = _atoms(shard) if task.of_atoms else {}
    untold: set[str] = set()  # samples that the atoms stage left undecided
    if task.regions is not None:
        for sample_id, described in task.regions.of(shard).items():
            found[sample_id].described = described
    for check in rows_of(CaptionCheck, shard.read(CaptionCheck)):
        if check.passed and check.caption is not None:
            tags = plain_kind(check.kind) in task.tags
            spoken = split(check.caption, language_of(check.caption, task.language), tags=tags)
            if len(spoken) > task.most:
                spoken = []
            elif task.of_atoms and not tags:
                apart = atoms.get((check.sample_id, check.kind))
                spoken = in_place_of(check.caption, spoken, apart or [], task.least_named)
                untold |= {check.sample_id} if apart is None else set()
            found[check.sample_id].spoken[check.kind] = spoken
    return [s for s in found.values() if any(s.spoken.values()) and s.sample_id not in untold]


def _atoms(shard: Shard) -> dict[tuple[str, str], list[Question]]:
    """The atoms of each caption; an empty list for one that was not taken apart."""
    found: dict[tuple[str, str], list[Question]] = {}
    for row in rows_of(Atom, shard.read(Atom)):
        known = found.setdefault((row.sample_id, row.kind), [])
        if (question := question_of(row)) is not None:
            known.append(question)
    return found


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
    yield from sorted(asked, key=lambda what: image_key("", sample.described.get(plain_kind(what[0]))))


def _request(
    task: Task, prompt: Prompt, extra: dict[str, str | int], sample: _Sample, kind: str, spoken: Spoken
) -> ChatRequest:
    prompt = task.question if spoken.question and task.question is not None else prompt
    user = prompt.render("", {}, spoken.asked)
    key = reply_key(
        image_key(sample.sha256, sample.described.get(plain_kind(kind))),
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
    fallen = sample.fallen(kind, spoken, task.threshold)
    untrue = None if fallen is None else f"hangs on what is not true: {fallen.text}"
    prompt = task.question if spoken.question and task.question is not None else prompt
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
        detail=untrue if reply is None else reply.detail,
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
