"""The records of news datasets: one class a sidecar table, beside those that every recipe writes."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

from schemas.arrow import Int32, Record
from schemas.reasons import Reason

# OntoNotes' labels for what has a name, and for times.
LABELS = ("PERSON", "NORP", "FAC", "ORG", "GPE", "LOC", "PRODUCT", "EVENT", "WORK_OF_ART", "LAW", "DATE", "TIME")


@dataclasses.dataclass(frozen=True, slots=True)
class NewsArticle(Record):
    """What a news source says of a row's article, keyed by (source_file, source_row)."""

    table: ClassVar[str] = "articles"

    source_file: Annotated[str, "as in rows"]
    source_row: Annotated[int, "as in rows"]
    sample_id: Annotated[str, "as in rows"]
    outlet: Annotated[str | None, "who published it, e.g. guardian, bbc, nytimes"]
    topic: Annotated[str | None, "section or topic, as the source names it"]
    date: Annotated[str | None, "day of publication, YYYY-MM-DD, where the source has one"]
    headline: Annotated[str | None, "the article's headline"]
    article_id: Annotated[str | None, "the article's id in the source, with the outlet or layout in front"]
    article_url: Annotated[str | None, "where the article is; a path in the source where it is a file"]
    published_split: Annotated[str | None, "the split that the source itself puts it in"]


@dataclasses.dataclass(frozen=True, slots=True)
class CleanCaption(Record):
    """A news caption without what is not about the picture; one for every keeper."""

    table: ClassVar[str] = "cleaned"

    sample_id: Annotated[str, "as in rows"]
    caption: Annotated[str | None, "the cleaned caption; null where nothing is left"]
    rules: Annotated[list[str], "the rules that fired, in their order; empty for a caption left as it was"]
    reason: Annotated[Reason | None, "why there is none"]
    detail: Annotated[str | None, "what the rules took away, or what was left"]
    words: Annotated[int, Int32, "in caption"]
    clip_tokens: Annotated[int, Int32, "CLIP byte-pair tokens of caption, without start and end"]
    sentence_end_77: Annotated[int | None, Int32, "characters up to the last full sentence in CLIP's 77 tokens"]


@dataclasses.dataclass(frozen=True, slots=True)
class NamedEntity(Record):
    """A named entity of a cleaned caption; a sample without one has one row that says so."""

    table: ClassVar[str] = "entities"

    sample_id: Annotated[str, "as in rows"]
    text: Annotated[str | None, "caption[start:end]; null where there is none"]
    label: Annotated[str | None, "OntoNotes label, e.g. PERSON, ORG, GPE"]
    start: Annotated[int | None, Int32, "characters from the start of the cleaned caption"]
    end: Annotated[int | None, Int32, "characters, exclusive"]
    score: Annotated[float | None, "the recogniser's confidence, 0..1; null where it has none"]
    recogniser: Annotated[str, "name@revision of what found it"]
    reason: Annotated[Reason | None, "why the caption could not be looked at"]
    detail: Annotated[str | None, "what was found instead"]
    reply_key: Annotated[str | None, "hash of all that the model's reply depends on; null where none was asked"] = None


@dataclasses.dataclass(frozen=True, slots=True)
class Abstractness(Record):
    """How far a caption goes beyond what can be seen."""

    table: ClassVar[str] = "abstractness"

    sample_id: Annotated[str, "as in rows"]
    abstractiveness: Annotated[float, "share of content words that a literal description leaves out, 0..1"]
    entity_share: Annotated[float, "share of content words inside named entities, 0..1"]
    covered: Annotated[float | None, "share of the other content words that the literal description has"]
    entities: Annotated[int, Int32, "named entities, dates and times left out"]
    subset: Annotated[str, "entity or non_entity"]
    literal: Annotated[str | None, "the literal description it was compared with"]


@dataclasses.dataclass(frozen=True, slots=True)
class SubjectWeight(Record):
    """A key subject of a cleaned caption; a sample without one has one row that says so."""

    table: ClassVar[str] = "subjects"

    sample_id: Annotated[str, "as in rows"]
    text: Annotated[str | None, "caption[start:end]; null where there is none"]
    start: Annotated[int | None, Int32, "characters from the start of the cleaned caption"]
    end: Annotated[int | None, Int32, "characters, exclusive"]
    weight: Annotated[float | None, "how much it matters, 0..1; the greatest of a caption is 1"]
    spread: Annotated[float | None, "standard deviation of the weight over the replies; null for one reply"]
    kind: Annotated[str | None, "named or generic"]
    method: Annotated[str, "salience, or name@revision of the model"]
    dropped: Annotated[list[str], "subjects of the replies that the caption does not have, on the first row"]
    reason: Annotated[Reason | None, "why there is none"]
    detail: Annotated[str | None, "what was found instead"]
    reply_keys: Annotated[tuple[str, ...], "likewise, of each reply, usable or not, on the first row"] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Conditioning(Record):
    """The caption and its subjects in the dialects that training code reads."""

    table: ClassVar[str] = "conditionings"

    sample_id: Annotated[str, "as in rows"]
    compel: Annotated[str, "Compel syntax: (subject)1.2"]
    weighted: Annotated[str, "the (subject:1.2) dialect"]
    prefixed: Annotated[str, "A photo of <subject>, <subject>. <caption>"]
    token_weights: Annotated[list[float], "a factor for each of CLIP's 77 tokens, start, end and padding included"]
    beyond: Annotated[list[str], "subjects that lie wholly or partly beyond those tokens"]
