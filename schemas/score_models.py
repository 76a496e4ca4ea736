"""The recipe of scorers that ask a model: text in images, classifiers, aesthetic heads."""

from __future__ import annotations

import re
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.part import Part, Switch, free, later

Device = Literal["auto", "cpu", "cuda"]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Ocr(Part):
    """Text in images, read by the models that the extra ocr brings."""

    min_confidence: float = later(
        0.9, ge=0, le=1, description="lowest confidence of a text that is counted; less is often no text [0..1]"
    )
    side: int = later(
        736, ge=64, le=4096, description="shorter side to which smaller images are enlarged for finding text [pixels]"
    )
    stock_phrases: list[str] = later(
        [], description="further words that show a watermark wherever they stand, besides names of stock agencies"
    )
    device: Device = free("auto", description="where the models run; cuda wants onnxruntime-gpu")


class Classifier(Part):
    """An image classifier: any image-classification checkpoint that transformers loads."""

    name: str = Field(description="name of the scorer, and the first part of its scores' names")
    model: str = Field(description="name or folder of the checkpoint, with weights as safetensors")
    revision: str = Field("main", description="revision of that checkpoint on its hub")
    labels: dict[str, list[str]] = Field(
        description="scores by name, each the labels of the model whose probabilities are added to it; a score is "
        "called NAME_SCORE, as in scores.NAME_SCORE.max: safety_nsfw for nsfw = ['porn', 'hentai'] of a classifier "
        "called safety"
    )
    device: Device = free("auto", description="where the model runs")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.labels:
            raise ValueError("labels is empty: name at least one score and the labels of the model that make it")
        for name in (self.name, *(f"{self.name}_{score}" for score in self.labels)):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name; expected small letters, digits and underscores, 63 at most")
        for score, labels in self.labels.items():
            if not labels or len(set(labels)) < len(labels):
                raise ValueError(f"labels.{score} names no label or one twice; expected different labels of the model")
        return self


class Aesthetics(Part):
    """An aesthetic score: a head over the image embeddings of a CLIP-like checkpoint."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("head",), ("head_revision", "revision", "device")),)

    head: str = later(
        "",
        description="folder, file or name on the hub of the head's weights as safetensors: LAION's linear head, its "
        "MLP head or the SigLIP v2.5 head, told apart by the shapes of their weights; empty switches it off",
    )
    head_revision: str = later("main", description="revision of the head on its hub")
    model: str = later("", description="name or folder of the checkpoint whose image embeddings the head reads")
    revision: str = later("main", description="revision of that checkpoint on its hub")
    device: Device = free("auto", description="where the model runs")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.head) != bool(self.model):
            given, lacking = ("head", "model") if self.head else ("model", "head")
            raise ValueError(f"{given} is set and {lacking} is empty; an aesthetic score needs both")
        return self
