"""The recipe of scores: which model answers the questions about generated images, and how sure a score is."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.chat import Seeing, check_servers
from schemas.part import Part


class Answer(Seeing):
    """Which vision-language model answers, and how it is asked."""

    part: ClassVar[str] = "answer"

    prompt: str = Field("answer", description="a prompt of curation/prompts by name, or a prompt file")
    max_tokens: int = Field(
        8, ge=1, le=8192, description="maximum length of a reply; more for thinking models [tokens]"
    )
    threshold: float = Field(0.5, ge=0, le=1, description="minimum probability of yes for an answer of yes [0..1]")


class Interval(Part):
    """Confidence intervals by bootstrap over prompts."""

    draws: int = Field(1000, ge=10, le=100_000, description="bootstrap draws [draws]")
    confidence: float = Field(0.95, gt=0, lt=1, description="share of draws within an interval [0..1]")
    seed: int = Field(0, ge=0, description="seed of the draws")


class GeneratedImages(Part):
    """How the files of generated images are read."""

    grid: Literal[1, 2] = Field(
        2, description="rows and columns of a file that is called as its prompt, without a number: 2 is a 2x2 grid"
    )


class ScorePrompts(Part):
    """Scores of generated images by the questions about their prompts."""

    answer: Answer = Answer()
    interval: Interval = Interval()
    images: GeneratedImages = GeneratedImages()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_servers("answer", self.answer)
        return self
