"""Asks the model for every keeper's captions, and never for a reply that the shard already has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Protocol

import pyarrow as pa

from curation.caption.captioners import OpenCaptioner
from curation.caption.lengths import draw_words
from curation.caption.model.asking import ask, blocks, undecided, undecided_why
from curation.caption.model.chat import (
    ChatModel,
    ChatReply,
    ChatRequest,
    ModelIdentity,
    Sampling,
    failure,
    reply_key,
)
from curation.caption.model.images import FittedImages
from curation.caption.model.ledger import Ledger
from curation.caption.model.open import arithmetic as chat_arithmetic
from curation.caption.prompts.questions import Question
from curation.caption.regions import Described, Region, Regions, image_key
from curation.core.stage import Shard
from curation.core.under_way import Progress, followed
from curation.images.reading import open_images
from schemas.arrow import Record, rows_of, table_of
from schemas.candidates import Candidate, candidate_kind
from schemas.captions import Caption
from schemas.changed import changed
from schemas.chat import Captioning, Seeing
from schemas.reasons import Reason
from schemas.records import Duplicate, ImageRow, SourceRow


class Task(Protocol):
    """What the work needs to know of the recaption stage."""

    @property
    def name(self) -> str: ...

    @property
    def recipe(self) -> Captioning: ...

    @property
    def questions(self) -> tuple[Question, ...]: ...

    @property
    def model(self) -> ModelIdentity: ...

    @property
    def passed(self) -> tuple[type[Record], ...]: ...

    @property
    def regions(self) -> Regions | None: ...

    @property
    def samples(self) -> int: ...

    def sampling(self, question: Question) -> Sampling: ...


@dataclass
class _Keeper:
    """A sample on its way through the kinds, with the replies so far by kind.

    Where several captions are asked for of each kind, there is one of these for each ``number``, from 0: a kind that
    builds on an earlier one builds on that of its own number. ``described`` is there where captions describe regions;
    without it each kind describes the whole picture.
    """

    sample_id: str
    sha256: str
    offset: int
    size: int
    alt_text: str
    described: Described | None = None
    number: int = 0
    keys: dict[str, str] = field(default_factory=dict)
    replies: dict[str, ChatReply] = field(default_factory=dict)

    def region(self, kind: str) -> Region | None:
        return None if self.described is None else self.described[kind]

    def of(self, questions: Sequence[Question]) -> list[Question]:
        """Those of the questions that are asked about this sample."""
        return [q for q in questions if self.described is None or q.kind in self.described]


def caption_shard(task: Task, models: Mapping[str, OpenCaptioner], shard: Shard) -> pa.Table:
    """The captions of one shard, with the open models by kind.

    Raises ``EndpointsGone`` when no server is left, and ``TooManyLost``; the replies that came before are in the
    journal.
    """
    found = list(_keepers(task, shard))
    shard.rows_in = len(found)
    keepers = [changed(k, number=n, keys={}, replies={}) for k in found for n in range(task.samples)]
    askers = [_Asker(task, asked, questions) for asked, questions in _by_model(task.questions, models)]

    def look() -> Progress:
        done = sum(len(k.replies) == len(k.of(task.questions)) for k in keepers)
        table = Caption.table if task.samples == 1 else Candidate.table
        return Progress(table, shard.name, done // task.samples, len(found))

    with (
        followed(look),
        Ledger(shard.store, shard.name) as ledger,
        open_images(shard.store, shard.name, whole=True) as images,
    ):
        fitted = FittedImages(images)
        for asker in askers:
            for rows in _blocks(keepers, task.samples, asker.model.batch):
                asker.ask(list(rows), ledger, fitted)
    failed = {k.sample_id: reply for k in keepers if (reply := undecided(k.replies.values()))}
    if failed:
        shard.leave_undecided(len(failed), undecided_why(len(found), failed))
    decided = (k for k in keepers if k.sample_id not in failed)
    return table_of(Caption, (_row(task, k, q) for k in decided for q in k.of(task.questions)))


def _blocks(keepers: Sequence[_Keeper], samples: int, batch: int | None) -> Iterator[Iterable[_Keeper]]:
    """The keepers in the groups that are asked about together.

    All captions of an image stand together where replies are independent. A model that computes batches gets one
    number after the other: the batches of the first are those of a run that asks for one caption.
    """
    if batch is None:
        yield keepers
        return
    for number in range(samples):
        yield from blocks([k for k in keepers if k.number == number], batch)


def arithmetic(recipe: Seeing, model: ChatModel) -> dict[str, str | int]:
    """What decides a reply besides weights, prompt and sampling (see ``reply_key``)."""
    return {"image_size": recipe.image_size} | chat_arithmetic(recipe, model.batch)


@dataclass
class _Asker:
    """Asks one model for kinds that stand together in the recipe."""

    task: Task
    asked: OpenCaptioner
    questions: Sequence[Question]

    @property
    def model(self) -> ChatModel:
        return self.asked.model

    @cached_property
    def settings(self) -> dict[str, Captioning]:
        """The settings by kind."""
        recipe = self.task.recipe
        return {k.kind: recipe.asked_of(k) for k in recipe.kinds}

    @cached_property
    def arithmetic(self) -> dict[str, dict[str, str | int]]:
        """What decides a reply besides weights, prompt and sampling, by kind."""
        return {
            q.kind: arithmetic(self.settings[q.kind], self.model)
            if q.prompt.sees
            else chat_arithmetic(self.settings[q.kind], self.model.batch)
            for q in self.questions
        }

    def ask(self, keepers: Sequence[_Keeper], ledger: Ledger, images: FittedImages) -> None:
        """Fills in the replies of these kinds, from the journal or from the model."""

        def dress(asked: tuple[_Keeper, Question], request: ChatRequest) -> ChatRequest:
            keeper, question = asked
            if not question.prompt.sees:
                return request
            side, region = self.settings[question.kind].image_size, keeper.region(question.kind)
            return changed(request, image=images(keeper.offset, keeper.size, keeper.sha256, side, region))

        for wave in _waves(self.questions, alone=self.model.batch is not None):
            with self.asked.turn():
                for (keeper, question), reply in ask(self.model, ledger, self._requests(keepers, wave), dress):
                    keeper.replies[question.kind] = reply
                    self.asked.losses.count(reply.reason, reply.detail)

    def _requests(
        self, keepers: Sequence[_Keeper], wave: Sequence[Question]
    ) -> Iterator[tuple[tuple[_Keeper, Question], ChatRequest]]:
        """The requests of these kinds; a kind that builds on a missing reply gets its reason and no request."""
        for keeper in keepers:
            for question in keeper.of(wave):
                blocked = _blocked(keeper, question)
                if blocked is not None:
                    keeper.replies[question.kind] = blocked
                    continue
                request = self._request(keeper, question)
                keeper.keys[question.kind] = request.key
                yield (keeper, question), request

    def _request(self, keeper: _Keeper, question: Question) -> ChatRequest:
        prompt, sampling = question.prompt, self.task.sampling(question)
        sampling = changed(sampling, seed=sampling.seed + keeper.number)
        earlier = {k: r.text for k, r in keeper.replies.items() if r.text is not None}
        words = draw_words(question.lengths, self.task.recipe.seed, question.kind, keeper.sample_id)
        region = keeper.region(question.kind)
        # An alt text tells of the whole picture, and would name things that a part of it does not show.
        user = prompt.render(keeper.alt_text if region is None else "", earlier, words=words)
        key = reply_key(
            image_key(keeper.sha256, region) if prompt.sees else "",
            question.model or self.task.model,
            system=prompt.system,
            user=user,
            sampling=sampling,
            arithmetic=self.arithmetic[question.kind],
        )
        limit = f"max_tokens of the kind {question.kind!r} in caption.kinds"
        return ChatRequest(key, user, prompt.system, None, sampling, limit_key=limit)


def _keepers(task: Task, shard: Shard) -> Iterator[_Keeper]:
    alt_texts = {r.sample_id: r.alt_text for r in rows_of(SourceRow, shard.read(SourceRow))}
    kept = {d.sample_id for d in rows_of(Duplicate, shard.read(Duplicate)) if d.reason is None}
    for record in task.passed:
        table = shard.read(record)
        rows = zip(table["sample_id"].to_pylist(), table["reason"].to_pylist(), strict=True)
        kept &= {sample for sample, reason in rows if reason is None}
    described = task.regions.of(shard) if task.regions is not None else None
    for image in rows_of(ImageRow, shard.read(ImageRow)):
        if image.reason is not None or image.sample_id not in kept:
            continue
        if described is not None and image.sample_id not in described:
            continue
        if image.sha256 is None or image.offset is None or image.size is None:
            raise ValueError(f"image {image.sample_id} has no reason, but no pixels either")
        keeper = _Keeper(image.sample_id, image.sha256, image.offset, image.size, alt_texts[image.sample_id])
        yield keeper if described is None else replace(keeper, described=described[image.sample_id])


def _by_model(
    questions: Sequence[Question], models: Mapping[str, OpenCaptioner]
) -> Iterator[tuple[OpenCaptioner, list[Question]]]:
    """The kinds in their order, those that stand together and are asked of one model in one group."""
    for _, group in groupby(questions, key=lambda q: id(models[q.kind])):
        found = list(group)
        yield models[found[0].kind], found


def _waves(questions: Sequence[Question], *, alone: bool) -> list[list[Question]]:
    """The kinds in groups that can be asked at once: none builds on another of its group.

    ``alone`` gives each kind a group of its own, so that a batch holds one kind only.
    """
    waves: list[list[Question]] = []
    for question in questions:
        included = question.prompt.included(q.kind for q in questions)
        if not waves or alone or any(q.kind in included for q in waves[-1]):
            waves.append([])
        waves[-1].append(question)
    return waves


def _blocked(keeper: _Keeper, question: Question) -> ChatReply | None:
    """The reply of a kind that builds on one that there is not."""
    for kind in question.prompt.included(keeper.replies):
        earlier = keeper.replies[kind]
        if earlier.text is None:
            detail = f"builds on {kind}, which has no text: {earlier.detail}"
            return failure(ChatRequest("", ""), earlier.reason or Reason.MODEL_ERROR, detail)
    return None


def _row(task: Task, keeper: _Keeper, question: Question) -> Caption:
    reply, model = keeper.replies[question.kind], question.model or task.model
    return Caption(
        sample_id=keeper.sample_id,
        kind=question.kind if task.samples == 1 else candidate_kind(question.kind, keeper.number),
        text=reply.text,
        reason=reply.reason,
        detail=reply.detail,
        finish=reply.finish,
        prompt=question.prompt.label,
        model=model.name,
        model_revision=model.revision,
        reply_key=keeper.keys.get(question.kind, ""),
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
    )
