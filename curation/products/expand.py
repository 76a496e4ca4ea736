"""Expansion data: large pictures with windows, a caption of the whole, of each window, and of what may come next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from curation.caption.caption_repeats_stage import CaptionRepeatReduce
from curation.caption.choice import Choice
from curation.caption.released_texts import released_texts
from curation.core.run import Barrier, Step, parts_of, segment
from curation.expand.consistent_stage import ConsistentStage
from curation.expand.imagine_stage import ImagineStage
from curation.expand.local_stage import LocalStage
from curation.expand.parts_stage import OfParts, PartsStage, part_of, with_parts
from curation.expand.windows_stage import OfWindows, WindowsStage, kind_of, spread
from curation.features.features_stage import features_step
from curation.features.visual_stage import visual_step
from curation.products.pictures import ChosenPictures, balance_of_captions
from curation.products.product import Product
from curation.products.refine import caption_stages
from curation.release.expand_card import expand_files
from curation.release.export_stage import ExportStage
from curation.release.finish import FinishRelease
from curation.release.pack_stage import PackReduce
from curation.release.top_reduce import TopReduce
from curation.reviews.review_step import ReviewReduce, ReviewStep
from curation.reviews.texts import reviewed_texts
from schemas.expand import GLOBAL, JOINED, LOCAL, ExpandImages, Parts
from schemas.records import Placement, SourceRow

T = TypeVar("T")
# A picture is released with its global caption; those of its windows stand beside their boxes.
_TEXTS = "SELECT * REPLACE (to_json(map([caption_kind], [caption]))::VARCHAR AS captions) FROM ({texts})"
_JOINED_TEXTS = (
    "SELECT * REPLACE ('global' AS caption_kind, to_json(map(['global'], [caption]))::VARCHAR AS captions) "
    "FROM ({texts})"
)


def steps(recipe: ExpandImages, specs: Sequence[str] = ()) -> list[Step]:
    """The steps of a run, each over before the next begins; within a segment, shards stream."""
    choice, asked = _choice(recipe), by_window(recipe)
    joins = PartsStage(recipe.parts, tuple(k for k in asked.caption.kinds if k.kind in (part_of(0), JOINED)))
    repeats = (recipe.consistency.shingle, recipe.consistency.max_shared)
    pictures = ChosenPictures.of(recipe, specs)
    before: list[Step] = [
        *pictures.steps,
        segment(
            "windows",
            [
                *pictures.limits,
                WindowsStage(recipe.windows),
                joins,
                *caption_stages(asked, choice, OfParts() if joins.on else OfWindows(), pictures.passed),
                LocalStage(recipe.windows.fewest_captions, *repeats, verified=recipe.verify.enabled, parts=joins.on),
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
        ReviewStep(ReviewReduce(restores=False)),
    ]
    before += balance_of_captions(recipe, before)
    before = [*before, Barrier(TopReduce.of(recipe.export, before))]
    exporting, features = ExportStage.of(recipe.export, recipe.download), features_step(recipe.features, [GLOBAL])
    parts = (*parts_of(before), *exporting.adds)
    visual = visual_step(recipe.visual, recipe.windows.most)
    texts = (_JOINED_TEXTS if joins.on else _TEXTS).format(texts=released_texts(choice))
    return [
        *before,
        Barrier(PackReduce.of(recipe.export, before, reviewed_texts(texts, restores=False))),
        segment("export", [exporting], over=Placement),
        features,
        visual,
        FinishRelease(
            *(recipe, tuple(before), lambda views, facts: expand_files(views, facts, recipe, parts)),
            beside=(features, visual),
        ),
    ]


def _choice(recipe: ExpandImages) -> Choice:
    """The global caption, or the one that is joined for a long picture: no picture has both."""
    choice = Choice.of(recipe)
    return replace(choice, prefer=(*choice.prefer, JOINED)) if recipe.parts.max_aspect else choice


def by_window(recipe: ExpandImages) -> ExpandImages:
    """The recipe with a kind of caption for each window in the place of the local one, and with those of parts.

    A joined caption may be as long as a global one.
    """
    most = recipe.windows.most
    kinds = spread(with_parts(recipe.caption.kinds, recipe.parts), most)
    lengths = {
        kind: pairs for kind, pairs in recipe.caption.lengths.items() if kind != JOINED or recipe.parts.max_aspect
    }
    caption = recipe.caption.model_copy(update={"kinds": kinds, "lengths": _each(lengths, most)})
    limits = {
        key: _joining(_each(getattr(recipe.check, key), most), recipe.parts) for key in ("min_words", "max_words")
    }
    return recipe.model_copy(update={"caption": caption, "check": recipe.check.model_copy(update=limits)})


def _each(by_kind: Mapping[str, T], most: int) -> dict[str, T]:
    rest = {kind: value for kind, value in by_kind.items() if kind != LOCAL}
    return rest | ({kind_of(i): by_kind[LOCAL] for i in range(most)} if LOCAL in by_kind else {})


def _joining(by_kind: dict[str, int], parts: Parts) -> dict[str, int]:
    return {JOINED: by_kind[GLOBAL], **by_kind} if parts.max_aspect and GLOBAL in by_kind else by_kind


EXPANSION = Product(
    name="expand",
    recipe=ExpandImages,
    about="Large pictures with square windows: a caption of the whole, of each window, and of what may come next.",
    source="lists (Parquet, TSV, CSV, JSON lines, JSON, lines of addresses in .txt; plain or packed by gzip), "
    "folders of images, tars of WebDataset or img2dataset, or a release of ours; a path, a glob or any fsspec URL",
    steps=steps,
)
