"""Asks a vision-language model the questions about generated images, and never for a reply that is in the journal."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from curation.caption.model.asking import ask, blocks
from curation.caption.model.chat import ChatModel, ChatReply, ChatRequest, ModelIdentity, Sampling, reply_key
from curation.caption.model.images import fit
from curation.caption.model.ledger import Ledger
from curation.caption.model.open import arithmetic, build_model, check_model, check_probes
from curation.caption.model.probe_request import ProbeRequest, typical_alt_text
from curation.caption.prompts import Prompt, load
from curation.core.errors import RecipeError
from curation.core.store import Store
from curation.dense_prompts.questions import as_yes_no
from curation.dense_prompts.release_stage import Item
from curation.dense_prompts.scoring.pictures import Picture
from schemas.prompt_scores import Answer
from schemas.questions import Question
from schemas.reasons import Reason

JOURNAL = "answers"  # the journal's name in the folder of scores
_BLOCK = 64  # pictures whose questions are in flight at once


@dataclass(frozen=True)
class Answered:
    """The answer to a question about a picture: whether it is yes; ``reason`` says why there is none, which is no."""

    picture: Picture
    question: Question
    yes: bool
    probability: float | None
    reason: Reason | None
    detail: str | None


@dataclass(frozen=True)
class Asker:
    """The model that is asked, checked; make it with ``of``."""

    recipe: Answer
    prompt: Prompt
    identity: ModelIdentity

    @classmethod
    def of(cls, recipe: Answer) -> Asker:
        """Raises ``RecipeError`` for a prompt and ``ModelError`` for a model that cannot be used."""
        prompt = load(recipe.prompt)
        if not prompt.about_statement or prompt.needs or prompt.asks_words or prompt.about_brief:
            raise RecipeError(
                f"answer.prompt {recipe.prompt!r} must have the placeholder {{statement}} and no other; name another"
            )
        made = cls(recipe, prompt, check_model(recipe))
        check_probes(recipe, made.identity, [made._probe()])
        return made

    @property
    def sampling(self) -> Sampling:
        r = self.recipe
        return Sampling(r.max_tokens, r.temperature, r.top_p, r.repetition_penalty, r.seed)

    def _probe(self) -> ProbeRequest:
        user = self.prompt.render("", {}, typical_alt_text())
        return ProbeRequest(
            "answer", self.prompt.system, user, self.recipe.max_tokens, sampling=self.sampling, yes_no=True
        )

    def answers(self, store: Store, pictures: Sequence[Picture], items: Mapping[str, Item]) -> Iterator[Answered]:
        """The answers to all questions about each picture, picture by picture, in the order of its questions.

        Raises ``SourceError`` for a picture that cannot be read, and ``EndpointsGone``. Replies are journalled in the
        store as they come.
        """
        model = build_model(self.recipe, self.identity, probes=[self._probe()])
        try:
            with Ledger(store, JOURNAL) as ledger:
                for block in blocks(pictures, model.batch or _BLOCK):
                    yield from self._block(model, ledger, list(block), items)
        finally:
            model.close()

    def _block(
        self, model: ChatModel, ledger: Ledger, pictures: Sequence[Picture], items: Mapping[str, Item]
    ) -> Iterator[Answered]:
        images = {picture: picture.read() for picture in pictures}
        shas = {picture: hashlib.sha256(data).hexdigest() for picture, data in images.items()}
        replies: dict[tuple[Picture, int], ChatReply] = {}

        def dress(asked: tuple[Picture, int], request: ChatRequest) -> ChatRequest:
            return dataclasses.replace(request, image=fit(images[asked[0]], self.recipe.image_size))

        requests = (
            ((picture, q.id), self._request(model, shas[picture], q))
            for picture in pictures
            for q in items[picture.item_id].questions
        )
        for tag, reply in ask(model, ledger, requests, dress):
            replies[tag] = reply
        for picture in pictures:
            for question in items[picture.item_id].questions:
                yield self._answered(picture, question, replies[picture, question.id])

    def _request(self, model: ChatModel, sha: str, question: Question) -> ChatRequest:
        user = self.prompt.render("", {}, as_yes_no(question))
        extra = {"image_size": self.recipe.image_size} | arithmetic(self.recipe, model.batch)
        key = reply_key(
            sha, self.identity, system=self.prompt.system, user=user, sampling=self.sampling, arithmetic=extra,
            yes_no=True,
        )  # fmt: skip
        return ChatRequest(
            key, user, self.prompt.system, None, self.sampling, limit_key="answer.max_tokens", yes_no=True
        )

    def _answered(self, picture: Picture, question: Question, reply: ChatReply) -> Answered:
        yes = reply.probability is not None and reply.probability >= self.recipe.threshold
        return Answered(picture, question, yes, reply.probability, reply.reason, reply.detail)
