"""The recipe of features (hidden states of a language model beside a release) and the record of each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.arrow import Int32, Record
from schemas.part import Part, Switch, free

ALT_TEXT = "alt_text"


class Features(Part):
    """Hidden states of a language model for each released caption, in files beside the release's tars."""

    on_card: ClassVar[bool] = False  # they decide on no sample; the card has a section of its own for them
    switches: ClassVar[tuple[Switch, ...]] = (Switch(("model",)),)

    model: str = Field(
        "", description="name or folder of a checkpoint, an encoder or a decoder; empty switches features off"
    )
    revision: str = Field("main", description="revision of that checkpoint on its hub")
    kinds: list[str] = Field(
        [],
        description="kinds of caption to encode, alt_text among them, besides the one in .txt; empty for all captions "
        "without the alt text",
    )
    layer: int = Field(
        -1, description="layer whose states are kept: -1 the last one, -2 the one before it, 0 the token embeddings"
    )
    prefix: str = Field("", description='text in front of each caption, such as "pre " for RankGen')
    max_tokens: int = Field(
        256, ge=1, description="maximum length of a caption; longer ones are cut and counted [tokens]"
    )
    stored: Literal["float16", "bfloat16"] = Field("float16", description="type of the stored states")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="type of the weights; auto takes that of the checkpoint"
    )
    batch_tokens: int = Field(
        4096, ge=1, description="size of a batch, padding included; captions of like length share one [tokens]"
    )
    device: Literal["auto", "cpu", "cuda"] = free("auto", description="where the model runs")
    workers: int = free(1, ge=0, description="actors; 0 for one a core, or one for every GPU [actors]")


def check_features(features: Features, kinds: Sequence[str]) -> None:
    """Checks that the kinds of caption to encode are among these. Raises ``ValueError``."""
    known = (*kinds, ALT_TEXT)
    unknown = [kind for kind in features.kinds if kind not in known]
    if unknown:
        raise ValueError(f"features.kinds has {unknown[0]!r}; expected some of {', '.join(known)}")


@dataclasses.dataclass(frozen=True, slots=True)
class CaptionFeatures(Record):
    """Hidden states of a released caption. Keyed by (sample_id, kind); a shard is a release shard."""

    table: ClassVar[str] = "features"

    sample_id: Annotated[str, "as in rows"]
    kind: Annotated[str, "as in captions; alt_text for the alt text"]
    caption_sha256: Annotated[str, "hex, of the caption in UTF-8; finds the states in features/<shard>.safetensors"]
    tokens: Annotated[int, Int32, "tokens whose states are stored, prefix and special tokens included"]
    cut: Annotated[int, Int32, "tokens that were left out, since the caption is longer than features.max_tokens"]
    bytes: Annotated[int, "bytes of the states; equal captions of a shard share them"]
    encoder: Annotated[str, "name@revision of the checkpoint"]
    encoder_key: Annotated[str, "hash of the checkpoint and of the settings on which states depend, hex"]
