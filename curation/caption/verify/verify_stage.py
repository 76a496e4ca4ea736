"""The verify stage: which statements it puts to which model. ``verify`` has the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from curation.caption.model.chat import UNKNOWN, ChatModel, ModelIdentity, Sampling
from curation.caption.model.open import build_model, check_model, check_probes, logs_of, worker_resources
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.prompts import Prompt, load
from curation.caption.prompts.questions import tag_kinds
from curation.caption.regions import Regions
from curation.core.losses import Losses
from curation.core.stage import Resources, Work, setting
from curation.core.store import Store
from curation.core.verdict import Replies
from schemas.arrow import Record
from schemas.atoms import Atom
from schemas.captions import CaptionCheck, Statement
from schemas.chat import Captioning, CaptionKind, Seeing
from schemas.records import ImageRow
from schemas.verify import Verify

_LEAST_NAMED = 0.5  # share of a clause's words; with less, atoms are no stand-in for it
_STATEMENTS = 6.0  # of a caption; a guess for --dry-run


@dataclass(frozen=True)
class VerifyStage:
    """A ``Statement`` row for every statement of every caption that passed the check, in the captions' order.

    Each statement is asked about singly, in an order drawn from the seed; one that refers back is asked together with
    what it refers to. In captions of the kinds ``tags`` each tag is a statement. What is not of ``classes`` is not
    asked. A caption of more than ``most`` statements has no row. With ``of_atoms`` a caption's atoms are asked instead,
    one only once those that it hangs on are true, and beside them the statements that hold none. Make it with
    ``declared``; ``ready`` checks prompt and model. ``least_named``: as in ``in_place_of``.
    """

    name: ClassVar[str] = "verify"
    version: ClassVar[int] = 1
    writes: ClassVar[type[Record]] = Statement

    threshold: float
    classes: tuple[str, ...]
    most: int
    sampling: Sampling
    image_size: int
    language: str = "en"  # of the captions, as the check reads them
    model: ModelIdentity = UNKNOWN
    prompt: Prompt | None = None
    tags: tuple[str, ...] = setting((), digest=True, later=True)
    of_atoms: bool = setting(False, digest=True, later=True)
    least_named: float = setting(0.0, digest=True, later=True)
    question: Prompt | None = setting(None, digest=True, later=True)
    kinds: tuple[CaptionKind, ...] = setting((), digest=False)
    chat: Seeing = setting(Seeing(), digest=False)
    prompt_name: str = setting("verify", digest=False)
    question_name: str = setting("question", digest=False)
    table: str = setting("verify", digest=False)  # the recipe's table that names the model
    on: bool = setting(True, digest=False)
    resources: Resources = setting(Resources(), digest=False)
    store: Store | None = setting(None, digest=False)
    stop_at_share: float = setting(1.0, digest=False)
    regions: Regions | None = setting(None, digest=False)  # not in the digest by itself: ``reads`` is

    @property
    def reads(self) -> tuple[type[Record], ...]:
        atoms = (Atom,) if self.of_atoms else ()
        return (ImageRow, CaptionCheck, *atoms, *(self.regions.reads if self.regions else ()))

    @classmethod
    def declared(
        cls,
        recipe: Verify,
        caption: Captioning,
        stop_at_share: float = 1.0,
        language: str = "en",
        regions: Regions | None = None,
    ) -> VerifyStage:
        """The stage before a look at prompt and model; ``ready`` completes it. ``regions``: as in recaption."""
        chat = recipe.asked_of(caption)
        return cls(
            threshold=recipe.threshold,
            classes=tuple(sorted(recipe.classes)),
            most=recipe.max_statements,
            sampling=Sampling(
                recipe.max_tokens, recipe.temperature, recipe.top_p, recipe.repetition_penalty, recipe.seed
            ),
            image_size=chat.image_size,
            language=language,
            kinds=tuple(k for k in caption.kinds if not k.aside),
            chat=chat,
            of_atoms=recipe.atoms.enabled,
            least_named=_LEAST_NAMED if recipe.atoms.enabled else 0.0,
            prompt_name=recipe.prompt,
            question_name=recipe.atoms.question,
            table=chat.part,
            on=recipe.enabled,
            resources=worker_resources(chat),
            stop_at_share=stop_at_share,
            regions=regions,
        )

    def ready(self, store: Store | None) -> VerifyStage:
        """Loads the prompt, and puts statements about drawn pictures to servers that run already.

        Raises ``RecipeError`` for a prompt that asks about nothing and ``ModelError`` for a model that cannot
        verify. A model in the worker, or a server that the run starts, is tried out when it is open.
        """
        prompt = load(self.prompt_name).must_be_about("statement", f"verify.prompt {self.prompt_name!r}")
        made = replace(self, prompt=prompt, tags=tag_kinds(self.kinds), model=check_model(self.chat), store=store)
        if self.of_atoms:
            key = f"verify.atoms.question {self.question_name!r}"
            made = replace(made, question=load(self.question_name).must_be_about("question", key))
        if self.chat.backend == "server" and self.chat.endpoints:
            check_probes(self.chat, made.model, made.probes())
            model = build_model(self.chat, made.model)
            try:
                made.try_out(model)
            finally:
                model.close()
        return made

    @property
    def replies(self) -> Replies:
        asked = f"(SELECT 'verify' AS kind, model, sample_id, reply_key FROM {Statement.table})"  # noqa: S608  # a table's name
        return Replies(self.table, asked, each=_STATEMENTS * len(self.kinds), longest=self.sampling.max_tokens)

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        return [("to verify", f"{samples:>12,} images by {self.model.name}: a request for each statement, at most")]

    @property
    def prompts(self) -> list[Prompt]:
        """Those that are asked by: for statements, and with atoms for questions."""
        return [p for p in (self.prompt, self.question) if p is not None]

    def probes(self) -> list[ProbeRequest]:
        """Long requests, as the run will send them."""
        return [
            ProbeRequest(
                "verify",
                prompt.system,
                prompt.render("", {}, typical_alt_text()),
                self.sampling.max_tokens,
                sampling=self.sampling,
                yes_no=True,
            )
            for prompt in self.prompts
        ]

    def try_out(self, model: ChatModel) -> None:
        """Raises ``ModelError`` for a model that cannot verify."""
        from curation.caption.verify.trial import try_out

        for prompt in self.prompts:
            try_out(model, prompt, self.sampling, self.threshold, self.table)

    @contextmanager
    def open(self) -> Iterator[Work]:
        from curation.caption.verify.verify import verify_shard

        if self.prompt is None:
            raise ValueError("the stage is not ready")
        probes = self.probes()
        model = build_model(self.chat, self.model, logs=logs_of(self.store), probes=probes)
        losses = Losses(self.name, self.stop_at_share)
        try:
            if not self.chat.endpoints:
                self.try_out(model)
            yield partial(verify_shard, self, self.prompt, model, losses=losses)
        finally:
            model.close()
