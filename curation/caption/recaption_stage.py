"""The recaption stage: what it asks of a model, and what it decides. ``recaption`` has the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from curation.caption.captioners import Captioner, captioners, opened, resources_of
from curation.caption.choice import Choice
from curation.caption.lengths import targeted
from curation.caption.model.chat import (
    UNKNOWN,
    ModelIdentity,
    Sampling,
)
from curation.caption.model.open import logs_of
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.prompts.questions import Question, resolve
from curation.caption.recaption import caption_shard
from curation.caption.regions import Regions
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
    # Not in the digest by themselves: ``reads`` is.
    passed: tuple[type[Record], ...] = setting((), digest=False)
    regions: Regions | None = setting(None, digest=False)
    # The models of all kinds, checked. Those that a kind names itself are in the digest with its question.
    captioners: tuple[Captioner, ...] = setting((), digest=False)
    # Captions of each kind, each with a seed of its own. Above 1 the rows are those of candidates.
    samples: int = setting(1, digest=True, later=True)

    @property
    def reads(self) -> tuple[type[Record], ...]:
        return (SourceRow, ImageRow, Duplicate, *self.passed, *(self.regions.reads if self.regions else ()))

    @classmethod
    def declared(
        cls,
        recipe: Captioning,
        choice: Choice | None = None,
        *,
        on: bool = True,
        stop_at_share: float = 1.0,
        passed: tuple[type[Record], ...] = (),
        regions: Regions | None = None,
    ) -> RecaptionStage:
        """The stage before a look at model and prompts; ``ready`` completes it.

        With a ``choice`` the captions are candidates for the release; without one they only describe.
        ``stop_at_share`` is ``run.stop_at_share``. ``passed`` are records of earlier stages: a sample that one of
        them rejected, or does not have, is not asked about. ``regions`` say what kinds describe of a picture, where
        that is not all of it.
        """
        return cls(recipe, (), UNKNOWN, resources_of(recipe), None, choice, on, stop_at_share, passed, regions)

    def ready(self, store: Store | None) -> RecaptionStage:
        """As ``of``, and asks servers that run already. Raises ``RecipeError`` and ``ModelError``."""
        made = replace(
            self.of(self.recipe, store, self.stop_at_share),
            samples=self.samples,
            choice=self.choice,
            on=self.on,
            passed=self.passed,
            regions=self.regions,
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
        own = tuple((k.kind, k.table) for k in self.recipe.kinds if k.own())
        return Replies("caption", f"(FROM {Caption.table})", self.choice is not None and self.regions is None, own)

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        if len(self.captioners) > 1:
            samples *= self.samples
            return [
                (f"by {c.identity.name}", f"{samples * len(c.kinds):>12,} requests ({', '.join(c.names)}), at most")
                for c in self.captioners
            ]
        kinds = ", ".join(k.kind for k in self.recipe.kinds if not k.aside)
        if aside := [k.kind for k in self.recipe.kinds if k.aside]:
            kinds += f", and for some {aside[0]} to {aside[-1]}"
        name = "".join(c.identity.name for c in self.captioners)
        images = "image" if samples == 1 else "images"
        return [("to caption", f"{samples:>12,} {images} ({kinds}) by {name}, at most")]

    @classmethod
    def of(cls, recipe: Captioning, store: Store | None = None, stop_at_share: float = 1.0) -> RecaptionStage:
        """Raises ``RecipeError`` for a prompt and ``ModelError`` for a model that cannot be used.

        ``store`` keeps the log of a server that the stage starts, one for each worker; ``stop_at_share`` is
        ``run.stop_at_share``.
        """
        # Before the models, which may cost a look at servers.
        questions = targeted(resolve(recipe.kinds), recipe.lengths)
        checked = tuple(c.checked(questions) for c in captioners(recipe))
        named = {name: c.identity for c in checked if c.named_by for name in c.names}
        questions = tuple(replace(q, model=named.get(q.kind)) for q in questions)
        model = next((c.identity for c in checked if c.named_by is None), UNKNOWN)
        resources = resources_of(recipe)
        return cls(recipe, questions, model, resources, store, stop_at_share=stop_at_share, captioners=checked)

    def check(self) -> None:
        """Sends servers that run already the longest request of each kind. Raises ``ModelError``."""
        for captioner in self.captioners:
            captioner.check_probes(self.questions, self.probes())

    def probes(self) -> list[ProbeRequest]:
        """The longest request of each kind; kinds that one model is asked for alike count once."""
        limits = {q.kind: q.max_tokens for q in self.questions}
        of = {name: number for number, c in enumerate(self.captioners) for name in c.names}
        distinct = {(of.get(q.kind), q.prompt.sha, q.max_tokens, q.lengths): q for q in reversed(self.questions)}
        return [
            ProbeRequest(
                q.kind,
                q.prompt.system,
                q.prompt.render(
                    typical_alt_text(),
                    {k: "word " * limits[k] for k in q.prompt.included(limits)},
                    words=max((words for words, _ in q.lengths), default=None),
                ),
                q.max_tokens,
                sampling=self.sampling(q),
                sees=q.prompt.sees,
            )
            for q in reversed(distinct.values())
        ]

    def sampling(self, question: Question) -> Sampling:
        """How the replies of a kind are sampled."""
        r = self.recipe
        return Sampling(question.max_tokens, r.temperature, r.top_p, r.repetition_penalty, r.seed)

    @contextmanager
    def open(self) -> Iterator[Work]:
        logs, probes = logs_of(self.store), self.probes()
        with opened(self.captioners, self.questions, probes, logs, self.name, self.stop_at_share) as models:
            yield partial(caption_shard, self, models)
