"""The write stage: asks a language model for a prompt, with its questions, about every brief."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import pyarrow as pa

from curation.caption.choice import NO_ANSWER
from curation.caption.lengths import draw_words
from curation.caption.model.asking import ask, blocks, undecided, undecided_why
from curation.caption.model.chat import UNKNOWN, ChatModel, ChatReply, ChatRequest, ModelIdentity, Sampling, reply_key
from curation.caption.model.ledger import Ledger
from curation.caption.model.open import (
    arithmetic,
    build_model,
    check_model,
    check_probes,
    logs_of,
    worker_resources,
)
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.prompts import Prompt, load
from curation.core.errors import RecipeError
from curation.core.losses import Losses
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.core.under_way import Progress, followed
from curation.core.verdict import Replies, Verdict
from curation.dense_prompts.plan_stage import CAPTIONS
from schemas.arrow import Record, rows_of, table_of
from schemas.chat import Chat
from schemas.dense_prompts import Write
from schemas.prompt_records import DensePromptReply, WrittenPrompt
from schemas.records import SourceRow

_LENGTHS = "prompt"  # the name under which target lengths are drawn


@dataclass(frozen=True)
class WriteStage:
    """Asks a language model for a prompt about each brief, and for the questions that take the prompt apart.

    Writes one ``WrittenPrompt`` row for each row of the plan, in their order. A row that got no reply for a passing
    reason is left undecided.
    """

    name: ClassVar[str] = "write"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow,)
    writes: ClassVar[type[Record]] = WrittenPrompt

    recipe: Write
    chat: Chat
    seed: int
    model: ModelIdentity = UNKNOWN
    prompt: Prompt | None = None
    rewrite: Prompt | None = None
    store: Store | None = setting(None, digest=False)
    stop_at_share: float = setting(1.0, digest=False)

    def ready(self, store: Store | None) -> WriteStage:
        """Raises ``RecipeError`` for a prompt that cannot be used and ``ModelError`` for such a model."""
        prompt, rewrite = _load(self.recipe.prompt), _load(self.recipe.rewrite)
        made = replace(self, model=check_model(self.chat), store=store, prompt=prompt, rewrite=rewrite)
        check_probes(self.chat, made.model, made.probes())
        return made

    @property
    def resources(self) -> Resources:
        return worker_resources(self.chat)

    @property
    def verdict(self) -> Verdict:
        return Verdict.each(WrittenPrompt, NO_ANSWER)

    @property
    def replies(self) -> Replies:
        return Replies("llm", "(SELECT 'write' AS kind, model, sample_id, reply_key FROM written_prompts)")

    @property
    def sampling(self) -> Sampling:
        c = self.chat
        return Sampling(self.recipe.max_tokens, c.temperature, c.top_p, c.repetition_penalty, c.seed)

    def probes(self) -> list[ProbeRequest]:
        """The longest request of each prompt."""
        longest = max(words for words, _ in self.recipe.lengths)
        return [
            ProbeRequest(
                p.name, p.system, p.render("", {}, words=longest, brief=typical_alt_text()), self.recipe.max_tokens,
                DensePromptReply, self.sampling,
            )
            for p in (self.prompt, self.rewrite) if p is not None
        ]  # fmt: skip

    @contextmanager
    def open(self) -> Iterator[Work]:
        if self.prompt is None or self.rewrite is None:
            raise ValueError("the stage is not ready")
        model = build_model(self.chat, self.model, logs=logs_of(self.store), probes=self.probes())
        try:
            yield partial(self._write, model, Losses(self.name, self.stop_at_share))
        finally:
            model.close()

    def _write(self, model: ChatModel, losses: Losses, shard: Shard) -> pa.Table:
        rows = list(rows_of(SourceRow, shard.read(SourceRow)))
        shard.rows_in = len(rows)
        replies: dict[str, ChatReply] = {}

        def look() -> Progress:
            return Progress(WrittenPrompt.table, shard.name, len(replies), len(rows))

        with followed(look), Ledger(shard.store, shard.name) as ledger:
            for block in blocks(rows, model.batch):
                for row, reply in ask(model, ledger, ((row, self._request(model, row)) for row in block)):
                    replies[row.sample_id] = reply
                    losses.count(reply.reason, reply.detail)
        failed = {sample: reply for sample, reply in replies.items() if undecided([reply])}
        if failed:
            shard.leave_undecided(len(failed), undecided_why(len(rows), failed))
        return table_of(
            WrittenPrompt, (self._row(row, replies[row.sample_id]) for row in rows if row.sample_id not in failed)
        )

    def _asked_by(self, row: SourceRow) -> Prompt:
        prompt = self.rewrite if row.source_file.startswith(f"{CAPTIONS}/") else self.prompt
        assert prompt is not None  # ``open`` looks
        return prompt

    def _words(self, row: SourceRow) -> int:
        return draw_words(self.recipe.lengths, self.seed, _LENGTHS, row.sample_id) or 0

    def _request(self, model: ChatModel, row: SourceRow) -> ChatRequest:
        prompt = self._asked_by(row)
        user = prompt.render("", {}, words=self._words(row), brief=row.alt_text)
        key = reply_key(
            "", self.model, system=prompt.system, user=user, sampling=self.sampling, reply_type=DensePromptReply,
            arithmetic=arithmetic(self.chat, model.batch),
        )  # fmt: skip
        return ChatRequest(key, user, prompt.system, None, self.sampling, DensePromptReply, "write.max_tokens")

    def _row(self, row: SourceRow, reply: ChatReply) -> WrittenPrompt:
        return WrittenPrompt(
            sample_id=row.sample_id,
            text=reply.text,
            reason=reply.reason,
            detail=reply.detail,
            finish=reply.finish,
            target_words=self._words(row),
            prompt=self._asked_by(row).label,
            model=self.model.name,
            model_revision=self.model.revision,
            reply_key=reply.key,
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
        )


def _load(name: str) -> Prompt:
    prompt = load(name)
    if not prompt.about_brief or prompt.needs or prompt.about_statement:
        raise RecipeError(
            f"the prompt {name!r} must have the placeholder {{brief}}, and {{words}} at most beside it; name another "
            "in write.prompt or write.rewrite"
        )
    return prompt
