"""The records of evaluation prompts, and what a model replies when it is asked for one."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from schemas.arrow import Int32, Record
from schemas.questions import Category
from schemas.reasons import Reason


class AtomReply(BaseModel):
    """One question about a prompt, as a model writes it; the places in the prompt are looked up, not believed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int = Field(ge=1, le=64, description="counts from 1")
    parents: list[int] = Field(max_length=8, description="ids of earlier questions that must be answered as expected")
    category: Category
    detail: str = Field(max_length=40, description="whole, color, material, size, shape, state, spatial, action …")
    elements: list[str] = Field(min_length=1, max_length=4, description="the words of the prompt that it is made of")
    question: str = Field(min_length=5, max_length=300)
    answer: str = Field(min_length=1, max_length=60, description="yes; of a count the number; of a text the words")


class DensePromptReply(BaseModel):
    """A prompt and the questions that take it apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(min_length=1, max_length=4000)
    questions: list[AtomReply] = Field(min_length=1, max_length=64)


@dataclasses.dataclass(frozen=True, slots=True)
class WrittenPrompt(Record):
    """A model's reply to one brief, as it came."""

    table: ClassVar[str] = "written_prompts"

    sample_id: Annotated[str, "as in rows"]
    text: Annotated[str | None, "the reply, JSON (schemas.prompt_records.DensePromptReply); null when there is none"]
    reason: Annotated[Reason | None, "why there is none"]
    detail: Annotated[str | None, "what the model or server said instead"]
    finish: Annotated[str | None, "stop, or length when the reply was cut at the token limit"]
    target_words: Annotated[int, Int32, "length that was asked for, in words"]
    prompt: Annotated[str, "name@version of the prompt file"]
    model: Annotated[str, "as the endpoint or the checkpoint names itself"]
    model_revision: Annotated[str, "revision or content hash of the weights"]
    reply_key: Annotated[str, "hash of all that the reply depends on, hex"]
    tokens_in: Annotated[int | None, Int32, "prompt tokens"]
    tokens_out: Annotated[int | None, Int32, "reply tokens"]


@dataclasses.dataclass(frozen=True, slots=True)
class PromptCheck(Record):
    """The verdict on the form of a prompt and of its questions."""

    table: ClassVar[str] = "prompt_checks"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[Reason | None, "why the prompt may not be released; null where it may"]
    detail: Annotated[str | None, "what was found, for people"]
    text: Annotated[str | None, "the prompt after repairs; null when nothing usable is left"]
    words: Annotated[int, Int32, "in text"]
    clip_tokens: Annotated[int, Int32, "CLIP byte-pair tokens of text, without start and end"]
    questions: Annotated[str, "the questions about the text as JSON, a list of schemas.questions.Question"]


@dataclasses.dataclass(frozen=True, slots=True)
class PromptOverlap(Record):
    """What a prompt that passed the check shares with the texts of training roots."""

    table: ClassVar[str] = "prompt_overlaps"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[Reason | None, "shared_text or near_training_text; null where nothing is shared"]
    detail: Annotated[str | None, "the shared words, or the share of word shingles"]
    dataset: Annotated[str | None, "the training root"]
    item_id: Annotated[str | None, "the sample there"]


@dataclasses.dataclass(frozen=True, slots=True)
class PromptChoice(Record):
    """Whether a prompt that nothing stood against is chosen: it repeats no other, and its category has room."""

    table: ClassVar[str] = "prompt_choices"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[Reason | None, "repeated_prompt, near_prompt or quota_full; null where it is chosen"]
    detail: Annotated[str | None, "how near it is, or the quota"]
    other_id: Annotated[str | None, "the chosen prompt that it repeats"]


@dataclasses.dataclass(frozen=True, slots=True)
class PlacedPrompt(Record):
    """A chosen prompt's place in the release, and all that stands there. A shard is a release shard."""

    table: ClassVar[str] = "placements"

    sample_id: Annotated[str, "as in rows"]
    item_id: Annotated[str, "the prompt's name in all exports: its category and 16 hex digits of sample_id"]
    split: Annotated[str, "always test"]
    shard: Annotated[str, "release shard, e.g. test-000000"]
    position: Annotated[int, Int32, "0-based place in that shard"]
    category: Annotated[str, "the category whose quota it fills"]
    caption: Annotated[str, "the prompt"]
    words: Annotated[int, Int32, "in caption"]
    clip_tokens: Annotated[int, Int32, "CLIP byte-pair tokens of caption, without start and end"]
    target_words: Annotated[int, Int32, "length that was asked for, in words"]
    questions: Annotated[str, "as in prompt_checks"]
    question_count: Annotated[int, Int32, "number of questions"]
    made_from: Annotated[str, "seeds, or captions where a caption of a root was rewritten"]
    brief: Annotated[str | None, "what the model was asked to write about; null for captions, which are training text"]
    source_file: Annotated[str, "as in rows"]
    source_row: Annotated[int, "as in rows"]
    prompt: Annotated[str, "name@version of the prompt file"]
    model: Annotated[str, "as the endpoint or the checkpoint names itself"]
    model_revision: Annotated[str, "revision or content hash of the weights"]
