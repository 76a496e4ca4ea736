"""What a language model must reply where a reply is data: parsed, checked, and the schema of guided decoding.

Order and spelling of the keys are part of the promise: a small model learns them by heart.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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


class ImaginedCaptions(BaseModel):
    """Captions of what lies beyond a picture, from its edge outwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    captions: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(min_length=1, max_length=16)
