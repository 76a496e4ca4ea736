"""The recipe of ANCHOR-style news datasets: entities, abstractiveness, subject weights, conditioning."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from schemas.blocklists import Blocklists
from schemas.chat import Captioning, CaptionKind, Chat, check_captioners, check_servers
from schemas.features import Features, check_features
from schemas.news import LABELS
from schemas.part import Part, Switch, free, later
from schemas.recipe import Decontamination, Dedupe, Download, ReleaseForm, Run, Source, check_splits
from schemas.replies import EntityLabel
from schemas.signals import Signals

_ISO_DAY = r"^(\d{4}-\d{2}-\d{2})?$"


class NewsSource(Source):
    """Which rows of the source are worth fetching, judged by what the source says of them."""

    layout: Literal["", "visualnews", "nytimes800k", "goodnews"] = free(
        "", description="read only lists in this layout; empty recognises it"
    )


class Clean(Part):
    """What is removed from a caption."""

    credits: bool = Field(True, description="remove photo credits and agency lines")
    markup: bool = Field(True, description="remove tags and decode HTML entities")
    doubled: bool = Field(True, description="keep one half of a caption that repeats itself")
    min_words: int = Field(3, ge=1, description="minimum length of a cleaned caption [words]")


class Entities(Part):
    """How named entities are found."""

    switches: ClassVar[tuple[Switch, ...]] = (
        Switch(("recogniser",), ("prompt", "max_tokens"), ("llm",)),
        Switch(("recogniser",), ("model",), ("spacy", "gliner")),
    )

    recogniser: Literal["rules", "spacy", "gliner", "llm"] = Field(
        "rules", description="embedded rules and word lists, a spaCy pipeline, a GLiNER checkpoint, or the model of llm"
    )
    model: str = Field("", description="name or folder of the spaCy pipeline or the GLiNER checkpoint")
    labels: list[str] = Field(list(LABELS), min_length=1, description="labels to keep")
    min_score: float = Field(
        0.0, ge=0, le=1, description="minimum score of an entity, if the recogniser gives one [0..1]"
    )
    prompt: str = Field("entities", description="a prompt of curation/prompts by name, or a prompt file; for llm")
    max_tokens: int = Field(512, ge=1, le=8192, description="maximum length of a reply; for llm [tokens]")
    workers: int = free(0, ge=0, description="number of actors; 0 for one on each core [actors]")


class Abstraction(Part):
    """How far captions go beyond what can be seen (abstractness), and which of them form the Entity subset."""

    literal: bool = Field(True, description="compare with a literal description by the model of caption")
    min_entities: int = Field(1, ge=0, description="minimum named entities of a caption in the Entity subset")
    min_abstractiveness: float = Field(0.0, ge=0, le=1, description="minimum abstractness in the Entity subset [0..1]")


class Subjects(Part):
    """How the key subjects of a caption and their weights are found."""

    switches: ClassVar[tuple[Switch, ...]] = (Switch(("method",), ("prompt", "max_tokens", "samples"), ("llm",)),)

    method: Literal["llm", "salience"] = Field("llm", description="the model of llm, or a heuristic without a model")
    prompt: str = Field("subjects", description="a prompt of curation/prompts by name, or a prompt file")
    max_tokens: int = Field(512, ge=1, le=8192, description="maximum length of a reply [tokens]")
    samples: int = Field(1, ge=1, le=32, description="replies to average; more than 1 needs a temperature above 0")
    most: int = Field(8, ge=1, description="maximum number of subjects; the highest weights are kept [subjects]")
    none: Literal["keep", "reject"] = Field("reject", description="what happens to a caption without a subject")


class Literally(Captioning):
    """Which model says plainly what the image shows."""

    kinds: list[CaptionKind] = Field(
        [CaptionKind(kind="literal", prompt="literal", max_tokens=64)],
        description="the one kind of caption that news captions are compared with: literal",
    )


class Condition(Part):
    """How weights become factors on the text conditioning."""

    strength: float = Field(0.5, ge=0, le=2, description="a subject of weight w is multiplied by 1 + strength * w")


class NewsExport(ReleaseForm):
    """What the release looks like."""

    name: str = Field("ANCHOR-style news", min_length=1, description="the dataset's name on its card")
    license_note: str = Field(
        "Annotations are ours to license; captions, articles and images belong to their publishers.",
        description="licence note of the card",
    )
    val_from: str = Field("", pattern=_ISO_DAY, description="articles from this day on are val; empty to split by hash")
    test_from: str = Field(
        "", pattern=_ISO_DAY, description="articles from this day on are test; empty to split by hash"
    )

    @field_validator("val_from", "test_from", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        """TOML has days of its own."""
        return value.isoformat() if isinstance(value, datetime.date) else value

    @field_validator("val_from", "test_from")
    @classmethod
    def _real_day(cls, value: str) -> str:
        if value:
            datetime.date.fromisoformat(value)
        return value


class BuildAnchor(Part):
    """News photographs whose captions name more than can be seen, with entities and weighted subjects."""

    switches: ClassVar[tuple[Switch, ...]] = (
        Switch(("subjects.method", "entities.recogniser"), ("llm",), ("llm",)),
        Switch(("abstraction.literal",), ("caption",)),
    )

    product: Literal["anchor"] = "anchor"
    source: NewsSource = NewsSource()
    download: Download = Download()
    signals: Signals = Signals()
    blocklists: Blocklists = later(Blocklists(), description="lists of what must not come in")
    dedupe: Dedupe = Dedupe()
    decontamination: Decontamination = Decontamination()
    clean: Clean = Clean()
    entities: Entities = Entities()
    caption: Literally = Literally()
    abstraction: Abstraction = Abstraction()
    llm: Chat = Chat()
    subjects: Subjects = Subjects()
    condition: Condition = Condition()
    export: NewsExport = NewsExport()
    features: Features = later(Features(), description="hidden states of a language model for each released caption")
    run: Run = free(Run(), description="when a run stops by itself")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_splits(self.export)
        check_features(self.features, ["news"])
        days = self.export.val_from, self.export.test_from
        if all(days) and days[0] >= days[1]:
            raise ValueError(f"export.val_from {days[0]} is not before export.test_from {days[1]}: val would be empty")
        if self.entities.recogniser in ("spacy", "gliner") and not self.entities.model:
            raise ValueError(f'entities.recogniser is "{self.entities.recogniser}" but entities.model is empty')
        strange = [label for label in self.entities.labels if label not in get_args(EntityLabel)]
        if strange and self.entities.recogniser != "spacy":  # whose pipelines may have labels of their own
            raise ValueError(f"entities.labels has {strange[0]!r}; expected some of {', '.join(get_args(EntityLabel))}")
        if self.subjects.samples > 1 and self.subjects.method == "llm" and self.llm.temperature == 0:
            raise ValueError("subjects.samples is above 1 but llm.temperature is 0: all replies would be the same")
        if self.abstraction.literal and [k.kind for k in self.caption.kinds] != ["literal"]:
            raise ValueError("caption.kinds names the one kind that captions are compared with: literal")
        if self.abstraction.literal:
            check_captioners(self.caption)
        if self.asks:
            check_servers("llm", self.llm)
        return self

    @property
    def asks(self) -> bool:
        """Whether the model of ``llm`` is asked for anything."""
        return self.subjects.method == "llm" or self.entities.recogniser == "llm"
