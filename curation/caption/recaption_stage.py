"""The recaption stage: what it asks of a model, and what it decides. ``recaption`` has the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from curation.caption.choice import Choice
from curation.caption.lengths import targeted
from curation.caption.model.chat import (
    UNKNOWN,
    ModelIdentity,
    Sampling,
)
from curation.caption.model.open import build_model, check_model, check_probes, logs_of, worker_resources
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.prompts import Question, resolve
from curation.caption.recaption import caption_shard
from curation.core.losses import Losses
from curation.core.stage import Resources, Work, setting
from curation.core.store import Store
from curation.core.verdict import Replies, Verdict
from schemas.arrow import Record
from schemas.captions import Caption
from schemas.chat import Captioning
from schemas.records import Duplicate, ImageRow, SourceRow


@dataclass(frozen=True)
class RecaptionStage:
    """Asks the model for captions of every image that is kept.

    Writes one ``Caption`` row for each keeper and kind: keepers in the order of the images table, kinds in the
    recipe's. A kind whose prompt builds on an earlier one gets that one's text; if there is none, it gets the earlier
    kind's reason and the model is not asked. A sample without a row for a temporary reason (the server failed) is left
    undecided. Make it with ``of``, which checks model and prompts.
    """

    name: ClassVar[str] = "recaption"
    version: ClassVar[int] = 1
    writes: ClassVar[type[Record]] = Caption

    recipe: Captioning
    questions: tuple[Question, ...]
    model: ModelIdentity
    resources: Resources = setting(Resources(), digest=False)
    store: Store | None = setting(None, digest=False)
    choice: Choice | None = setting(None, digest=False)
    on: bool = setting(True, digest=False)
    stop_at_share: float = setting(1.0, digest=False)
    # Not in the digest by itself: ``reads`` is.
    passed: tuple[type[Record], ...] = setting((), digest=False)

    @property
    def reads(self) -> tuple[type[Record], ...]:
        return (SourceRow, ImageRow, Duplicate, *self.passed)

    @classmethod
    def declared(
        cls,
        recipe: Captioning,
        choice: Choice | None = None,
        *,
        on: bool = True,
        stop_at_share: float = 1.0,
        passed: tuple[type[Record], ...] = (),
    ) -> RecaptionStage:
        """The stage before a look at model and prompts; ``ready`` completes it.

        With a ``choice`` the captions are candidates for the release; without one they only describe.
        ``stop_at_share`` is ``run.stop_at_share``. ``passed`` are records of earlier stages: a sample that one of
        them rejected, or does not have, is not asked about.
        """
        return cls(recipe, (), UNKNOWN, worker_resources(recipe), None, choice, on, stop_at_share, passed)

    def ready(self, store: Store | None) -> RecaptionStage:
        """As ``of``, and asks servers that run already. Raises ``RecipeError`` and ``ModelError``."""
        made = replace(
            self.of(self.recipe, store, self.stop_at_share), choice=self.choice, on=self.on, passed=self.passed
        )
        made.check()
        return made

    @property
    def verdict(self) -> Verdict:
        if self.choice is not None:
            return self.choice.replies_verdict()
        return replace(Verdict.awaited(Caption, reads=False), settings={"literal": True})

    @property
    def replies(self) -> Replies:
        return Replies("caption", f"(FROM {Caption.table})", by_kind=self.choice is not None)

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        kinds = ", ".join(k.kind for k in self.recipe.kinds)
        return [("to caption", f"{samples:>12,} images ({kinds}) by {self.model.name}, at most")]

    @classmethod
    def of(cls, recipe: Captioning, store: Store | None = None, stop_at_share: float = 1.0) -> RecaptionStage:
        """Raises ``RecipeError`` for a prompt and ``ModelError`` for a model that cannot be used.

        ``store`` keeps the log of a server that the stage starts, one for each worker; ``stop_at_share`` is
        ``run.stop_at_share``.
        """
        # Before the model, which may cost a look at servers.
        questions = targeted(resolve(recipe.kinds), recipe.lengths)
        model, resources = check_model(recipe), worker_resources(recipe)
        return cls(recipe, questions, model, resources, store, stop_at_share=stop_at_share)

    def check(self) -> None:
        """Sends servers that run already the longest request of each kind. Raises ``ModelError``."""
        check_probes(self.recipe, self.model, self.probes())

    def probes(self) -> list[ProbeRequest]:
        """The longest request of each kind."""
        limits = {q.kind: q.max_tokens for q in self.questions}
        return [
            ProbeRequest(
                q.kind,
                q.prompt.system,
                q.prompt.render(
                    typical_alt_text(),
                    {k: "word " * limits[k] for k in q.prompt.needs},
                    words=max((words for words, _ in q.lengths), default=None),
                ),
                q.max_tokens,
                sampling=self.sampling(q),
            )
            for q in self.questions
        ]

    def sampling(self, question: Question) -> Sampling:
        """How the replies of a kind are sampled."""
        r = self.recipe
        return Sampling(question.max_tokens, r.temperature, r.top_p, r.repetition_penalty, r.seed)

    @contextmanager
    def open(self) -> Iterator[Work]:
        logs, probes = logs_of(self.store), self.probes()
        model = build_model(self.recipe, self.model, logs=logs, probes=probes)
        losses = Losses(self.name, self.stop_at_share)
        try:
            yield partial(caption_shard, self, model, losses=losses)
        finally:
            model.close()
