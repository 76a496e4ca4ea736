"""The shared part of stages that work by rules or ask a language model about captions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar, Protocol, Self, TypeVar

import pyarrow as pa
from pydantic import BaseModel

from curation.caption.model.asking import ask, undecided, undecided_why
from curation.caption.model.chat import ChatModel, ChatReply, ChatRequest, ModelIdentity, Sampling
from curation.caption.model.ledger import Ledger
from curation.caption.model.open import build_model, check_model, check_probes, logs_of, worker_resources
from curation.caption.model.probe_request import ProbeRequest
from curation.caption.prompts import Prompt, load
from curation.caption.text_request import text_probe
from curation.core.losses import Losses
from curation.core.stage import Resources, Shard
from curation.core.store import Store
from schemas.arrow import Record, schema_of
from schemas.chat import Chat

Part = TypeVar("Part")  # tells the requests about one sample apart


def listed(record: type[Record], *names: str) -> pa.DataType:
    """The Arrow type of a list of structs of these columns."""
    schema = schema_of(record)
    return pa.list_(pa.struct([(name, schema.field(name).type) for name in names]))


class Prompted(Protocol):
    """A part of a recipe that names a prompt."""

    @property
    def prompt(self) -> str: ...


class AsksAboutCaptions:
    """The part of such a stage that asks the model. Without ``chat`` and ``prompt`` no model is asked;
    ``store`` keeps the log of a server that the stage starts."""

    name: ClassVar[str]
    reply_type: ClassVar[type[BaseModel]]

    recipe: Prompted
    model: ModelIdentity
    chat: Chat | None
    prompt: Prompt | None
    store: Store | None
    stop_at_share: float

    def sampling(self, chat: Chat) -> Sampling:
        """How the stage's replies are sampled."""
        raise NotImplementedError

    def asking(self, chat: Chat, store: Store | None) -> Self:
        """This stage with its model and prompt. Raises ``ModelError`` and ``RecipeError``."""
        fields = {"model": check_model(chat), "prompt": load(self.recipe.prompt), "store": store}
        made: Self = replace(self, **fields)  # type: ignore[type-var]  # every subclass is a dataclass with these
        made.check()
        return made

    def check(self) -> None:
        """Sends servers that run already the longest request, with its schema. Raises ``ModelError``."""
        if self.chat is not None:
            check_probes(self.chat, self.model, self.probes())

    def probes(self) -> list[ProbeRequest]:
        """The longest request, where a model is asked."""
        if self.chat is None or self.prompt is None:
            return []
        return [text_probe(self.prompt, self.sampling(self.chat), self.reply_type)]

    @property
    def resources(self) -> Resources:
        return Resources() if self.chat is None else worker_resources(self.chat)

    def losses(self) -> Losses:
        """Counts what becomes of one worker's replies."""
        return Losses(self.name, self.stop_at_share)

    def answers(
        self,
        model: ChatModel,
        shard: Shard,
        samples: Iterable[str],
        requests: Iterable[tuple[tuple[str, Part], ChatRequest]],
        losses: Losses | None = None,
    ) -> dict[str, dict[Part, ChatReply]]:
        """The replies of each sample by what was asked about it, in the samples' order.

        Requests come with their sample and part. Samples without a verdict are left out, and the shard says so.
        Raises ``EndpointsGone`` and ``TooManyLost``.
        """
        losses = losses or self.losses()
        found: dict[str, dict[Part, ChatReply]] = {sample: {} for sample in samples}
        with Ledger(shard.store, shard.name) as ledger:
            for (sample, part), reply in ask(model, ledger, requests):
                found[sample][part] = reply
                losses.count(reply.reason, reply.detail)
        failed = {sample: why for sample, came in found.items() if (why := undecided(came.values()))}
        if failed:
            shard.leave_undecided(len(failed), undecided_why(len(found), failed))
        return {sample: came for sample, came in found.items() if sample not in failed}

    @contextmanager
    def opened(self, chat: Chat) -> Iterator[ChatModel]:
        """The model that ``chat`` names, closed at the end."""
        model = build_model(chat, self.model, logs=logs_of(self.store), probes=self.probes())
        try:
            yield model
        finally:
            model.close()
