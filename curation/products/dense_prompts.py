"""DensePrompts: evaluation prompts by category, each with questions that take it apart."""

from __future__ import annotations

from collections.abc import Sequence

from curation.core.run import Barrier, Step, segment
from curation.dense_prompts.place_reduce import PlaceReduce
from curation.dense_prompts.release_stage import ReleaseStage
from curation.dense_prompts.write_step import WritePrompts
from curation.products.product import Product
from curation.release.finish import FinishRelease
from curation.release.prompts_card import prompt_facts, prompt_files
from schemas.dense_prompts import DensePrompts
from schemas.prompt_records import PlacedPrompt


def steps(recipe: DensePrompts, specs: Sequence[str] = ()) -> list[Step]:
    """The steps of a run; ``specs`` are roots whose dense captions are rewritten."""
    writing = WritePrompts.of(recipe, specs)
    before = (writing, Barrier(PlaceReduce(recipe.export.shard_size, recipe.source.seed)))
    return [
        *before,
        segment("export", [ReleaseStage()], over=PlacedPrompt),
        FinishRelease(
            recipe,
            before,
            lambda views, facts: prompt_files(views, facts, recipe, writing.quotas()),
            facts=prompt_facts,
        ),
    ]


DENSE_PROMPTS = Product(
    name="dense_prompts",
    recipe=DensePrompts,
    about="Evaluation prompts by category, each with questions that take it apart.",
    source="roots of refine or anchor whose dense captions are rewritten; without it, seeds alone make the prompts",
    steps=steps,
    example="quotas.size=100",
)
