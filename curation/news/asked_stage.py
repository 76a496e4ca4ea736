"""What stages share that may ask a language model about captions, or go by rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar, Self

import pyarrow as pa
from pydantic import BaseModel

from curation.caption.model.chat import ChatModel, ModelIdentity
from curation.caption.model.open import build_model, check_model, check_needs, logs_of, worker_resources
from curation.caption.model.probe_request import Need
from curation.caption.prompts import Prompt, load
from curation.core.stage import Resources
from curation.core.store import Store
from curation.news.asking import text_need
from schemas.anchor import Entities, Subjects
from schemas.arrow import Record, schema_of
from schemas.reasons import Reason
from schemas.recipe import Chat

NO_ANSWER = (Reason.MODEL_ERROR, Reason.MODEL_REFUSED_REQUEST, Reason.INVALID_REPLY)
"""Why a model's answer about a caption is missing."""


def listed(record: type[Record], *names: str) -> pa.DataType:
    """The Arrow type of a list of structs of these columns."""
    schema = schema_of(record)
    return pa.list_(pa.struct([(name, schema.field(name).type) for name in names]))


class AsksAboutCaptions:
    """The part of such a stage that has to do with the model. Without ``chat`` and ``prompt`` none is asked;
    ``store`` keeps the log of a server that the stage starts."""

    reply_type: ClassVar[type[BaseModel]]

    recipe: Entities | Subjects
    model: ModelIdentity
    chat: Chat | None
    prompt: Prompt | None
    store: Store | None

    def asking(self, chat: Chat, store: Store | None) -> Self:
        """This stage with its model and prompt. Raises ``ModelError`` and ``RecipeError``."""
        fields = {"model": check_model(chat), "prompt": load(self.recipe.prompt), "store": store}
        made: Self = replace(self, **fields)  # type: ignore[type-var]  # every subclass is a dataclass with these
        made.check()
        return made

    def check(self) -> None:
        """Asks servers that run already whether they can answer, by schema. Raises ``ModelError``."""
        if self.chat is not None:
            check_needs(self.chat, self.model, self.needs(), image_side=0)

    def needs(self) -> list[Need]:
        """The longest request, where a model is asked."""
        return [] if self.prompt is None else [text_need(self.prompt, self.recipe.max_tokens, self.reply_type)]

    @property
    def resources(self) -> Resources:
        return Resources() if self.chat is None else worker_resources(self.chat)

    @contextmanager
    def opened(self, chat: Chat) -> Iterator[ChatModel]:
        """The model that ``chat`` names, closed at the end."""
        model = build_model(chat, self.model, logs=logs_of(self.store), needs=self.needs())
        try:
            yield model
        finally:
            model.close()
