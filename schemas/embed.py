"""The recipe of embeddings, what is made of them, and their records."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.arrow import Record
from schemas.part import Part, Switch, free


class Semantic(Part):
    """Semantic duplicates: images that a model sees as the same, after SemDeDup."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("policy",)),)

    policy: Literal["ignore", "record", "reject"] = Field(
        "ignore", description="what to do about them: do not look, record them in a table, or reject them"
    )
    threshold: float = Field(0.95, gt=0, le=1, description="lowest cosine of two images that count as the same (0..1]")
    clusters: int = Field(
        0, ge=0, description="clusters within which images are compared; 0 for one of 2,000 images [clusters]"
    )
    seed: int = Field(0, ge=0, description="seed of the clusters")


class Embed(Part):
    """Embeddings of images by a CLIP-like model, for search and semantic duplicates."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("model",)),)

    model: str = Field("", description="name or folder of a CLIP-like checkpoint; empty switches embeddings off")
    revision: str = Field("main", description="revision of that checkpoint on its hub")
    batch: int = Field(32, ge=1, description="images a batch, cut by row")
    semantic: Semantic = Field(Semantic(), description="semantic duplicates")
    device: Literal["auto", "cpu", "cuda"] = free(
        "auto", description="where the model runs; on a GPU its weights are float16"
    )
    workers: int = free(1, ge=0, description="actors; 0 for one a core [actors]")


@dataclasses.dataclass(frozen=True, slots=True)
class Embedding(Record):
    """What a CLIP-like model sees in an image that dedupe kept."""

    table: ClassVar[str] = "embeddings"

    sample_id: Annotated[str, "as in rows"]
    vector: Annotated[bytes, "the image's embedding, of unit length: float16, little-endian"]
    model: Annotated[str, "name and revision of the model, as in scores"]


@dataclasses.dataclass(frozen=True, slots=True)
class SemanticDuplicate(Record):
    """Whether an image is one that a model sees as the same as another; one for each embedding."""

    table: ClassVar[str] = "semantic_duplicates"

    sample_id: Annotated[str, "as in rows"]
    reason: Annotated[str | None, "semantic_duplicate; null for a keeper"]
    detail: Annotated[str | None, "the cosine and the keeper"]
    keeper_id: Annotated[str, "the sample kept in its place; itself for a keeper"]
    cosine: Annotated[float | None, "cosine of it and its keeper; null for a keeper"]
