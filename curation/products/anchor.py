"""ANCHOR-style news datasets as a list of steps, and all that is checked before the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from curation.caption.model.open import check_model
from curation.caption.prompts import load
from curation.caption.recaption_stage import RecaptionStage
from curation.core.pipeline import Totals
from curation.core.root import check_room
from curation.core.run import Step, reduction, segment
from curation.core.stage import Stage
from curation.core.store import Store
from curation.dedupe.across.decontamination_stage import decontamination, open_evaluation_sets
from curation.dedupe.crops_stage import crop_hashing
from curation.dedupe.reduce import dedupe_reduce
from curation.fetch.download_stage import DownloadStage
from curation.fetch.http import Fetcher
from curation.news.abstractness_stage import AbstractnessStage, LiteralAbstractnessStage
from curation.news.clean_stage import CleanStage
from curation.news.conditioning_stage import ConditioningStage
from curation.news.entities_stage import EntitiesStage
from curation.news.recognisers import identify
from curation.news.subjects_stage import SubjectsStage
from curation.release.export_stage import ExportStage
from curation.release.finish import finish
from curation.release.news_card import tell
from curation.release.pack_stage import news_pack_reduce
from curation.release.views.create import create_views
from curation.release.views.criteria import Criteria
from curation.sources.discover import SourceSet
from curation.sources.news import LayoutName
from curation.sources.news_source import open_news
from curation.sources.plan_stage import RepeatReduce, planning
from schemas.anchor import BuildAnchor
from schemas.records import Placement, SourceRow

_SPLITS = {
    "articles stand in several splits": """
        SELECT count(*) FROM (SELECT n.article_id FROM placements p JOIN articles n USING (source_file, source_row)
            WHERE n.article_id IS NOT NULL GROUP BY n.article_id HAVING count(DISTINCT p.split) > 1)""",
    "clusters of near duplicates stand in several splits": """
        SELECT count(*) FROM (SELECT d.cluster_id FROM placements p JOIN duplicates d USING (sample_id)
            GROUP BY d.cluster_id HAVING count(DISTINCT p.split) > 1)""",
}
_TIMES = """
SELECT count(*) FROM placements p JOIN articles n USING (source_file, source_row)
WHERE p.split = 'train' AND n.date >= $first OR p.split = 'val' AND n.date >= $test
"""


@dataclass(frozen=True)
class Anchoring:
    """A recipe that can be followed: its source, prompts and models were found to be there."""

    recipe: BuildAnchor
    sources: SourceSet
    annotate: tuple[Stage, ...]


def check(
    recipe: BuildAnchor, specs: Sequence[str], store: Store | None = None, layout: LayoutName | None = None
) -> Anchoring:
    """Looks at everything that a run needs before it does any work. Raises ``UsageError``."""
    if store is not None:
        check_room(store)
    Fetcher(recipe.download).close()
    open_evaluation_sets(recipe.against, store)
    sources = open_news(specs, layout)
    literal = [RecaptionStage.of(recipe.caption, store)] if recipe.abstraction.literal else []
    for stage in literal:
        stage.check()
    measure = LiteralAbstractnessStage if literal else AbstractnessStage
    chat = check_model(recipe.llm) if recipe.asks else None
    if chat is not None and recipe.entities.recogniser == "llm":
        entities = EntitiesStage(recipe.entities, chat, recipe.llm, load(recipe.entities.prompt), store)
    else:
        entities = EntitiesStage(recipe.entities, identify(recipe.entities))
    if chat is not None and recipe.subjects.method == "llm":
        subjects = SubjectsStage(recipe.subjects, chat, recipe.llm, load(recipe.subjects.prompt), store)
    else:
        subjects = SubjectsStage(recipe.subjects)
    entities.check()
    subjects.check()
    annotate: tuple[Stage, ...] = (
        CleanStage(recipe.clean),
        entities,
        *literal,
        measure(recipe.abstraction),
        subjects,
        ConditioningStage(recipe.condition),
    )
    return Anchoring(recipe, sources, annotate)


def steps(anchoring: Anchoring) -> list[Step]:
    """The steps of a run, each over before the next begins; within a segment, shards stream."""
    recipe = anchoring.recipe
    return [
        planning(anchoring.sources, recipe.source),
        reduction(RepeatReduce(recipe.source.max_text_repeats)),
        segment("download", [DownloadStage(recipe.download)], over=SourceRow),
        *crop_hashing(recipe.dedupe),
        *decontamination(recipe.dedupe, recipe.against),
        reduction(dedupe_reduce(recipe.dedupe, recipe.against)),
        segment("annotate", anchoring.annotate, over=SourceRow),
        reduction(news_pack_reduce(recipe)),
        segment("export", [ExportStage(recipe.export.images)], over=Placement),
        Step("release", (), lambda store, engine, report: _finish(recipe, store)),
    ]


def leaks(store: Store, recipe: BuildAnchor) -> list[str]:
    """What a split lets through to another one; nothing where the laws of splits hold."""
    val, test = recipe.export.val_from, recipe.export.test_from
    with duckdb.connect() as connection:
        create_views(connection, store, Criteria.of(recipe))
        found = [(problem, connection.execute(query).fetchone()) for problem, query in _SPLITS.items()]
        if val or test:
            days = {"first": min(d for d in (val, test) if d), "test": test or "9999"}
            found.append(("samples are newer than their split's days", connection.execute(_TIMES, days).fetchone()))
    return [f"{count[0]} {problem}" for problem, count in found if count and count[0]]


def _finish(recipe: BuildAnchor, store: Store) -> Totals:
    finish(store, recipe, lambda connection, facts: tell(connection, facts, recipe))
    return Totals()
