"""The atoms stage: asks a language model to take captions apart into what can be asked one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from curation.caption.model.chat import UNKNOWN, ChatModel, ChatReply, ChatRequest, ModelIdentity, Sampling
from curation.caption.model.open import build_model, check_model, check_probes, logs_of, worker_resources
from curation.caption.prompts import CAPTION_LIMIT, Prompt, load
from curation.caption.prompts.questions import tag_kinds
from curation.caption.text_request import text_probe, text_request
from curation.core.losses import Losses
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Replies
from schemas.arrow import Record, rows_of, table_of
from schemas.atoms import Atom
from schemas.candidates import plain_kind
from schemas.captions import CaptionCheck
from schemas.chat import Captioning, CaptionKind, Chat
from schemas.reasons import Reason
from schemas.replies import CaptionAtoms
from schemas.verify import Verify

if TYPE_CHECKING:
    from schemas.questions import Question


@dataclass
class _Apart:
    """A caption on its way to its atoms."""

    sample_id: str
    kind: str
    caption: str
    reply: ChatReply | None = None


@dataclass(frozen=True)
class AtomsStage:
    """Takes each caption that passed the check apart into atoms, where the recipe asks for it.

    Writes the ``Atom`` rows of every caption of prose with at most ``most`` statements, in the captions' order, or one
    row that says why there are none. Make it with ``declared``; ``ready`` checks prompt and model.
    """

    name: ClassVar[str] = "atoms"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (CaptionCheck,)
    writes: ClassVar[type[Record]] = Atom

    most: int
    sampling: Sampling
    language: str = "en"  # of the captions, as the check reads them
    model: ModelIdentity = UNKNOWN
    prompt: Prompt | None = None
    tags: tuple[str, ...] = ()
    kinds: tuple[CaptionKind, ...] = setting((), digest=False)
    chat: Chat = setting(Chat(), digest=False)
    prompt_name: str = setting("atoms", digest=False)
    on: bool = setting(False, digest=False)
    resources: Resources = setting(Resources(), digest=False)
    store: Store | None = setting(None, digest=False)
    stop_at_share: float = setting(1.0, digest=False)

    @classmethod
    def declared(
        cls, verify: Verify, caption: Captioning, stop_at_share: float = 1.0, language: str = "en"
    ) -> AtomsStage:
        """The stage before a look at prompt and model; ``ready`` completes it."""
        recipe, chat = verify.atoms, verify.atoms.asked_of(caption)
        return cls(
            most=verify.max_statements,
            sampling=Sampling(
                recipe.max_tokens, recipe.temperature, recipe.top_p, recipe.repetition_penalty, recipe.seed
            ),
            language=language,
            kinds=tuple(k for k in caption.kinds if not k.aside),
            chat=chat,
            prompt_name=recipe.prompt,
            on=verify.enabled and recipe.enabled,
            resources=worker_resources(chat),
            stop_at_share=stop_at_share,
        )

    def ready(self, store: Store | None) -> AtomsStage:
        """Raises ``RecipeError`` for a prompt that is about no caption, and ``ModelError``."""
        prompt = load(self.prompt_name).must_be_about("any_caption", f"verify.atoms.prompt {self.prompt_name!r}")
        made = replace(self, prompt=prompt, tags=tag_kinds(self.kinds), model=check_model(self.chat), store=store)
        check_probes(self.chat, made.model, [text_probe(prompt, self.sampling, CaptionAtoms)])
        return made

    @property
    def replies(self) -> Replies:
        asked = (
            f"(SELECT DISTINCT 'atoms' AS kind, model, sample_id, reply_key FROM {Atom.table} WHERE reply_key <> '')"  # noqa: S608  # a table's name
        )
        return Replies(self.chat.part, asked, each=len(self.kinds), longest=self.sampling.max_tokens)

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        return [("to take apart", f"{samples:>12,} images' captions by {self.model.name}, at most")]

    @contextmanager
    def open(self) -> Iterator[Work]:
        if self.prompt is None:
            raise ValueError("the stage is not ready")
        probes = [text_probe(self.prompt, self.sampling, CaptionAtoms)]
        model = build_model(self.chat, self.model, logs=logs_of(self.store), probes=probes)
        losses = Losses(self.name, self.stop_at_share)
        try:
            yield partial(self.take_apart, self.prompt, model, losses=losses)
        finally:
            model.close()

    def take_apart(self, prompt: Prompt, model: ChatModel, shard: Shard, losses: Losses | None = None) -> pa.Table:
        """The atoms of one shard's captions, with an open model. Raises ``EndpointsGone`` and ``TooManyLost``."""
        from curation.caption.model.asking import ask, undecided, undecided_why
        from curation.caption.model.ledger import Ledger

        losses = losses or Losses(self.name, self.stop_at_share)
        captions = self._captions(shard)
        shard.rows_in = len(captions)
        with Ledger(shard.store, shard.name) as ledger:
            requests = (
                (apart, self._request(prompt, model, apart.caption))
                for apart in captions
                if len(apart.caption) <= CAPTION_LIMIT
            )
            for apart, reply in ask(model, ledger, requests):
                apart.reply = reply
                losses.count(reply.reason, reply.detail)
        failed = {c.sample_id: found for c in captions if c.reply and (found := undecided([c.reply]))}
        if failed:
            shard.leave_undecided(len(failed), undecided_why(len({c.sample_id for c in captions}), failed))
        decided = (c for c in captions if c.sample_id not in failed)
        return table_of(Atom, (row for apart in decided for row in self._rows(prompt, apart)))

    def _captions(self, shard: Shard) -> list[_Apart]:
        from curation.caption.check.caption import language_of
        from curation.caption.verify.statements import split

        return [
            _Apart(check.sample_id, check.kind, check.caption)
            for check in rows_of(CaptionCheck, shard.read(CaptionCheck))
            if check.passed and check.caption is not None and plain_kind(check.kind) not in self.tags
            if len(split(check.caption, language_of(check.caption, self.language))) <= self.most
        ]

    def _request(self, prompt: Prompt, model: ChatModel, caption: str) -> ChatRequest:
        limit = "verify.atoms.max_tokens"
        return text_request(self.model, model, self.chat, prompt, caption, self.sampling, CaptionAtoms, limit)

    def _rows(self, prompt: Prompt, apart: _Apart) -> Iterator[Atom]:
        from curation.caption.verify.atoms import questions_of

        reply = apart.reply
        if reply is None:
            fault = f"a caption of {len(apart.caption)} characters, at most {CAPTION_LIMIT} are asked about"
            yield self._row(prompt, apart, reason=Reason.TOO_LONG, fault=fault)
            return
        if reply.text is None:
            yield self._row(prompt, apart, reason=reply.reason, fault=reply.detail)
            return
        found = questions_of(apart.caption, CaptionAtoms.model_validate_json(reply.text))
        if not found:
            yield self._row(prompt, apart, reason=Reason.INVALID_REPLY, fault="no atoms")
        for question in found:
            yield self._row(prompt, apart, question)

    def _row(
        self,
        prompt: Prompt,
        apart: _Apart,
        question: Question | None = None,
        reason: Reason | None = None,
        fault: str | None = None,
    ) -> Atom:
        placed = question is not None and question.start >= 0
        return Atom(
            sample_id=apart.sample_id,
            kind=apart.kind,
            index=question.id if question else None,
            parents=list(question.parents) if question else [],
            category=question.category if question else None,
            detail=question.detail if question else None,
            elements=list(question.elements) if question else [],
            start=question.start if question and placed else None,
            end=question.end if question and placed else None,
            question=question.question if question else None,
            answer=question.answer if question else None,
            reason=reason,
            fault=fault,
            model=self.model.name,
            model_revision=self.model.revision,
            prompt=prompt.label,
            reply_key=apart.reply.key if apart.reply else "",
        )
