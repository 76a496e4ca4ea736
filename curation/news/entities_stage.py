"""The entities stage: find the named entities of every cleaned caption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import pyarrow as pa
from pydantic import BaseModel

from curation.caption.choice import NO_ANSWER
from curation.caption.model.asking import ask, undecided, undecided_why
from curation.caption.model.chat import UNKNOWN, ChatModel, ChatReply, ModelIdentity, Sampling
from curation.caption.model.ledger import Ledger
from curation.caption.prompts import Prompt
from curation.core.losses import Losses
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Annotation, Annotations, Replies, Verdict
from curation.news.asked_stage import AsksAboutCaptions, listed
from curation.news.asking import entity_request, entity_sampling, placed
from curation.news.clean_stage import captions_of
from curation.news.spans import Span
from schemas.anchor import Entities
from schemas.arrow import Record, rows_of, table_of
from schemas.chat import Chat
from schemas.news import CleanCaption, NamedEntity
from schemas.replies import NamedEntities

Recognise = Callable[[Shard, Mapping[str, str]], Iterator[tuple[str, "list[Span] | ChatReply"]]]

_FIELDS = ("text", "label", "start", "end", "score")


@dataclass(frozen=True)
class EntitiesStage(AsksAboutCaptions):
    """Finds the named entities of each caption, by rules, a pipeline or a model.

    Writes at least one ``NamedEntity`` row for each cleaned caption, in the captions' order.
    ``chat`` and ``prompt`` are there when a language model is asked, whose entities are looked up in the text;
    ``store`` keeps the log of a server that the stage starts.
    """

    name: ClassVar[str] = "entities"
    version: ClassVar[int] = 2
    reply_type: ClassVar[type[BaseModel]] = NamedEntities
    reads: ClassVar[tuple[type[Record], ...]] = (CleanCaption,)
    writes: ClassVar[type[Record]] = NamedEntity

    recipe: Entities
    model: ModelIdentity
    chat: Chat | None = None
    prompt: Prompt | None = None
    store: Store | None = setting(None, digest=False)
    stop_at_share: float = setting(1.0, digest=False)

    @classmethod
    def declared(cls, recipe: Entities, llm: Chat, stop_at_share: float = 1.0) -> EntitiesStage:
        """The stage before a look at its recogniser or model; ``ready`` completes it."""
        return cls(recipe, UNKNOWN, llm if recipe.recogniser == "llm" else None, stop_at_share=stop_at_share)

    def ready(self, store: Store | None) -> EntitiesStage:
        """Raises ``UsageError`` for a recogniser, a model or a prompt that is not there."""
        if self.chat is None:
            from curation.news.recognisers import identify  # brings spaCy, which asking a root does without

            return replace(self, model=identify(self.recipe))
        return self.asking(self.chat, store)

    @property
    def verdict(self) -> Verdict:
        return Verdict.several(NamedEntity, NO_ANSWER)

    @property
    def annotations(self) -> Annotations:
        keys = (Annotation("entities", "coalesce(a.entities, [])", listed(NamedEntity, *_FIELDS)),)
        return Annotations(
            """(SELECT sample_id, list({'text': text, 'label': label, 'start': start, 'end': "end", 'score': score}
                ORDER BY start, "end") FILTER (text IS NOT NULL) AS entities
            FROM entities GROUP BY sample_id)""",
            (NamedEntity,),
            keys,
        )

    @property
    def replies(self) -> Replies:
        return Replies(
            "llm", "(SELECT DISTINCT 'entities' AS kind, recogniser AS model, sample_id, reply_key FROM entities)"
        )

    @property
    def resources(self) -> Resources:
        return Resources(workers=self.recipe.workers) if self.chat is None else super().resources

    @contextmanager
    def open(self) -> Iterator[Work]:
        if self.chat is None or self.prompt is None:
            from curation.news.recognisers import open_recogniser

            recogniser = open_recogniser(self.recipe)

            def recognise(_: Shard, captions: Mapping[str, str]) -> Iterator[tuple[str, list[Span] | ChatReply]]:
                yield from zip(captions, recogniser.recognise(list(captions.values())), strict=True)

            yield partial(self._shard, recognise)
            return
        with self.opened(self.chat) as model:
            yield partial(self._shard, partial(self._ask, model, self.chat, self.prompt, losses=self.losses()))

    def sampling(self, chat: Chat) -> Sampling:
        return entity_sampling(chat, self.recipe.max_tokens)

    def _shard(self, recognise: Recognise, shard: Shard) -> pa.Table:
        captions = captions_of(shard)
        shard.rows_in = len(captions)
        found = dict(recognise(shard, captions))
        failed = {s: r for s, r in found.items() if isinstance(r, ChatReply) and undecided([r])}
        if failed:
            shard.leave_undecided(len(failed), undecided_why(len(captions), failed))
        decided = ((s, text) for s, text in captions.items() if s not in failed)
        return table_of(NamedEntity, (row for s, text in decided for row in self._rows(s, text, found[s])))

    def _rows(self, sample: str, caption: str, found: list[Span] | ChatReply) -> Iterator[NamedEntity]:
        by = f"{self.model.name}@{self.model.revision}"
        key = None
        if isinstance(found, ChatReply):
            if found.text is None:
                yield NamedEntity(sample, None, None, None, None, None, by, found.reason, found.detail, found.key)
                return
            key = found.key
            found = placed(caption, NamedEntities.model_validate_json(found.text))
        from curation.news.recognisers import wanted

        kept = wanted(self.recipe, caption, found)
        if not kept:
            yield NamedEntity(sample, None, None, None, None, None, by, None, None, key)
        for s in kept:
            yield NamedEntity(sample, caption[s.start : s.end], s.label, s.start, s.end, s.score, by, None, None, key)

    def _ask(
        self,
        model: ChatModel,
        chat: Chat,
        prompt: Prompt,
        shard: Shard,
        captions: Mapping[str, str],
        losses: Losses | None = None,
    ) -> Iterator[tuple[str, list[Span] | ChatReply]]:
        requests = (
            (s, entity_request(self.model, model, chat, prompt, text, self.recipe.max_tokens))
            for s, text in captions.items()
        )
        losses = losses or self.losses()
        with Ledger(shard.store, shard.name) as ledger:
            for sample, reply in ask(model, ledger, requests):
                losses.count(reply.reason, reply.detail)
                yield sample, reply


def entities_of(shard: Shard) -> dict[str, list[Span]]:
    """The entities of the shard's samples; samples that the entities stage rejected are left out."""
    found: dict[str, list[Span]] = {}
    for row in rows_of(NamedEntity, shard.read(NamedEntity)):
        if row.reason is not None:
            continue
        spans = found.setdefault(row.sample_id, [])
        if row.start is not None and row.end is not None and row.label is not None:
            spans.append(Span(row.start, row.end, row.label, row.score))
    return found
