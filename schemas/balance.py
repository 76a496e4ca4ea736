"""The recipe of concept balance, and its record."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from schemas.arrow import Record
from schemas.part import Part, Switch

ALT_TEXT = "alt_text"


class Balance(Part):
    """Concept balance after MetaCLIP: of what very many texts name, only a share of the samples is kept."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("policy",)),)

    policy: Literal["ignore", "record", "reject"] = Field(
        "ignore",
        description="what to do with samples beyond max_texts: do not look, record them in a table, or reject them",
    )
    max_texts: int = Field(
        20_000,
        ge=1,
        description="texts with an entry that are kept about; an entry in more of them keeps each with the probability "
        "max_texts over their number, and a sample stays if any of its entries keeps it [texts]",
    )
    entries: str = Field(
        "",
        description="file of entries, one a line, or a JSON list of them; empty takes the English nouns that the card "
        "counts",
    )
    text: str = Field(
        ALT_TEXT,
        description="text that is looked at: alt_text, which is judged before any caption is paid for, or a kind of "
        "caption",
    )
    unmatched: Literal["keep", "reject"] = Field(
        "keep", description="what to do with samples in whose text no entry is found"
    )
    seed: int = Field(0, ge=0, description="seed of the choice")


@dataclasses.dataclass(frozen=True, slots=True)
class BalancedText(Record):
    """Which entries of the list a sample's text has, and whether one of them keeps it."""

    table: ClassVar[str] = "balanced_texts"

    sample_id: Annotated[str, "as in rows"]
    entries: Annotated[list[str], "entries of balance.entries found in the text, sorted"]
    reason: Annotated[str | None, "frequent_concepts, no_concept, or null for a sample that is kept"]
    detail: Annotated[str | None, "what was found, for people"]
