"""ANCHOR-style news datasets: captions that name more than can be seen, with entities and weighted subjects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from curation.caption.recaption_stage import RecaptionStage
from curation.core.database import scratch_database
from curation.core.run import Barrier, Step, parts_of, segment
from curation.core.store import Store
from curation.features.features_stage import features_step
from curation.news.abstractness_stage import AbstractnessStage
from curation.news.clean_stage import TEXTS, CleanStage
from curation.news.conditioning_stage import ConditioningStage
from curation.news.entities_stage import EntitiesStage
from curation.news.subjects_stage import SubjectsStage
from curation.products.product import Product, gathering_steps
from curation.release.export_stage import ExportStage
from curation.release.finish import FinishRelease
from curation.release.news_card import news_files
from curation.release.pack_stage import NewsPackReduce
from curation.release.views.create import create_views
from curation.reviews.review_step import ReviewReduce, ReviewStep
from curation.sources.news_source import open_news
from curation.sources.options import Options
from curation.sources.plan_stage import Planning
from schemas.anchor import BuildAnchor
from schemas.news import CleanCaption, NamedEntity
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


def steps(recipe: BuildAnchor, specs: Sequence[str] = ()) -> list[Step]:
    """The steps of a run, each over before the next begins; within a segment, shards stream."""
    literal, stop = recipe.abstraction.literal, recipe.run.stop_at_share
    opened = partial(open_news, layout=recipe.source.layout or None, options=Options.of(recipe.source))
    planning = Planning(recipe.source, tuple(specs), opened, articles=True, blocklists=recipe.blocklists)
    before = [
        *gathering_steps(recipe, planning),
        segment(
            "annotate",
            [
                CleanStage(recipe.clean),
                EntitiesStage.declared(recipe.entities, recipe.llm, stop),
                RecaptionStage.declared(
                    recipe.caption, on=literal, stop_at_share=stop, passed=(CleanCaption, NamedEntity)
                ),
                SubjectsStage.declared(recipe.subjects, recipe.llm, stop),
                AbstractnessStage(recipe.abstraction, literal),
                ConditioningStage(recipe.condition),
            ],
            over=SourceRow,
        ),
        ReviewStep(ReviewReduce(restores=False)),
    ]
    exporting = ExportStage.of(recipe.export, recipe.download)
    parts = (*parts_of(before), *exporting.adds)
    features = features_step(recipe.features, ["news"])
    return [
        *before,
        Barrier(NewsPackReduce.of_news(recipe.export, before, TEXTS)),
        segment("export", [exporting], over=Placement),
        features,
        FinishRelease(
            recipe, tuple(before), lambda views, facts: news_files(views, facts, recipe, parts), beside=(features,)
        ),
    ]


def leaks(store: Store, recipe: BuildAnchor) -> list[str]:
    """What a split lets through to another one; nothing where the laws of splits hold."""
    val, test = recipe.export.val_from, recipe.export.test_from
    with scratch_database("compare the splits") as connection:
        create_views(connection, store, steps(recipe))
        found = [(problem, connection.execute(query).fetchone()) for problem, query in _SPLITS.items()]
        if val or test:
            days = {"first": min(d for d in (val, test) if d), "test": test or "9999"}
            found.append(("samples are newer than their split's days", connection.execute(_TIMES, days).fetchone()))
    return [f"{count[0]} {problem}" for problem, count in found if count and count[0]]


ANCHOR = Product(
    name="anchor",
    recipe=BuildAnchor,
    about="News photographs with named entities, abstractiveness and weighted subjects.",
    source="folders of VisualNews, NYTimes800k or GoodNews as they were published, or their lists",
    steps=steps,
    problems=leaks,
)
