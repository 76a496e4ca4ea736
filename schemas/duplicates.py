"""Decisions on images of several data sets, and the recipe for them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from schemas.arrow import Int32, Record
from schemas.part import Part
from schemas.reasons import Reason
from schemas.recipe import Decontamination, Dedupe


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict(Record):
    """The decision on one image of one data set, keyed by (dataset, item). A shard is a data set's shard.

    Files with the same bytes and text share a sample_id; by their items they are told apart.
    """

    table: ClassVar[str] = "verdicts"

    dataset: Annotated[str, "the data set as it was named"]
    item: Annotated[str, "its name in the data set: its own file, or list:row as in rows; without rows its sample_id"]
    sample_id: Annotated[str, "as in the data set's rows"]
    reason: Annotated[
        Reason | None, "why it is removed: near_evaluation_item, shared_text or a duplicate; null if it is kept"
    ]
    keeper_dataset: Annotated[str, "the data set of the kept or the evaluation item; its own for a kept image"]
    keeper_item: Annotated[str | None, "the kept image's item, its own for a kept image; null for an evaluation item"]
    keeper_id: Annotated[str, "the sample_id that it is too near to; its own for a kept image"]
    distance: Annotated[int | None, Int32, "pHash bits between the two; null for shared_text"]
    second_distance: Annotated[int | None, Int32, "phash256 bits between the two; null where one has none"]
    cluster_id: Annotated[str | None, "as in duplicates; null for what an evaluation set rules out"]
    detail: Annotated[str | None, "the words that are shared, for shared_text; url or file of a near evaluation item"]


class FindDuplicates(Part):
    """Find duplicates within and across data sets, and overlaps with evaluation sets."""

    dedupe: Dedupe = Dedupe()
    decontamination: Decontamination = Decontamination()
