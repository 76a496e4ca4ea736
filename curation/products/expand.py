"""Expansion data: large pictures with windows, a caption of the whole, of each window, and of what may come next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from curation.caption.caption_repeats_stage import CaptionRepeatReduce
from curation.caption.choice import Choice
from curation.core.run import Barrier, Step, parts_of, segment
from curation.expand.consistent_stage import ConsistentStage
from curation.expand.imagine_stage import ImagineStage
from curation.expand.local_stage import LocalStage
from curation.expand.windows_stage import OfWindows, WindowsStage, kind_of, spread
from curation.features.features_stage import features_step
from curation.products.product import Product, gathering_steps
from curation.products.refine import caption_stages
from curation.release.expand_card import expand_files
from curation.release.export_stage import ExportStage
from curation.release.finish import FinishRelease
from curation.release.pack_stage import PackReduce
from curation.scores.chosen import ChosenScores
from curation.sources.plan_stage import Planning
from schemas.expand import GLOBAL, LOCAL, ExpandImages
from schemas.records import Placement, SourceRow

T = TypeVar("T")
# A picture is released with its global caption; those of its windows stand beside their boxes.
_TEXTS = "SELECT * REPLACE (to_json(map([caption_kind], [caption]))::VARCHAR AS captions) FROM ({texts})"


def steps(recipe: ExpandImages, specs: Sequence[str] = ()) -> list[Step]:
    """The steps of a run, each over before the next begins; within a segment, shards stream."""
    choice = Choice.of(recipe)
    repeats = (recipe.consistency.shingle, recipe.consistency.max_shared)
    scores = ChosenScores.of(recipe.scores)
    before = [
        *gathering_steps(recipe, Planning(recipe.source, tuple(specs)), scores.in_download),
        scores.step,
        segment(
            "windows",
            [
                scores.limits,
                WindowsStage(recipe.windows),
                *caption_stages(by_window(recipe), choice, OfWindows(), scores.passed),
                LocalStage(recipe.windows.fewest_captions, *repeats, verified=recipe.verify.enabled),
            ],
            over=SourceRow,
        ),
        # Of its own, so that the captioner's GPUs are free for the language model.
        segment(
            "imagine",
            [
                ImagineStage.declared(recipe.imagine, recipe.llm, recipe.run.stop_at_share, recipe.check.language),
                ConsistentStage.declared(recipe),
            ],
            over=SourceRow,
        ),
        Barrier(CaptionRepeatReduce.declared(recipe.caption_repeats, choice)),
    ]
    parts, features = tuple(parts_of(before)), features_step(recipe.features, [GLOBAL])
    return [
        *before,
        Barrier(PackReduce.of(recipe.export, before, _TEXTS.format(texts=choice.texts()))),
        segment("export", [ExportStage(recipe.export.images)], over=Placement),
        features,
        FinishRelease(
            recipe, tuple(before), lambda views, facts: expand_files(views, facts, recipe, parts), beside=(features,)
        ),
    ]


def by_window(recipe: ExpandImages) -> ExpandImages:
    """The recipe with a kind of caption for each window in the place of the local one."""
    most = recipe.windows.most
    caption = recipe.caption.model_copy(
        update={"kinds": spread(recipe.caption.kinds, most), "lengths": _each(recipe.caption.lengths, most)}
    )
    limits = {"min_words": _each(recipe.check.min_words, most), "max_words": _each(recipe.check.max_words, most)}
    return recipe.model_copy(update={"caption": caption, "check": recipe.check.model_copy(update=limits)})


def _each(by_kind: Mapping[str, T], most: int) -> dict[str, T]:
    rest = {kind: value for kind, value in by_kind.items() if kind != LOCAL}
    return rest | ({kind_of(i): by_kind[LOCAL] for i in range(most)} if LOCAL in by_kind else {})


EXPANSION = Product(
    name="expand",
    recipe=ExpandImages,
    about="Large pictures with square windows: a caption of the whole, of each window, and of what may come next.",
    source="lists, globs, folders, tars, any fsspec URL",
    steps=steps,
)
