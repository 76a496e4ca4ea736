"""The imagine stage: asks a language model what lies beyond a picture, from its captions alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pyarrow as pa
from pydantic import BaseModel

from curation.caption.model.chat import UNKNOWN, ChatModel, ChatReply, ChatRequest, ModelIdentity, Sampling, reply_key
from curation.caption.model.open import arithmetic
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.prompts import Prompt
from curation.core.errors import RecipeError
from curation.core.losses import Losses
from curation.core.stage import Shard, Work, setting
from curation.core.store import Store
from curation.core.verdict import Replies, Verdict
from curation.news.asked_stage import AsksAboutCaptions
from schemas.arrow import Record, rows_of, table_of
from schemas.chat import Chat
from schemas.expand import GLOBAL, LOCAL, Imagine
from schemas.replies import ImaginedCaptions
from schemas.windows import SIDES, Imagined, Side, WindowCaption

_OPPOSITE: Mapping[str, Side] = {"left": "right", "right": "left", "up": "down", "down": "up"}
_WORDS: Mapping[str, str] = {"left": "left", "right": "right", "up": "upper", "down": "lower"}


@dataclass(frozen=True)
class Told:
    """A picture's global caption, the captions of its windows in their order, and where the windows run."""

    whole: str
    side: str
    windows: tuple[str, ...]

    def sides(self, wanted: str) -> tuple[str, ...]:
        """The edges beyond which captions are wanted, as ``imagine.sides`` has it."""
        match wanted:
            case "along":
                return (self.side,)
            case "both":
                return self.side, _OPPOSITE[self.side]
            case _:
                return (self.side, *(s for s in SIDES if s != self.side))

    def from_edge(self, side: str) -> str:
        """The captions of the windows, beginning with the one at that edge."""
        order = reversed(self.windows) if side == self.side else iter(self.windows)
        return " ".join(f"({number}) {text}" for number, text in enumerate(order, 1))


def told_of(shard: Shard) -> dict[str, Told]:
    """What is said of each picture that no earlier stage rejected, in the order of the table."""
    rows: dict[str, list[WindowCaption]] = defaultdict(list)
    for row in rows_of(WindowCaption, shard.read(WindowCaption)):
        if row.reason is None and row.global_caption is not None:
            rows[row.sample_id].append(row)
    return {
        sample: Told(found[0].global_caption or "", found[0].side, tuple(r.caption for r in found if r.caption))
        for sample, found in rows.items()
    }


@dataclass(frozen=True)
class ImagineStage(AsksAboutCaptions):
    """Asks a language model for captions of what lies beyond a picture, given its global and local captions.

    Writes ``imagine.count`` rows of ``Imagined``, or as many as came, for each edge of each picture that is used; one
    that says why where there is no reply. No image is looked at. ``store`` keeps the log of a server that the stage
    starts.
    """

    name: ClassVar[str] = "imagine"
    version: ClassVar[int] = 1
    reply_type: ClassVar[type[BaseModel]] = ImaginedCaptions
    reads: ClassVar[tuple[type[Record], ...]] = (WindowCaption,)
    writes: ClassVar[type[Record]] = Imagined

    recipe: Imagine
    model: ModelIdentity = UNKNOWN
    chat: Chat | None = None
    prompt: Prompt | None = None
    store: Store | None = setting(None, digest=False)
    stop_at_share: float = setting(1.0, digest=False)

    @classmethod
    def declared(cls, recipe: Imagine, llm: Chat, stop_at_share: float = 1.0, language: str = "") -> ImagineStage:
        """The stage before a look at its model; ``ready`` completes it. The project's prompts ask for ``language``."""
        spoken = recipe.model_copy(update={"prompt": in_language(recipe.prompt, language)})
        return cls(spoken, UNKNOWN, llm, stop_at_share=stop_at_share)

    @property
    def on(self) -> bool:
        return self.recipe.enabled

    def ready(self, store: Store | None) -> ImagineStage:
        """Raises ``UsageError`` for a model or a prompt that is not there, or a prompt that asks for something else."""
        if self.chat is None:
            raise ValueError("the stage has no model to ask")
        return self.asking(self.chat, store)

    def check(self) -> None:
        needs = self.prompt.needs if self.prompt is not None else ()
        if self.prompt is not None and not (self.prompt.asks_beyond and set(needs) <= {GLOBAL, LOCAL}):
            raise RecipeError(
                f"imagine.prompt {self.recipe.prompt!r} must have the placeholder {{side}}, and of captions "
                f"{{caption:global}} and {{caption:local}} alone; found {sorted(needs)}"
            )
        super().check()

    @property
    def verdict(self) -> Verdict:
        return Verdict.awaited(Imagined, reads=False)

    @property
    def replies(self) -> Replies:
        return Replies("llm", "(SELECT DISTINCT 'imagined' AS kind, model, sample_id, reply_key FROM imagined)")

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        return [("to imagine", f"{samples:>12,} pictures (beyond: {self.recipe.sides}) by {self.model.name}, at most")]

    def probes(self) -> list[ProbeRequest]:
        if self.chat is None or self.prompt is None:
            return []
        user = self._user(self.prompt, Told(typical_alt_text(), "right", (typical_alt_text(),) * 4), "right")
        sampling = self.sampling(self.chat)
        return [ProbeRequest(self.name, self.prompt.system, user, sampling.max_tokens, ImaginedCaptions, sampling)]

    def sampling(self, chat: Chat) -> Sampling:
        r = chat.temperature, chat.top_p, chat.repetition_penalty, chat.seed
        return Sampling(self.recipe.max_tokens, *r)

    @contextmanager
    def open(self) -> Iterator[Work]:
        if self.chat is None or self.prompt is None:
            raise ValueError("the stage is not ready")
        with self.opened(self.chat) as model:
            yield partial(self.imagine, model, self.chat, self.prompt, losses=self.losses())

    def imagine(
        self, model: ChatModel, chat: Chat, prompt: Prompt, shard: Shard, losses: Losses | None = None
    ) -> pa.Table:
        """The imagined captions of one shard, with an open model. Raises ``EndpointsGone`` and ``TooManyLost``."""
        told = told_of(shard)
        shard.rows_in = len(told)
        replies = self.answers(model, shard, told, self._requests(model, chat, prompt, told), losses)
        return table_of(
            Imagined,
            (
                row
                for sample, came in replies.items()
                for side in told[sample].sides(self.recipe.sides)
                for row in self._rows(sample, side, came[side], prompt)
            ),
        )

    def _requests(
        self, model: ChatModel, chat: Chat, prompt: Prompt, told: Mapping[str, Told]
    ) -> Iterator[tuple[tuple[str, str], ChatRequest]]:
        sampling, extra = self.sampling(chat), arithmetic(chat, model.batch)
        for sample, what in told.items():
            for side in what.sides(self.recipe.sides):
                user = self._user(prompt, what, side)
                key = reply_key(
                    *("", self.model),
                    system=prompt.system,
                    user=user,
                    sampling=sampling,
                    reply_type=ImaginedCaptions,
                    arithmetic=extra,
                )
                yield (
                    (sample, side),
                    ChatRequest(key, user, prompt.system, None, sampling, ImaginedCaptions, "imagine.max_tokens"),
                )

    def _user(self, prompt: Prompt, told: Told, side: str) -> str:
        captions = {GLOBAL: told.whole, LOCAL: told.from_edge(side)}
        return prompt.render("", captions, asked={"side": _WORDS[side], "count": str(self.recipe.count)})

    def _rows(self, sample: str, side: str, reply: ChatReply, prompt: Prompt) -> Iterator[Imagined]:
        texts: Sequence[str | None] = [None]
        if reply.text is not None:
            texts = ImaginedCaptions.model_validate_json(reply.text).captions[: self.recipe.count]
        for index, text in enumerate(texts):
            yield Imagined(
                *(sample, side, index, text, reply.reason, reply.detail, prompt.label),
                *(self.model.name, self.model.revision, reply.key),
            )


def in_language(prompt: str, language: str) -> str:
    """The name of one of the project's prompts in a language; other prompts, and those that name one, stay."""
    return f"{prompt}:{language}" if prompt.isidentifier() and language.lower() not in ("", "en") else prompt
