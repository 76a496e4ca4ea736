"""Scores of images: what a column of a scorer's table holds, that table's record, and the recipe's limits on scores."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from schemas.arrow import Record
from schemas.part import Part, later
from schemas.score_models import Aesthetics, Classifier, Ocr

Kind = Literal["number", "label", "text"]


@dataclasses.dataclass(frozen=True)
class ScoreColumn:
    """One score of an image.

    ``unit`` is empty for a pure number. Every score lies between ``low`` and ``high``, None for no bound. A ``label``
    is one of a few words, a ``text`` any text: these have no percentiles, and cannot be limited.
    """

    name: str
    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    kind: Kind = "number"

    @property
    def described(self) -> str:
        """What it holds, with unit and range, such as "entropy of luma [bits, 0..8]"."""
        bounds = "" if self.low is None and self.high is None else f"{_bound(self.low)}..{_bound(self.high)}"
        known = ", ".join(filter(None, (self.unit, bounds)))
        return f"{self.doc} [{known}]" if known else self.doc


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


@cache
def score_record(table: str, columns: tuple[ScoreColumn, ...], doc: str) -> type[Record]:
    """The record of a scorer's table: ``sample_id`` and a column for each score, float or text, null where unknown."""
    fields: list[tuple[str, Any]] = [("sample_id", Annotated[str, "as in rows"])]
    for column in columns:
        said = f"{column.described}; null where it is unknown"
        kind = Annotated[float | None, said] if column.kind == "number" else Annotated[str | None, said]
        fields.append((column.name, kind))
    return dataclasses.make_dataclass(
        "".join(word.title() for word in table.split("_")),
        fields,
        bases=(Record,),
        namespace={"table": table, "__doc__": doc},
        frozen=True,
        slots=True,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class ScoreVerdict(Record):
    """Whether the scores of a kept image lie within the recipe's limits."""

    table: ClassVar[str] = "score_verdicts"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[str | None, "low_NAME or high_NAME of the first score beyond a limit; null where none is"]
    detail: Annotated[str | None, "the score that was found and the limit"]


@dataclasses.dataclass(frozen=True, slots=True)
class TopVerdict(Record):
    """Whether a sample is among the best by a score, and its tier; one for each sample that passed all other stages."""

    table: ClassVar[str] = "tops"

    sample_id: Annotated[str, "as in rows"]
    score: Annotated[float | None, "the score of export.top; null where it is unknown or none is asked for"]
    tier: Annotated[str | None, "the smallest of export.tiers that holds it; null where none does"]
    reason: Annotated[str | None, "not_in_top; null for a sample that is chosen"]
    detail: Annotated[str | None, "the score that was found and the one that was wanted"]


class Limit(Part):
    """The limits of one score; an image whose score is unknown is kept."""

    min: float | None = Field(None, description="lowest value of the score NAME that is kept")
    max: float | None = Field(None, description="highest value of the score NAME that is kept")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}: no image can pass")
        return self


class ImageScores(Part):
    """Scores of images, and limits on them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    further: ClassVar[type[Part] | None] = Limit
    __pydantic_extra__: dict[str, Limit] = Field(init=False)

    compute: list[str] = later(
        [],
        description="scorers to run, by name; pixels for all of this package that need nothing but pixels; those of "
        "scores with a limit run anyway",
    )
    sampled: dict[str, float] = later(
        {},
        description="share of the images that a scorer measures, by its name, such as ocr = 0.1; the others have "
        "unknown scores; a larger share holds the images of a smaller one [0..1]",
    )
    ocr: Ocr = later(Ocr(), description="text in images, by the scorer ocr")
    classifiers: list[Classifier] = later(
        [], description="image classifiers by name or folder, each a scorer; see the keys of one below"
    )
    aesthetics: Aesthetics = later(Aesthetics(), description="an aesthetic score by a head over image embeddings")

    @field_validator("sampled")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        for name, share in value.items():
            if not 0 < share <= 1:
                raise ValueError(f"{name} = {share:g} is no share; expected more than 0 and 1 at most")
        return value

    @property
    def limits(self) -> dict[str, Limit]:
        """The scores that have a limit, sorted by name."""
        found = self.__pydantic_extra__ or {}
        return {name: found[name] for name in sorted(found) if (found[name].min, found[name].max) != (None, None)}

    def deciding(self, *, former: bool = False) -> dict[str, Any]:
        return super().deciding(former=former) | {name: limit.deciding() for name, limit in self.limits.items()}
