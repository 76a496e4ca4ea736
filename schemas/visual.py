"""The recipe of visual features (states of a vision model beside a release of windows) and the record of each."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, field_validator

from schemas.arrow import Int32, Record
from schemas.part import Part, Switch, free

Look = Literal["visible", "window", "picture"]
"""What a vision model looks at: a window with its mask greyed, as the loader shows it, the window, or the picture."""
LOOKS: tuple[Look, ...] = get_args(Look)


class Visual(Part):
    """States of a vision model for each released window or picture, in files beside the release's tars."""

    on_card: ClassVar[bool] = False  # they decide on no sample; the card has a section of its own for them
    switches: ClassVar[tuple[Switch, ...]] = (Switch(("model",)),)

    model: str = Field(
        "",
        description="name or folder of a checkpoint with a vision tower (CLIP, SigLIP, DINOv2, LLaVA), or demo for "
        "that of the demo captioner; empty switches visual features off",
    )
    revision: str = Field("main", description="revision of that checkpoint on its hub")
    looks: list[Look] = Field(
        ["visible"],
        min_length=1,
        description="what is looked at: visible (a window, grey where it is to be painted), window (a whole window), "
        "picture (the whole picture; what is not square stands in a grey square)",
    )
    layer: int = Field(
        -1, description="layer whose states are kept: -1 the last one, -2 the one before it, 0 the patch embeddings"
    )
    keep: Literal["tokens", "pooled"] = Field(
        "tokens", description="the states of all tokens of the layer, or the one state that the model pools from them"
    )
    stored: Literal["float16", "bfloat16"] = Field("float16", description="type of the stored states")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="type of the weights; auto takes that of the checkpoint"
    )
    batch: int = Field(16, ge=1, description="size of a batch [looks]")
    device: Literal["auto", "cpu", "cuda"] = free("auto", description="where the model runs")
    workers: int = free(1, ge=0, description="actors; 0 for one a core, or one for every GPU [actors]")

    @field_validator("looks")
    @classmethod
    def _once(cls, looks: list[Look]) -> list[Look]:
        if len(set(looks)) < len(looks):
            raise ValueError(f"visual.looks names one of {looks} twice")
        return looks


@dataclasses.dataclass(frozen=True, slots=True)
class VisualFeatures(Record):
    """States of a vision model for a window or a picture. Keyed by (sample_id, look, index).

    A shard is a release shard.
    """

    table: ClassVar[str] = "visual"

    sample_id: Annotated[str, "as in rows"]
    look: Annotated[str, "visible, window or picture"]
    index: Annotated[int | None, Int32, "that of the window; null for the picture"]
    look_sha256: Annotated[str, "hex; finds the states in visual/<shard>.safetensors"]
    tokens: Annotated[int, Int32, "tokens whose states are stored; 1 for a pooled state"]
    bytes: Annotated[int, "bytes of the states; equal looks of a shard share them"]
    encoder: Annotated[str, "name@revision of the checkpoint"]
    encoder_key: Annotated[str, "hash of the checkpoint and of the settings on which states depend, hex"]
