"""What a language model must reply where a reply is data: parsed, checked, and the schema of guided decoding.

Order and spelling of the keys are part of the promise: a small model learns them by heart.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.questions import Category

# The eighteen labels of OntoNotes, which spaCy's English models and VisualNews use.
EntityLabel = Literal[
    "PERSON", "NORP", "FAC", "ORG", "GPE", "LOC", "PRODUCT", "EVENT", "WORK_OF_ART", "LAW", "LANGUAGE", "DATE", "TIME",
    "PERCENT", "MONEY", "QUANTITY", "ORDINAL", "CARDINAL",
]  # fmt: skip


class EntityReply(BaseModel):
    """A named entity as the model tells it; where it stands in the caption is looked up, not believed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(min_length=1, max_length=200, description="the entity exactly as it stands in the caption")
    label: EntityLabel


class NamedEntities(BaseModel):
    """The named entities of a caption, in the order of the text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entities: list[EntityReply] = Field(max_length=64)


class SubjectReply(BaseModel):
    """A subject of a caption and how much it matters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(min_length=1, max_length=200, description="the subject exactly as it stands in the caption")
    weight: float = Field(ge=0, le=1, description="1 for what the caption is about, near 0 for what could be left out")


class SubjectWeights(BaseModel):
    """The subjects of a caption with their weights, in the order of the text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subjects: list[SubjectReply] = Field(max_length=64)


class AtomReply(BaseModel):
    """One atom of a caption (see ``schemas.questions``) as a model tells it; its words are looked up, not believed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int = Field(ge=1, le=9999)
    parents: list[int] = Field(max_length=8, description="ids of the atoms before it that it depends on")
    category: Category
    detail: str = Field(max_length=40, description="the finer category, such as color or spatial")
    elements: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(min_length=1, max_length=6)
    text: str = Field(max_length=300, description="the words that say it, exactly as they stand in the caption")
    question: str = Field(min_length=1, max_length=300)
    answer: str = Field(min_length=1, max_length=100, description="yes, or the number or the written word")


class CaptionAtoms(BaseModel):
    """The atoms of a caption, in the order of the text; each stands behind those that it depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    atoms: list[AtomReply] = Field(max_length=100)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        known: set[int] = set()
        for atom in self.atoms:
            if atom.id in known:
                raise ValueError(f"two atoms have the id {atom.id}")
            if unknown := [p for p in atom.parents if p not in known]:
                raise ValueError(f"atom {atom.id} has the parent {unknown[0]}, which does not stand before it")
            known.add(atom.id)
        return self


class ImaginedCaptions(BaseModel):
    """Captions of what lies beyond a picture, from its edge outwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    captions: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(min_length=1, max_length=16)
