"""The steps of a product that follow from its recipe's embeddings."""

from __future__ import annotations

from curation.core.run import Barrier, Step, segment
from curation.embed.embed_stage import EmbedStage
from curation.embed.semantic_reduce import SemanticReduce
from schemas.arrow import Record
from schemas.embed import Embed, SemanticDuplicate
from schemas.records import SourceRow


def embed_steps(recipe: Embed) -> list[Step]:
    """Embeddings, then semantic duplicates: behind dedupe, before any model is asked for captions."""
    return [
        segment("embed", [EmbedStage.declared(recipe)], over=SourceRow),
        Barrier(SemanticReduce.of(recipe)),
    ]


def passed_of(recipe: Embed) -> tuple[type[Record], ...]:
    """The record whose rejected samples no captioner is asked about."""
    return (SemanticDuplicate,) if SemanticReduce.of(recipe).rejects else ()
