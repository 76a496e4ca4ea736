"""LAION-refined as a list of steps, and all that is checked before the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curation.caption.check_stage import CheckStage
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
from curation.release.export_stage import ExportStage
from curation.release.finish import finish_release
from curation.release.pack_stage import pack_reduce
from curation.sources.discover import SourceSet, open_source
from curation.sources.plan_stage import RepeatReduce, planning
from schemas.recipe import RefineLaion
from schemas.records import Placement, SourceRow


@dataclass(frozen=True)
class Refinement:
    """A recipe that can be followed: its source, prompts and models were found to be there."""

    recipe: RefineLaion
    sources: SourceSet
    recaption: RecaptionStage
    check: CheckStage
    scores: Stage | None


def check(recipe: RefineLaion, specs: Sequence[str], store: Store | None = None) -> Refinement:
    """Looks at everything that a run needs before it does any work. Raises ``UsageError``.

    ``store`` is where logs of what the run starts are kept.
    """
    if store is not None:
        check_room(store)
    Fetcher(recipe.download).close()
    open_evaluation_sets(recipe.against, store)
    sources = open_source(specs)
    recaption = RecaptionStage.of(recipe.caption, store)
    recaption.check()
    prompts = tuple((q.kind, q.prompt.body) for q in recaption.questions)
    return Refinement(recipe, sources, recaption, CheckStage(recipe.check, prompts), _scores(recipe))


def steps(refinement: Refinement) -> list[Step]:
    """The steps of a run, each over before the next begins; within a segment, shards stream."""
    recipe = refinement.recipe
    scores = [refinement.scores] if refinement.scores else []
    return [
        planning(refinement.sources, recipe.source),
        reduction(RepeatReduce(recipe.source.max_text_repeats)),
        segment("download", [DownloadStage(recipe.download)], over=SourceRow),
        *crop_hashing(recipe.dedupe),
        *decontamination(recipe.dedupe, recipe.against),
        reduction(dedupe_reduce(recipe.dedupe, recipe.against)),
        segment("caption", [refinement.recaption, refinement.check, *scores], over=SourceRow),
        reduction(pack_reduce(recipe)),
        segment("export", [ExportStage(recipe.export.images)], over=Placement),
        Step("release", (), lambda store, engine, report: _finish(recipe, store)),
    ]


def _scores(recipe: RefineLaion) -> Stage | None:
    if not recipe.scores.model:
        return None
    # transformers' image models cost seconds to import; most runs do without.
    from curation.caption.scores_stage import ScoresStage

    return ScoresStage.of(recipe.scores)


def _finish(recipe: RefineLaion, store: Store) -> Totals:
    finish_release(store, recipe)
    return Totals()
