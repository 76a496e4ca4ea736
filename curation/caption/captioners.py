"""The models that a recipe's kinds of caption are asked of: each one is checked, opened and closed once."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from curation.caption.model.chat import UNKNOWN, ChatModel, ModelIdentity
from curation.caption.model.open import build_model, check_model, check_probes, worker_resources
from curation.caption.model.probe_request import ProbeRequest
from curation.caption.prompts.questions import Question
from curation.core.errors import ModelError
from curation.core.losses import Losses
from curation.core.stage import Resources
from schemas.chat import Captioning, CaptionKind, Chat

_KEY = re.compile(r"\bcaption\.([a-z_]+)")
# What kinds may differ in and ask the same model all the same.
_PER_REQUEST = {"image_size": 0, "price_in": 0.0, "price_out": 0.0, "price_hour": 0.0}


class _Reading(Chat):
    """A model of which only text is asked."""

    part: ClassVar[str] = "caption"


@dataclass(frozen=True)
class Captioner:
    """A model and the kinds that it is asked for; ``named_by`` is the first of them, unless it is caption's model."""

    settings: Captioning
    kinds: tuple[CaptionKind, ...]
    named_by: CaptionKind | None
    identity: ModelIdentity = UNKNOWN

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its kinds."""
        return tuple(k.kind for k in self.kinds)

    def checked(self, questions: Sequence[Question]) -> Captioner:
        """With its identity, after a look at it. Raises ``ModelError``."""
        with self._in_its_keys():
            return replace(self, identity=check_model(self._asked(questions)))

    def check_probes(self, questions: Sequence[Question], probes: Sequence[ProbeRequest]) -> None:
        """Sends servers that run already those probes that are of its kinds. Raises ``ModelError``."""
        with self._in_its_keys():
            check_probes(self._asked(questions), self.identity, self._own(probes))

    def build(self, questions: Sequence[Question], probes: Sequence[ProbeRequest], logs: Path | None) -> ChatModel:
        """Opens it. Raises ``ModelError``."""
        with self._in_its_keys():
            return build_model(self._asked(questions), self.identity, logs=logs, probes=self._own(probes))

    def _own(self, probes: Sequence[ProbeRequest]) -> list[ProbeRequest]:
        return [p for p in probes if p.kind in self.names]

    def _asked(self, questions: Sequence[Question]) -> Chat:
        """Its settings; a model that is shown no image may be one that reads text only."""
        if any(q.prompt.sees for q in questions if q.kind in self.names):
            return self.settings
        return _Reading.model_construct(**{name: getattr(self.settings, name) for name in Chat.model_fields})

    @contextmanager
    def _in_its_keys(self) -> Iterator[None]:
        """Errors name the keys that a kind has itself as the kind's."""
        try:
            yield
        except ModelError as error:
            if self.named_by is None:
                raise
            own, table = self.named_by.own(), self.named_by.table
            message = _KEY.sub(lambda m: f"{table}.{m[1]}" if m[1] in own else m[0], str(error))
            raise ModelError(message) from error


def captioners(recipe: Captioning) -> tuple[Captioner, ...]:
    """The models of a recipe's kinds, in the order in which kinds name them; kinds of equal settings share one."""
    default = recipe.model_copy(update=_PER_REQUEST)
    found: list[tuple[Captioning, list[CaptionKind]]] = []
    for kind in recipe.kinds:
        settings = recipe.asked_of(kind).model_copy(update=_PER_REQUEST)
        kinds = next((kinds for known, kinds in found if known == settings), None)
        if kinds is None:
            found.append((settings, [kind]))
        else:
            kinds.append(kind)
    return tuple(
        Captioner(_with_largest_image(recipe, settings, kinds), tuple(kinds), None if settings == default else kinds[0])
        for settings, kinds in found
    )


def _with_largest_image(recipe: Captioning, settings: Captioning, kinds: Iterable[CaptionKind]) -> Captioning:
    """The settings with the largest image of these kinds, by which servers are checked; 0 is as exported."""
    sizes = [recipe.asked_of(k).image_size for k in kinds]
    return settings.model_copy(update={"image_size": 0 if 0 in sizes else max(sizes)})


def resources_of(recipe: Captioning) -> Resources:
    """What a worker holds that asks all models of a recipe: their GPUs together.

    Shards in flight keep several models busy: while one shard is asked of the second model, the next one is of the
    first. Where all compute in the worker itself, one shard at a time is enough.
    """
    each = [worker_resources(c.settings) for c in captioners(recipe)]
    served = any(r.overlap > 1 for r in each)
    return replace(each[0], gpus=sum(r.gpus for r in each), overlap=len(each) + 1 if served else 1)


@dataclass
class OpenCaptioner:
    """A model that is open, and what became of its replies in this worker.

    A model that computes batches takes one caller at a time.
    """

    model: ChatModel
    losses: Losses
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def turn(self) -> AbstractContextManager[object]:
        """Surrounds a call of the model."""
        return nullcontext() if self.model.batch is None else self._lock


@contextmanager
def opened(
    found: Iterable[Captioner],
    questions: Sequence[Question],
    probes: Sequence[ProbeRequest],
    logs: Path | None,
    stage: str,
    stop_at_share: float,
) -> Iterator[Mapping[str, OpenCaptioner]]:
    """The open models by kind; all are closed at the end, also where one of them cannot be opened."""
    with ExitStack() as stack:
        models: dict[str, OpenCaptioner] = {}
        for captioner in found:
            model = captioner.build(questions, probes, logs)
            stack.callback(model.close)
            models |= dict.fromkeys(captioner.names, OpenCaptioner(model, Losses(stage, stop_at_share)))
        yield models
