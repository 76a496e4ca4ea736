"""The check of single prompts: their form, their language, their length, and the questions about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from curation.core.losses import Losses
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.verdict import Verdict
from curation.dense_prompts.questions import read_questions, to_json
from schemas.arrow import Record, rows_of, table_of
from schemas.dense_prompts import PromptRequirements
from schemas.prompt_records import DensePromptReply, PromptCheck, WrittenPrompt
from schemas.questions import Question
from schemas.reasons import Reason
from schemas.records import SourceRow
from schemas.refine import Check

KIND = "prompt"
_REASONS: dict[str, str] = {
    Reason.TOO_SHORT: "fewer words than check.min_words",
    Reason.TOO_LONG: "more words than check.max_words",
    Reason.WRONG_LANGUAGE: "not English",
    Reason.WRONG_SCRIPT: "letters of another script than English has",
    Reason.REFUSAL: "the model declined, or speaks of itself",
    Reason.CUT_OFF: "it ends in the middle of a sentence",
    Reason.REPETITION: "it repeats itself",
    Reason.PROMPT_ECHO: "it repeats what the model was told",
    Reason.INSTRUCTION_ECHO: "it follows an instruction in the brief",
    Reason.TASK_TALK: "it speaks of the task",
    Reason.MARKUP: "markup that could not be removed",
    Reason.CONTROL_CHARACTERS: "characters that are no text",
    Reason.INVALID_QUESTIONS: "questions that are too few, not sound, or speak of words that the prompt does not have",
}


@dataclass(frozen=True)
class PromptCheckStage:
    """Checks the form of each prompt, and whether its questions are sound.

    Writes one ``PromptCheck`` row for each prompt that the model wrote, in their order. Faults are those that captions
    are checked for; ``bodies`` are the texts of the prompts that ask for prompts, by which an echo is found.
    """

    name: ClassVar[str] = "check"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, WrittenPrompt)
    writes: ClassVar[type[Record]] = PromptCheck

    recipe: PromptRequirements
    resources: Resources = setting(Resources(), digest=False)
    stop_at_share: float = setting(1.0, digest=False)

    @property
    def verdict(self) -> Verdict:
        return Verdict.each(PromptCheck, _REASONS)

    @contextmanager
    def open(self) -> Iterator[Work]:
        losses = Losses(self.name, self.stop_at_share, "prompts")
        yield lambda shard: table_of(PromptCheck, self._rows(shard, losses))

    def _rows(self, shard: Shard, losses: Losses) -> Iterator[PromptCheck]:
        briefs = {row.sample_id: row.alt_text for row in rows_of(SourceRow, shard.read(SourceRow))}
        for written in rows_of(WrittenPrompt, shard.read(WrittenPrompt)):
            shard.rows_in += 1
            if written.text is None:
                continue  # rejected before
            reply = DensePromptReply.model_validate_json(written.text)
            checked = check_prompt(written.sample_id, reply, written.finish, briefs[written.sample_id], self.recipe)
            losses.count(checked.reason, checked.detail)
            yield checked


def check_prompt(
    name: str, reply: DensePromptReply, finish: str | None, brief: str, recipe: PromptRequirements
) -> PromptCheck:
    """The verdict on one prompt."""
    from curation.caption.check.caption import check_caption

    settings = Check(
        min_words={KIND: recipe.min_words}, max_words={KIND: recipe.max_words}, language="en", names="ignore"
    )
    found = check_caption(reply.prompt, KIND, finish, brief, "", settings)
    questions: tuple[Question, ...] = ()
    reason = None if found.passed else next((r for r in found.reasons if r in _REASONS), Reason.INVALID_QUESTIONS)
    detail = found.detail if reason is not None else None
    if reason is None and found.caption is not None:
        sound = read_questions(found.caption, reply.questions, recipe.min_questions)
        if isinstance(sound, str):
            reason, detail = Reason.INVALID_QUESTIONS, sound
        else:
            questions = sound
    return PromptCheck(name, reason, detail, found.caption, found.words, found.clip_tokens, to_json(questions))
