"""The subjects stage: find the key subjects of every caption, and a weight for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import pyarrow as pa
from pydantic import BaseModel

from curation.caption.choice import NO_ANSWER
from curation.caption.model.chat import UNKNOWN, ChatModel, ChatReply, ChatRequest, ModelIdentity, Sampling
from curation.caption.prompts import Prompt
from curation.caption.text_request import text_request
from curation.core.losses import Losses
from curation.core.stage import Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Annotation, Annotations, Replies, Verdict
from curation.news.asked_stage import AsksAboutCaptions, listed
from curation.news.clean_stage import captions_of
from curation.news.entities_stage import entities_of
from curation.news.spans import Span
from curation.news.subjects import Weighed, salience, weigh
from schemas.anchor import Subjects
from schemas.arrow import Record, table_of
from schemas.chat import Chat
from schemas.news import CleanCaption, NamedEntity, SubjectWeight
from schemas.reasons import Reason
from schemas.replies import SubjectWeights

SALIENCE = ModelIdentity("salience", "1")
_FIELDS = ("text", "weight", "spread", "kind", "start", "end")


@dataclass(frozen=True)
class SubjectsStage(AsksAboutCaptions):
    """Finds the subjects of each caption and weighs them.

    Writes at least one ``SubjectWeight`` row for each caption that no earlier stage rejected, in the captions' order.
    ``chat`` and ``prompt`` are there when a language model is asked; without them it is salience, by rules.
    ``store`` keeps the log of a server that the stage starts.
    """

    name: ClassVar[str] = "subjects"
    version: ClassVar[int] = 2
    reply_type: ClassVar[type[BaseModel]] = SubjectWeights
    reads: ClassVar[tuple[type[Record], ...]] = (CleanCaption, NamedEntity)
    writes: ClassVar[type[Record]] = SubjectWeight

    recipe: Subjects
    model: ModelIdentity = SALIENCE
    chat: Chat | None = None
    prompt: Prompt | None = None
    store: Store | None = setting(None, digest=False)
    stop_at_share: float = setting(1.0, digest=False)

    @classmethod
    def declared(cls, recipe: Subjects, llm: Chat, stop_at_share: float = 1.0) -> SubjectsStage:
        """The stage before a look at its model; ``ready`` completes it."""
        return cls(recipe, UNKNOWN, llm, stop_at_share=stop_at_share) if recipe.method == "llm" else cls(recipe)

    def ready(self, store: Store | None) -> SubjectsStage:
        """Raises ``UsageError`` for a model or a prompt that is not there."""
        return self if self.chat is None else self.asking(self.chat, store)

    @property
    def verdict(self) -> Verdict:
        return Verdict.several(SubjectWeight, {**NO_ANSWER, Reason.NO_SUBJECT: "no subject was found in the caption"})

    @property
    def annotations(self) -> Annotations:
        keys = (
            Annotation("subjects", "coalesce(a.subjects, [])", listed(SubjectWeight, *_FIELDS)),
            Annotation("subjects_by", "a.method", pa.string()),
        )
        return Annotations(
            """(SELECT sample_id, any_value(method) AS method,
                list({'text': text, 'weight': weight, 'spread': spread, 'kind': kind, 'start': start, 'end': "end"}
                ORDER BY start, "end") FILTER (text IS NOT NULL) AS subjects
            FROM subjects GROUP BY sample_id)""",
            (SubjectWeight,),
            keys,
        )

    @property
    def replies(self) -> Replies:
        asked = "(SELECT 'subjects' AS kind, method AS model, sample_id, unnest(reply_keys) AS reply_key FROM subjects)"
        return Replies("llm", asked)

    @contextmanager
    def open(self) -> Iterator[Work]:
        if self.chat is None or self.prompt is None:
            yield self._by_rules
            return
        with self.opened(self.chat) as model:
            yield partial(self._by_model, model, self.chat, self.prompt, losses=self.losses())

    def _by_rules(self, shard: Shard) -> pa.Table:
        captions, entities = _passed(shard)
        shard.rows_in = len(captions)
        return table_of(
            SubjectWeight,
            (
                row
                for sample, caption in captions.items()
                for row in self._rows(sample, caption, salience(caption, entities[sample], self.recipe.most), None)
            ),
        )

    def _by_model(
        self, model: ChatModel, chat: Chat, prompt: Prompt, shard: Shard, losses: Losses | None = None
    ) -> pa.Table:
        captions, entities = _passed(shard)
        shard.rows_in = len(captions)
        replies = self.answers(model, shard, captions, self._requests(model, chat, prompt, captions), losses)
        return table_of(
            SubjectWeight,
            (
                row
                for sample, came in replies.items()
                for row in self._judged(sample, captions[sample], entities[sample], list(came.values()))
            ),
        )

    def sampling(self, chat: Chat) -> Sampling:
        r = chat.temperature, chat.top_p, chat.repetition_penalty, chat.seed
        return Sampling(self.recipe.max_tokens, *r)

    def _requests(
        self, model: ChatModel, chat: Chat, prompt: Prompt, captions: Mapping[str, str]
    ) -> Iterator[tuple[tuple[str, int], ChatRequest]]:
        first = self.sampling(chat)
        for sample, caption in captions.items():
            for number in range(self.recipe.samples):
                sampling = replace(first, seed=first.seed + number)
                yield (
                    (sample, number),
                    text_request(
                        self.model, model, chat, prompt, caption, sampling, SubjectWeights, "subjects.max_tokens"
                    ),
                )

    def _judged(
        self, sample: str, caption: str, entities: list[Span], replies: list[ChatReply]
    ) -> Iterator[SubjectWeight]:
        # Replies come in any order; their sum must not depend on it.
        texts = sorted(r.text for r in replies if r.text is not None)
        if not texts:
            failed = min(replies, key=lambda r: r.key)
            row = self._none(sample, failed.reason or Reason.MODEL_ERROR, failed.detail, ())
            yield replace(row, reply_keys=tuple(sorted(r.key for r in replies)))
            return
        weighed = weigh(caption, [SubjectWeights.model_validate_json(t) for t in texts], entities, self.recipe.most)
        first, *others = self._rows(sample, caption, weighed, f"{len(texts)} of {self.recipe.samples} replies")
        yield replace(first, reply_keys=tuple(sorted(r.key for r in replies)))
        yield from others

    def _rows(self, sample: str, caption: str, weighed: Weighed, note: str | None) -> Iterator[SubjectWeight]:
        if not weighed.subjects:
            named = f"not in the caption: {', '.join(weighed.dropped)[:300]}" if weighed.dropped else "none was named"
            yield self._none(
                sample, Reason.NO_SUBJECT if self.recipe.none == "reject" else None, named, weighed.dropped
            )
        for number, s in enumerate(weighed.subjects):
            yield SubjectWeight(
                sample_id=sample,
                text=caption[s.start : s.end],
                start=s.start,
                end=s.end,
                weight=s.weight,
                spread=s.spread,
                kind=s.kind,
                method=self._method(),
                dropped=[] if number else list(weighed.dropped),
                reason=None,
                detail=note,
            )

    def _none(self, sample: str, reason: Reason | None, detail: str | None, dropped: tuple[str, ...]) -> SubjectWeight:
        return SubjectWeight(sample, None, None, None, None, None, None, self._method(), list(dropped), reason, detail)

    def _method(self) -> str:
        return f"{self.model.name}@{self.model.revision}"


def _passed(shard: Shard) -> tuple[dict[str, str], dict[str, list[Span]]]:
    """Captions and entities of the samples that no earlier stage rejected."""
    entities = entities_of(shard)
    return {s: caption for s, caption in captions_of(shard).items() if s in entities}, entities
