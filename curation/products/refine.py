"""LAION-refined: web images whose poor alt texts are rewritten by a vision-language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from curation.caption.best.candidates_stage import CandidatesStage
from curation.caption.best.picked_stage import PickedStage, PickedVerdictStage
from curation.caption.best.ranked_stage import RankedStage
from curation.caption.caption_repeats_stage import CaptionRepeatReduce
from curation.caption.check_stage import CheckStage
from curation.caption.choice import Choice
from curation.caption.recaption_stage import RecaptionStage
from curation.caption.regions import Regions
from curation.caption.released_texts import released_texts
from curation.caption.scores_stage import ScoresStage
from curation.caption.verify.atoms_stage import AtomsStage
from curation.caption.verify.verified_stage import VerifiedStage
from curation.caption.verify.verify_stage import VerifyStage
from curation.core.run import Barrier, Step, parts_of, segment
from curation.core.stage import Stage
from curation.features.features_stage import features_step
from curation.products.pictures import ChosenPictures, balance_of_captions
from curation.products.product import Product
from curation.release.card import refined_files
from curation.release.export_stage import ExportStage
from curation.release.finish import FinishRelease
from curation.release.pack_stage import PackReduce
from curation.release.top_reduce import TopReduce
from curation.reviews.review_step import ReviewStep
from curation.reviews.texts import reviewed_texts
from schemas.arrow import Record
from schemas.records import Placement, SourceRow
from schemas.refine import RefineLaion


def steps(recipe: RefineLaion, specs: Sequence[str] = ()) -> list[Step]:
    """The steps of a run, each over before the next begins; within a segment, shards stream."""
    choice = Choice.of(recipe)
    return release_steps(recipe, curating_steps(recipe, specs, choice), choice)


def curating_steps(recipe: RefineLaion, specs: Sequence[str], choice: Choice) -> list[Step]:
    """From the source to captions that were checked: the steps that decide on samples."""
    pictures = ChosenPictures.of(recipe, specs)
    stages = caption_stages(recipe, choice, passed=pictures.passed)
    return [
        *pictures.steps,
        segment("caption", [*pictures.limits, *stages], over=SourceRow),
        Barrier(CaptionRepeatReduce.declared(recipe.caption_repeats, choice)),
    ]


def caption_stages(
    recipe: RefineLaion, choice: Choice, regions: Regions | None = None, passed: tuple[type[Record], ...] = ()
) -> list[Stage]:
    """From images to captions that were checked; ``regions`` and ``passed`` as in ``RecaptionStage``."""
    captioning, stop = recipe.caption.asking_in(recipe.check.language), recipe.run.stop_at_share
    asking = RecaptionStage.declared(captioning, choice, stop_at_share=stop, passed=passed, regions=regions)
    check = CheckStage.declared(recipe.check, captioning.kinds, choice, stop)
    atoms = AtomsStage.declared(recipe.verify, recipe.caption, stop, recipe.check.language)
    verify = VerifyStage.declared(recipe.verify, recipe.caption, stop, recipe.check.language, regions)
    verified = VerifiedStage.declared(recipe.verify, choice, recipe.check.language, captioning.kinds)
    return [
        *best_of(recipe.verify.samples, asking, check, atoms, verify, verified),
        verified,
        ScoresStage.declared(recipe.scores, choice, recipe.embed),
    ]


def best_of(
    wanted: int,
    asking: RecaptionStage,
    check: CheckStage,
    atoms: AtomsStage,
    verify: VerifyStage,
    verified: VerifiedStage,
) -> list[Stage]:
    """From images to captions and what was found of them: the best of so many candidates for each, by ``verified``."""
    asking = replace(asking, samples=wanted)
    candidates: list[Stage] = [CandidatesStage(stage, wanted) for stage in (asking, check, atoms, verify)]
    candidates.append(RankedStage(verified, on=wanted > 1))
    if wanted == 1:
        return [*candidates, asking, check, atoms, verify]
    return [
        *candidates, PickedVerdictStage(asking), PickedVerdictStage(check), PickedStage(atoms), PickedStage(verify),
    ]  # fmt: skip


def release_steps(recipe: RefineLaion, before: Sequence[Step], choice: Choice) -> list[Step]:
    """These steps, and those that make a release of what passed them and of what people decided."""
    before = [*before, ReviewStep()]
    before += balance_of_captions(recipe, before)
    before = [*before, Barrier(TopReduce.of(recipe.export, before))]
    exporting = ExportStage.of(recipe.export, recipe.download)
    parts = (*parts_of(before), *exporting.adds)
    features = features_step(recipe.features, [k.kind for k in recipe.caption.kinds])
    return [
        *before,
        Barrier(PackReduce.of(recipe.export, before, reviewed_texts(released_texts(choice), restores=True))),
        segment("export", [exporting], over=Placement),
        features,
        FinishRelease(
            recipe, tuple(before), lambda views, facts: refined_files(views, facts, recipe, parts), beside=(features,)
        ),
    ]


LAION_REFINED = Product(
    name="refine",
    recipe=RefineLaion,
    about="Raw image-text lists in, training-ready datasets out.",
    source="lists (Parquet, TSV, CSV, JSON lines, JSON, lines of addresses in .txt; plain or packed by gzip), "
    "folders of images, tars of WebDataset or img2dataset, or a release of ours; a path, a glob or any fsspec URL",
    steps=steps,
)
