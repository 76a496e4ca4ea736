"""What is decided on images across data sets, and the recipe for it."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from schemas.arrow import Int32, Record
from schemas.reasons import Reason
from schemas.recipe import Decontamination, Dedupe, Part


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict(Record):
    """The decision on one image of one data set, keyed by (dataset, item). A shard is a data set's shard.

    Files with the same bytes and text share a sample_id; by their items they are told apart.
    """

    table: ClassVar[str] = "verdicts"

    dataset: Annotated[str, "the data set as it was named"]
    item: Annotated[str, "its name in the data set: its own file, or list:row as in rows; without rows its sample_id"]
    sample_id: Annotated[str, "as in the data set's rows"]
    reason: Annotated[Reason | None, "why it goes: near_evaluation_item, shared_text or a duplicate; null if it stays"]
    keeper_dataset: Annotated[str, "where the kept or the evaluation item is; its own for one that stays"]
    keeper_item: Annotated[str | None, "the kept image's item, its own for one that stays; null for an evaluation item"]
    keeper_id: Annotated[str, "what it is too near to; itself for one that stays"]
    distance: Annotated[int | None, Int32, "pHash bits between the two; null for shared_text"]
    second_distance: Annotated[int | None, Int32, "phash256 bits between the two; null where one has none"]
    cluster_id: Annotated[str | None, "as in duplicates; null for what an evaluation set rules out"]
    detail: Annotated[str | None, "the words that are shared, for shared_text; url or file of a near evaluation item"]


class FindDuplicates(Part):
    """Images that one or several data sets have more than once, or that an evaluation set has too."""

    dedupe: Dedupe = Dedupe()
    decontamination: Decontamination = Decontamination()
