"""The card of a news release: as any dataset card, with a table per outlet and subset and what each source demands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from curation.release.card import came_from, empty_card, front_matter, loading, released_as, settings
from curation.release.card_captions import lengths
from curation.release.card_concepts import concepts_section
from curation.release.card_content import content_section
from curation.release.card_features import features_section
from curation.release.card_reviews import reviews_section
from curation.release.card_rights import rights
from curation.release.croissant import files_of
from curation.release.face_blur import faces_section
from curation.release.facts import ReleaseFacts
from curation.release.features import annotation_types
from curation.release.funnel import kept, to_markdown, total
from schemas.anchor import BuildAnchor

_TABLE = """
WITH annotated AS (
    SELECT
        coalesce(n.outlet, 'unknown') AS outlet, a.subset, p.words, a.abstractiveness,
        coalesce(e.entities, 0) AS entities
    FROM placements p
    SEMI JOIN released r ON r.sample_id = p.sample_id AND r.shard = p.shard
    JOIN abstractness a USING (sample_id)
    LEFT JOIN articles n ON n.source_file = p.source_file AND n.source_row = p.source_row
    LEFT JOIN (SELECT sample_id, count(text) AS entities FROM entities GROUP BY sample_id) e USING (sample_id)
)
SELECT
    outlet, subset, count(*), quantile_disc(words, 0.1), quantile_disc(words, 0.5), quantile_disc(words, 0.9),
    avg(entities), avg(abstractiveness)
FROM annotated GROUP BY ALL ORDER BY outlet, subset
"""
_LABELS = """
SELECT e.label, count(*), count(DISTINCT e.sample_id)
FROM entities e SEMI JOIN released r USING (sample_id)
WHERE e.text IS NOT NULL GROUP BY e.label ORDER BY count(*) DESC, e.label
"""
_METHODS = """
SELECT 'entities', recogniser, count(DISTINCT sample_id) FROM entities SEMI JOIN released USING (sample_id) GROUP BY ALL
UNION ALL
SELECT 'subjects', method, count(DISTINCT sample_id) FROM subjects SEMI JOIN released USING (sample_id) GROUP BY ALL
UNION ALL
SELECT 'literal descriptions', model || '@' || model_revision, count(DISTINCT sample_id)
FROM captions SEMI JOIN released USING (sample_id) GROUP BY ALL
ORDER BY ALL
"""


def news_files(
    connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts, recipe: BuildAnchor, parts: Sequence[object]
) -> dict[str, bytes]:
    """README.md and croissant.json of a news release; ``parts`` are those of the steps that made it."""
    about = (
        f"{facts.total} news photographs' captions with named entities, abstractiveness, weighted subjects and their "
        "conditioning. README.md tells how they were made."
    )
    return files_of(news_card(connection, facts, recipe, parts), facts, recipe.export, "en", about)


def news_card(
    connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts, recipe: BuildAnchor, parts: Sequence[object]
) -> str:
    """The whole card. It names no date, so that it changes with the data only."""
    types = annotation_types((), parts, connection)
    matter = front_matter(
        facts, recipe.export, "en", ("webdataset", "news", "named-entities"), types, released_as(recipe)
    )
    if not facts.total:
        return empty_card(matter, facts, recipe)
    sections = (
        matter,
        _what_it_is(facts, recipe),
        "\n".join(_outlets(connection)),
        "\n".join(_entities(connection)),
        "\n".join(_structure(facts, recipe)),
        "## From source to release\n\nEvery source row is counted in exactly one line.\n\n"
        + to_markdown(facts.funnel, facts.gone),
        "## Settings\n\n" + "\n".join(settings(recipe)),
        features_section(connection, recipe.features),
        "## Lengths\n\n" + "\n".join(lengths(facts)),
        content_section(connection, recipe.source.max_punsafe, parts),
        concepts_section(connection),
        reviews_section(connection, parts),
        faces_section(recipe.export, facts.faces),
        rights(connection, facts, recipe.download, recipe.export.license_note, recipe.signals),
        _REDISTRIBUTION,
        loading(facts, released_as(recipe), {"preferred": 1.0}),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def _what_it_is(facts: ReleaseFacts, recipe: BuildAnchor) -> str:
    pixels = (
        "Images are stored as they were exported; they may not be passed on (see below)"
        if recipe.export.images
        else "Images are not part of it: each sample has its ids, the address of its image where there is one, and "
        "the sha256 of the pixels that were looked at"
    )
    return (
        f"# {recipe.export.name}\n\n{facts.total} news photographs' captions, kept from {total(facts.funnel)} source "
        f"rows ({kept(facts.funnel)} kept), in the manner of ANCHOR (arXiv 2404.10141). {came_from(facts)}The caption "
        f"of a sample is the publisher's own without credits and markup; `alt_text` is the one as published. {pixels}."
    )


def _outlets(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    yield "## Outlets and subsets"
    yield ""
    yield "| outlet | subset | samples | words: p10 | median | p90 | entities a caption | abstractiveness |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for outlet, subset, count, low, median, high, entities, abstract in connection.execute(_TABLE).fetchall():
        yield f"| {outlet} | {subset} | {count} | {low} | {median} | {high} | {entities:.2f} | {abstract:.3f} |"


def _entities(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    yield "## Entities by label"
    yield ""
    yield "| label | entities | samples |"
    yield "|---|---:|---:|"
    for label, count, samples in connection.execute(_LABELS).fetchall():
        yield f"| {label} | {count} | {samples} |"
    yield ""
    yield "| what | by | samples |"
    yield "|---|---|---:|"
    for what, by, samples in connection.execute(_METHODS).fetchall():
        yield f"| {what} | `{by}` | {samples} |"
    yield ""
    yield (
        "Abstractiveness is the share of a caption's content words that stand in a named entity or that a literal "
        "description of the picture does not have; times and numbers are left out. `salience` is a rule of thumb, "
        "not a model."
    )


def _structure(facts: ReleaseFacts, recipe: BuildAnchor) -> Iterator[str]:
    yield "## Structure"
    yield ""
    yield "| split | samples | shards |"
    yield "|---|---:|---:|"
    for split, count in facts.samples.items():
        yield f"| {split} | {count} | {facts.shards[split]} |"
    yield ""
    image = f"`<sample_id>.{ending}`, " if (ending := released_as(recipe)) else ""
    yield (
        f"Each shard is a tar in WebDataset form with up to {recipe.export.shard_size} samples: "
        f"{image}`<sample_id>.txt` (the cleaned caption) and `<sample_id>.json`: outlet, topic, date, headline and "
        "article; `entities` and `subjects` with their characters in the caption; `abstractiveness` and `subset`; and "
        "the conditionings `compel`, `weighted`, `prefixed` and `token_weights` (CLIP's 77 tokens). `metadata/` has "
        "the same as Parquet."
    )
    yield ""
    days = [d for d in (recipe.export.val_from, recipe.export.test_from) if d]
    by = f"by day ({' and '.join(days)})" if days else "by hash"
    yield f"Splits hold whole articles with all near duplicates of their images, and are cut {by}."


_REDISTRIBUTION = (
    "**Images, captions and articles of these sources may not be redistributed:**\n\n"
    "- VisualNews (Guardian, BBC, USA Today, Washington Post): given on request for research only; the publishers "
    "keep all rights.\n"
    "- NYTimes800k and GoodNews: collected from The New York Times; its terms allow personal, non-commercial use "
    "only.\n\n"
    "Pass on the annotations by `sample_id`, article and url (`export.images = false`), and let others fetch what "
    "they are entitled to."
)
