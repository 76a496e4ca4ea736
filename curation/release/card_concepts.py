"""The card's section on concepts: which nouns captions and alt texts name, and a note made from these counts alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from curation.caption.concepts import ADULTS, CHILDREN, GROUPS, MEN, WOMEN, concepts
from curation.caption.languages import code_of
from curation.release.markdown import share

MOST_TEXTS = 100_000
"""Texts that are counted of each kind: a share of more of them differs by 0.3 points at most, 19 times of 20."""

CAPTIONS, ALT_TEXTS, SOURCE = "captions", "alt texts", "alt texts of all source rows"
_RELEASED = "SELECT sample_id, {column} AS text FROM placements SEMI JOIN released USING (sample_id, shard)"
PROMPTS: Mapping[str, str] = {"prompts": _RELEASED.format(column="caption")}
"""The texts of a release of prompts: SQL with sample_id and text."""
TEXTS: Mapping[str, str] = {
    CAPTIONS: _RELEASED.format(column="caption"),
    ALT_TEXTS: _RELEASED.format(column="alt_text"),
    SOURCE: "SELECT sample_id, alt_text AS text FROM rows",
}
"""The same of a release of images with their texts."""

_TOP = 20  # concepts of the table
_LISTED = 8  # concepts of a sentence
_FEWEST = 30  # texts without which nothing follows from a count
_SURE = 3.0  # standard errors
# A sample_id is a hash of content: the smallest are as good as drawn, and the same for the same data.
_WORDS = """
CREATE OR REPLACE TEMP TABLE concept_words AS
SELECT unnest(?::VARCHAR[]) AS word, unnest(?::VARCHAR[]) AS concept, unnest(?::VARCHAR[]) AS topic
"""
_NAMED = """
CREATE OR REPLACE TEMP TABLE named AS
WITH texts AS (
    SELECT row_number() OVER ()::INTEGER AS id, left(text, 10000) AS text
    FROM (SELECT text FROM ({texts}) ORDER BY sample_id, text LIMIT {most})
)
SELECT DISTINCT w.id, c.concept, c.topic
FROM (SELECT id, unnest(regexp_extract_all(lower(text), '[a-z]+')) AS word FROM texts) w
JOIN concept_words c USING (word)
"""
_BY_CONCEPT = "SELECT concept, count(*) FROM named GROUP BY concept ORDER BY concept"
_BY_TOPIC = "SELECT topic, count(DISTINCT id) FROM named GROUP BY topic"
_OF_SET = "SELECT count(DISTINCT id) FROM named WHERE concept IN (SELECT unnest(?::VARCHAR[]))"


@dataclass(frozen=True)
class Counted:
    """How many texts there are, how many of them name each concept, each group, and one of each set of concepts."""

    texts: int
    concepts: Mapping[str, int]
    topics: Mapping[str, int]
    sets: Mapping[str, int]

    def share(self, concept: str) -> float:
        """Share of texts that name it, 0..1."""
        return self.concepts.get(concept, 0) / max(1, self.texts)


SETS: Mapping[str, frozenset[str]] = {"women": WOMEN, "men": MEN, "children": CHILDREN, "adults": ADULTS}


def count_concepts(connection: duckdb.DuckDBPyConnection, texts: str, most: int = MOST_TEXTS) -> Counted:
    """Counts the concepts that texts name; ``texts`` is SQL with the columns sample_id and text."""
    listed = sorted((word, concept, topic) for word, (concept, topic) in concepts().items())
    connection.execute(_WORDS, [list(column) for column in zip(*listed, strict=True)])
    connection.execute(_NAMED.format(texts=texts, most=most))
    (there,) = connection.execute(f"SELECT count(*) FROM ({texts})").fetchone() or (0,)  # noqa: S608  # of our own
    return Counted(
        min(there, most),
        dict(connection.execute(_BY_CONCEPT).fetchall()),
        dict(connection.execute(_BY_TOPIC).fetchall()),
        {name: _one(connection, found) for name, found in SETS.items()},
    )


def _one(connection: duckdb.DuckDBPyConnection, of: Iterable[str]) -> int:
    found = connection.execute(_OF_SET, [sorted(of)]).fetchone()
    return int(found[0]) if found is not None else 0


def concepts_section(
    connection: duckdb.DuckDBPyConnection, texts: Mapping[str, str] = TEXTS, language: str = "en"
) -> str:
    """The section; ``language`` names the captions' language, and is empty where any will do."""
    if language.strip() and (code := code_of(language)) != "en":
        return (
            "## Concepts\n\nConcepts are counted by a list of English nouns. The captions are in another language "
            f"(`{code}`), so none were counted."
        )
    counted = {name: count_concepts(connection, query) for name, query in texts.items()}
    first = next(iter(counted.values()))
    lines = ["## Concepts", "", *_method(counted), "", *_topics(counted), "", *_most(counted)]
    note = list(_note(counted))
    if first.texts < _FEWEST:
        note = [f"{first.texts} texts are too few for a note on what is frequent and what is rare."]
    return "\n".join([*lines, "", "What follows from these figures:", "", *(f"- {sentence}" for sentence in note)])


def _method(counted: Mapping[str, Counted]) -> Iterator[str]:
    total = len({concept for concept, _ in concepts().values()})
    drawn = [name for name, found in counted.items() if found.texts == MOST_TEXTS]
    yield (
        f"Nouns that the texts name, by a list of {total:,} English concepts in {len(GROUPS)} groups; a concept counts "
        "once a text. A word counts by its spelling, whatever it means there; what is not on the list, and what is "
        "said in another language, is not counted. A share says how many texts name a thing, not how many pictures "
        "show it."
    )
    if drawn:
        yield ""
        yield (
            f"Of {' and '.join(drawn)}, the {MOST_TEXTS:,} with the smallest sample_id, which is a hash, were counted."
        )


def _topics(counted: Mapping[str, Counted]) -> Iterator[str]:
    listed: dict[str, set[str]] = {topic: set() for topic in GROUPS.values()}
    for concept, topic in concepts().values():
        listed[topic].add(concept)
    first = next(iter(counted.values()))
    yield f"| group | concepts on the list | named in {next(iter(counted))} | {_heads(counted)} |"
    yield f"|---|---:|---:|{'---:|' * len(counted)}"
    for topic, found in listed.items():
        named = sum(concept in first.concepts for concept in found)
        shares = " | ".join(share(c.topics.get(topic, 0), c.texts) for c in counted.values())
        yield f"| {topic} | {len(found)} | {named} | {shares} |"
    yield f"| texts | | | {' | '.join(f'{c.texts:,}' for c in counted.values())} |"


def _most(counted: Mapping[str, Counted]) -> Iterator[str]:
    first = next(iter(counted.values()))
    yield f"| most frequent | {next(iter(counted))} | {_heads(counted)} |"
    yield f"|---|---:|{'---:|' * len(counted)}"
    for concept in _ranked(first.concepts)[:_TOP]:
        shares = " | ".join(share(c.concepts.get(concept, 0), c.texts) for c in counted.values())
        yield f"| {concept} | {first.concepts[concept]:,} | {shares} |"


def _heads(counted: Mapping[str, Counted]) -> str:
    return " | ".join(f"share of {name}" for name in counted)


def _ranked(counts: Mapping[str, int]) -> list[str]:
    return sorted(counts, key=lambda concept: (-counts[concept], concept))


def _note(counted: Mapping[str, Counted]) -> Iterator[str]:
    """Sentences on what is frequent and what is rare, each with the figures that it rests on."""
    name, first = next(iter(counted.items()))
    mentions, ranked = sum(first.concepts.values()), _ranked(first.concepts)
    total = len({concept for concept, _ in concepts().values()})
    if not mentions:
        yield f"No concept of the list is named in {name}."
        return
    yield (
        f"The ten most frequent concepts are {share(sum(first.concepts[c] for c in ranked[:10]), mentions)} of all "
        f"{mentions:,} mentions in {name}; {total - len(ranked):,} of {total:,} listed concepts are named in none."
    )
    topics = sorted(GROUPS.values(), key=lambda topic: (-first.topics.get(topic, 0), topic))
    high, low = topics[0], topics[-1]
    yield (
        f"Of the groups, {high} is named most ({share(first.topics.get(high, 0), first.texts)} of {name}), {low} least "
        f"({share(first.topics.get(low, 0), first.texts)})."
    )
    yield _pair(first, name, "women", "men")
    yield _pair(first, name, "children", "adults")
    if SOURCE in counted and ALT_TEXTS in counted:
        yield from _selection(counted[ALT_TEXTS], counted[SOURCE])
        absent = [c for c in _ranked(counted[SOURCE].concepts) if c not in first.concepts]
        if absent:
            shown = _listed(f"{c} ({counted[SOURCE].concepts[c]:,})" for c in absent[:_LISTED])
            yield f"{_number(absent)} named in alt texts of the source and in no caption: most often {shown}."


def _pair(of: Counted, name: str, one: str, other: str) -> str:
    """How often words of two sets are found, and whether one is found more often than chance would have it."""
    a, b = of.sets[one], of.sets[other]
    found = (
        f"Words for {one} are in {share(a, of.texts)} of {name} ({a:,}), words for {other} in "
        f"{share(b, of.texts)} ({b:,})"
    )
    if a + b < _FEWEST:
        return f"{found}: too few to compare."
    if abs(a - b) <= _SURE * math.sqrt(a + b):
        return f"{found}: no difference beyond chance."
    more, less, high, low = (one, other, a, b) if a > b else (other, one, b, a)
    return f"{found}: {more} are named {high / low:.1f} times as often." if low else f"{found}: no text names {less}."


def _selection(kept: Counted, source: Counted) -> Iterator[str]:
    """Which concepts alt texts name more or less often in the release than in all of the source."""
    changed = [(c, _change(kept, source, c)) for c in sorted(source.concepts)]
    for word, found in (
        ("more", sorted((-x, c) for c, x in changed if x > 1)),
        ("less", sorted((x, c) for c, x in changed if 0 <= x < 1)),
    ):
        if found:
            shown = _listed(f"{c} ({abs(x):.2f})" for x, c in found[:_LISTED])
            yield (
                f"{_number(found)} named {word} often in the released alt texts than in those of all source "
                f"rows, beyond {_SURE:g} standard errors; by the ratio of shares: {shown}."
            )
    if all(x in (1, -1) for _, x in changed):
        yield (
            "No concept is named more or less often in the released alt texts than in those of all source rows, beyond "
            f"{_SURE:g} standard errors."
        )


def _change(kept: Counted, source: Counted, concept: str) -> float:
    """The share of released alt texts over that of all; 1 where chance may explain the difference, -1 for too few."""
    before, after = source.share(concept), kept.share(concept)
    if source.concepts[concept] < _FEWEST or not kept.texts:
        return -1
    error = math.sqrt(before * (1 - before) * (1 / kept.texts + 1 / source.texts))
    return after / before if abs(after - before) > _SURE * error else 1


def _number(found: Sequence[object]) -> str:
    return "1 concept is" if len(found) == 1 else f"{len(found):,} concepts are"


def _listed(items: Iterable[str]) -> str:
    found: Sequence[str] = list(items)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
