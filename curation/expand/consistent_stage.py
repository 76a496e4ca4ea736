"""The consistent stage: which imagined captions are sound, say something new, and fit the global caption."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
from pydantic import BaseModel

from curation.caption.choice import NO_ANSWER, Choice
from curation.caption.model.chat import UNKNOWN, ChatModel, ChatReply, ChatRequest, ModelIdentity, Sampling, reply_key
from curation.caption.model.open import arithmetic
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.prompts import Prompt, load
from curation.caption.unfit import UNFIT
from curation.core.errors import RecipeError
from curation.core.losses import Losses
from curation.core.stage import Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Annotation, Annotations, Replies, Verdict
from curation.expand.imagine_stage import Told, in_language, told_of
from curation.news.asked_stage import AsksAboutCaptions
from schemas.arrow import Record, rows_of, table_of
from schemas.chat import Chat
from schemas.expand import GLOBAL, IMAGINED, Consistency, ExpandImages
from schemas.reasons import Reason
from schemas.refine import Check
from schemas.replies import ImaginedCaptions
from schemas.windows import Imagined, ImaginedCheck, WindowCaption

if TYPE_CHECKING:
    from curation.caption.check.draft import Verdict as Checked

_SHOWN = pa.list_(pa.struct([("side", pa.string()), ("index", pa.int64()), ("caption", pa.string())]))
_RELATION = """(
    SELECT sample_id, list({'side': side, 'index': "index", 'caption': caption} ORDER BY side, "index")
        FILTER (passed) AS imagined
    FROM imagined_checks GROUP BY sample_id
)"""


@dataclass(frozen=True)
class ConsistentStage(AsksAboutCaptions):
    """Checks imagined captions: their form, that they say something new, and that they fit the global caption.

    Writes an ``ImaginedCheck`` row for each row of ``Imagined``. A caption that shares too many runs of words with a
    local caption, or with one that was imagined before it, repeats it. Whether one contradicts the global caption is
    put to the language model as a yes-or-no question. ``fewest`` is ``imagine.fewest``.
    """

    name: ClassVar[str] = "consistent"
    version: ClassVar[int] = 1
    reply_type: ClassVar[type[BaseModel]] = ImaginedCaptions  # not asked for: the reply is yes or no
    reads: ClassVar[tuple[type[Record], ...]] = (WindowCaption, Imagined)
    writes: ClassVar[type[Record]] = ImaginedCheck

    recipe: Consistency
    form: Check
    fewest: int = 1
    model: ModelIdentity = UNKNOWN
    chat: Chat | None = None
    prompt: Prompt | None = None
    echo: str = ""  # what the captions were asked for with, by which an echo of it is found
    asked_by: str = setting("", digest=False)  # the name of that prompt
    on: bool = setting(True, digest=False)
    store: Store | None = setting(None, digest=False)
    stop_at_share: float = setting(1.0, digest=False)

    @classmethod
    def declared(cls, recipe: ExpandImages) -> ConsistentStage:
        """The stage before a look at its model; ``ready`` completes it."""
        language = recipe.check.language
        return cls(
            recipe.consistency.model_copy(update={"prompt": in_language(recipe.consistency.prompt, language)}),
            recipe.check,
            recipe.imagine.fewest,
            chat=recipe.llm if recipe.consistency.ask else None,
            asked_by=in_language(recipe.imagine.prompt, language),
            on=recipe.imagine.enabled,
            stop_at_share=recipe.run.stop_at_share,
        )

    def ready(self, store: Store | None) -> ConsistentStage:
        """Raises ``UsageError`` for a model or a prompt that is not there, or a prompt that asks for something else."""
        from curation.caption.check.caption import check_settings

        check_settings(self.form)
        made = replace(self, echo=load(self.asked_by).body)
        return made if self.chat is None else made.asking(self.chat, store)

    def check(self) -> None:
        if self.prompt is not None and not (self.prompt.about_statement and set(self.prompt.needs) <= {GLOBAL}):
            raise RecipeError(
                f"consistency.prompt {self.recipe.prompt!r} must have the placeholder {{statement}}, and of captions "
                "{caption:global} alone"
            )
        super().check()
        if self.chat is not None and self.chat.backend == "server" and self.chat.endpoints:
            with self.opened(self.chat) as model:
                self._try_out(model)

    def _try_out(self, model: ChatModel) -> None:
        from curation.expand.trial import try_out

        if self.chat is not None and self.prompt is not None:
            try_out(model, self.prompt, self.sampling(self.chat), self.recipe.threshold)

    @property
    def verdict(self) -> Verdict:
        return Verdict.several(
            ImaginedCheck,
            {
                **NO_ANSWER,
                **UNFIT,
                Reason.REPEATS_CAPTION: "what is imagined only says again what is there (consistency.max_shared)",
                Reason.CONTRADICTS_GLOBAL: "what is imagined contradicts the global caption (consistency.threshold)",
            },
        )

    @property
    def annotations(self) -> Annotations:
        return Annotations(_RELATION, (ImaginedCheck,), (Annotation("imagined", "coalesce(a.imagined, [])", _SHOWN),))

    @property
    def replies(self) -> Replies:
        return Replies("llm", "(SELECT 'contradicts' AS kind, model, sample_id, reply_key FROM imagined_checks)")

    def probes(self) -> list[ProbeRequest]:
        if self.chat is None or self.prompt is None:
            return []
        user = self.prompt.render("", {GLOBAL: typical_alt_text()}, typical_alt_text())
        sampling = self.sampling(self.chat)
        return [
            ProbeRequest(self.name, self.prompt.system, user, sampling.max_tokens, sampling=sampling, yes_no=True),
        ]

    def sampling(self, chat: Chat) -> Sampling:
        """Greedy: there is one right answer."""
        return Sampling(self.recipe.max_tokens, 0.0, 1.0, chat.repetition_penalty, chat.seed)

    @contextmanager
    def open(self) -> Iterator[Work]:
        if self.chat is None or self.prompt is None:
            yield self.judge
            return
        with self.opened(self.chat) as model:
            if not self.chat.endpoints and self.chat.backend != "scripted":
                self._try_out(model)
            yield partial(self.judge, model=model, losses=self.losses())

    def judge(self, shard: Shard, model: ChatModel | None = None, losses: Losses | None = None) -> pa.Table:
        """The verdicts of one shard; with an open model contradictions are asked for, too."""
        told = told_of(shard)
        by_sample: dict[str, list[Imagined]] = defaultdict(list)
        for row in rows_of(Imagined, shard.read(Imagined)):
            by_sample[row.sample_id].append(row)
        shard.rows_in = len(by_sample)
        looked = {s: list(self._looks(told[s], rows)) for s, rows in by_sample.items() if s in told}
        replies: dict[str, dict[int, ChatReply]] = {sample: {} for sample in looked}
        if model is not None:
            replies = self.answers(model, shard, looked, self._requests(model, told, looked), losses)
        return table_of(ImaginedCheck, (row for s, came in replies.items() for row in self._rows(looked[s], came)))

    def _looks(self, told: Told, rows: Sequence[Imagined]) -> Iterator[ImaginedCheck]:
        """Form and novelty of a picture's imagined captions, in their order."""
        from curation.caption.check.caption import check_caption
        from curation.expand.shingles import shared

        there = list(told.windows)
        for row in rows:
            first = ImaginedCheck(row.sample_id, row.side, row.index, False, row.reason, row.detail, *[None] * 7)
            if row.text is None:
                yield first
                continue
            found = check_caption(row.text, IMAGINED, None, "", self.echo, self.form)
            share = max((shared(found.caption or "", other, self.recipe.shingle) for other in there), default=0.0)
            fault, passages = self._fault(found), found.detail
            if fault is None and share > self.recipe.max_shared:
                fault, passages = Reason.REPEATS_CAPTION, f"{share:.2f} of its runs of words stand in another caption"
            yield replace(first, passed=fault is None, fault=fault, found=passages, caption=found.caption, shared=share)
            if fault is None and found.caption is not None:
                there.append(found.caption)

    def _requests(
        self, model: ChatModel, told: Mapping[str, Told], looked: Mapping[str, Sequence[ImaginedCheck]]
    ) -> Iterator[tuple[tuple[str, int], ChatRequest]]:
        if self.chat is None or self.prompt is None:
            return
        sampling, extra = self.sampling(self.chat), arithmetic(self.chat, model.batch)
        for sample, rows in looked.items():
            for place, row in enumerate(rows):
                if not row.passed or row.caption is None:
                    continue
                user = self.prompt.render("", {GLOBAL: told[sample].whole}, row.caption)
                key = reply_key(
                    *("", self.model),
                    system=self.prompt.system,
                    user=user,
                    sampling=sampling,
                    arithmetic=extra,
                    yes_no=True,
                )
                limit = "consistency.max_tokens"
                yield (
                    (sample, place),
                    ChatRequest(key, user, self.prompt.system, None, sampling, limit_key=limit, yes_no=True),
                )

    def _rows(self, looked: Sequence[ImaginedCheck], replies: Mapping[int, ChatReply]) -> list[ImaginedCheck]:
        rows = [self._decided(row, replies.get(place)) for place, row in enumerate(looked)]
        if sum(row.passed for row in rows) >= self.fewest:
            return rows
        worst = next((row for row in rows if not row.passed), None)
        reason = worst.fault if worst is not None else Reason.INVALID_REPLY  # too few came
        detail = f"{sum(row.passed for row in rows)} of {len(rows)} passed, at least {self.fewest}"
        if worst is not None and worst.found:
            detail += f"; {worst.found}"
        return [replace(row, reason=reason, detail=detail) for row in rows]

    def _decided(self, row: ImaginedCheck, reply: ChatReply | None) -> ImaginedCheck:
        if reply is None:
            return row
        asked = replace(row, contradiction=reply.probability, model=self.model.name, reply_key=reply.key)
        if reply.probability is None:
            return replace(asked, passed=False, fault=reply.reason or Reason.INVALID_REPLY, found=reply.detail)
        if reply.probability < self.recipe.threshold:
            return asked
        found = f"{reply.probability:.2f} that it contradicts the global caption: {row.caption}"
        return replace(asked, passed=False, fault=Reason.CONTRADICTS_GLOBAL, found=found)

    def _fault(self, checked: Checked) -> Reason | None:
        """Why the check rejects a caption: the first reason, what can be mended last."""
        if checked.passed:
            return None
        rule = Choice((), names_reject=self.form.names == "reject")
        found = [r for r in checked.reasons if r not in rule.harmless_reasons]
        grave = [r for r in found if r not in rule.mendable_reasons]
        return next(iter((*grave, *found)), Reason.TOO_SHORT)
