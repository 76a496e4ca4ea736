"""The recipe of DensePrompts: evaluation prompts by category, each with questions that take it apart."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.chat import Chat, check_servers
from schemas.part import Part, free
from schemas.recipe import Run


class PromptSource(Part):
    """What prompts are made from: seeds of vocabulary, and dense captions of roots that --source names."""

    limit: int = free(0, ge=0, description="read only the first captions of each root; 0 for all [captions]")
    seeds: str = Field("general", description="a file of seeds of curation/dense_prompts by name, or a TOML file")
    seed: int = Field(0, ge=0, description="seed of all draws: subjects, attributes, lengths, order of captions")
    captions: float = Field(
        0.5, ge=0, le=1, description="share of prompts made from captions of --source, as far as they last [0..1]"
    )
    shard_rows: int = Field(500, ge=1, description="number of briefs in a shard [rows]")


class Quotas(Part):
    """How many prompts there are, and how they are spread over the categories."""

    size: int = Field(7000, ge=1, le=1_000_000, description="number of prompts [prompts]")
    weights: dict[str, float] = Field(
        {}, description="weights of categories in place of those of the seeds, e.g. {animals = 2.0, text = 0.0}"
    )
    rounds: int = Field(
        5, ge=1, le=100, description="most rounds of writing until all quotas are full; the first one counts [rounds]"
    )

    @field_validator("weights")
    @classmethod
    def _not_negative(cls, value: dict[str, float]) -> dict[str, float]:
        wrong = [name for name, weight in value.items() if weight < 0]
        if wrong:
            raise ValueError(f"the weight of {wrong[0]!r} is {value[wrong[0]]}; expected 0 or more")
        return value


class Write(Part):
    """How the model of llm is asked for prompts."""

    prompt: str = Field("dense_prompt", description="prompt for seeds: one of curation/prompts by name, or a file")
    rewrite: str = Field("dense_rewrite", description="prompt for captions: one of curation/prompts by name, or a file")
    max_tokens: int = Field(4096, ge=1, le=32768, description="maximum length of a reply [tokens]")
    lengths: list[tuple[int, float]] = Field(
        [(50, 1.0), (65, 2.0), (80, 4.0), (95, 2.0), (115, 1.0)],
        min_length=1,
        description="target lengths of prompts: pairs of words and weight, of which one is drawn for each [words]",
    )

    @field_validator("lengths")
    @classmethod
    def _lengths(cls, value: list[tuple[int, float]]) -> list[tuple[int, float]]:
        if not all(words > 0 and weight >= 0 for words, weight in value) or not any(weight for _, weight in value):
            raise ValueError("expected pairs of words and weight with at least one word and a positive sum of weights")
        return value


class PromptRequirements(Part):
    """Requirements that a prompt must meet, besides being English."""

    min_words: int = Field(40, ge=1, description="minimum length of a prompt [words]")
    max_words: int = Field(140, ge=1, description="maximum length of a prompt [words]")
    min_questions: int = Field(4, ge=1, le=64, description="minimum questions about a prompt [questions]")
    near: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Jaccard similarity of two prompts' runs of three words from which on they are near duplicates "
        "[0..1]",
    )


class TrainingTexts(Part):
    """Training roots whose released texts the prompts keep clear of."""

    sets: list[str] = Field([], description="roots of ours; those that --source names are always among them")
    shared_words: int = Field(
        8, ge=0, description="reject prompts that share so many consecutive words with one of their texts; 0 for none"
    )
    near: float = Field(
        0.5,
        gt=0,
        le=1,
        description="reject prompts of which this share of runs of three words stands in one of their texts [0..1]",
    )


class PromptRelease(Part):
    """What the release looks like."""

    name: str = Field("DensePrompts", min_length=1, description="the dataset's name on its card")
    license: str = Field("other", description="the release's licence, as the hub spells it")
    license_note: str = Field("The prompts were written by a model.", description="licence note of the card")
    shard_size: int = Field(10_000, ge=1, description="prompts a Parquet file of the release [prompts]")
    formats: list[Literal["dpg_bench", "dsg", "geneval2", "tifa", "t2i_compbench"]] = Field(
        ["dpg_bench", "dsg", "geneval2", "tifa", "t2i_compbench"],
        description="forms of other evaluation sets that are written into exports/",
    )


class DensePrompts(Part):
    """Evaluation prompts by category, each with questions that take it apart."""

    on_card: ClassVar[bool] = True

    product: Literal["dense_prompts"] = "dense_prompts"
    source: PromptSource = PromptSource()
    quotas: Quotas = Quotas()
    llm: Chat = Chat()
    write: Write = Write()
    check: PromptRequirements = PromptRequirements()
    decontamination: TrainingTexts = TrainingTexts()
    export: PromptRelease = PromptRelease()
    run: Run = free(Run(), description="when a run stops by itself")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.check.min_words > self.check.max_words:
            raise ValueError(
                f"check.min_words {self.check.min_words} is above check.max_words {self.check.max_words}: no prompt "
                "can pass"
            )
        for words in (words for words, weight in self.write.lengths if weight):
            if not self.check.min_words <= words <= self.check.max_words:
                raise ValueError(
                    f"write.lengths asks for {words} words, but check.min_words and check.max_words are "
                    f"{self.check.min_words} and {self.check.max_words}: such a prompt cannot pass"
                )
        check_servers("llm", self.llm)
        return self
