"""Whole runs of dense_prompts without Prefect, with the demo world's writer in the place of a language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from curation.catalog import refresh
from curation.core.engines.local import LocalEngine
from curation.core.job import Outcome
from curation.core.lock import hold
from curation.core.pipeline import Engine
from curation.core.root import resolve_recipe, write_recipe
from curation.core.store import Store
from curation.demo.prompt_server import PromptServer
from curation.products.dense_prompts import DENSE_PROMPTS
from schemas.dense_prompts import DensePrompts

Spoil = Callable[[str, dict[str, Any]], Any]


def quick(server: PromptServer, size: int = 12) -> list[str]:
    """Settings of a small run against the server."""
    return [
        *(
            "source.seeds=demo",
            "llm.backend=server",
            f"llm.model={PromptServer.MODEL}",
            f'llm.endpoints=["{server.url}"]',
        ),
        *(f"quotas.size={size}", "source.shard_rows=5", "llm.retries=0", "run.stop_at_share=1"),
    ]


def prompts(
    root: str, settings: Sequence[str], source: Sequence[str] = (), engine: Engine | None = None
) -> list[Outcome]:
    """Runs all steps to the end; returns every shard's outcome."""
    store = Store(root)
    recipe = resolve_recipe(DensePrompts, store, None, settings)
    steps = DENSE_PROMPTS.ready(recipe, source, store)
    seen: list[Outcome] = []
    with hold(store):
        write_recipe(store, recipe)
        for step in (s for s in steps if s.on):
            step.run(store, engine or LocalEngine(), seen.append)
    refresh(store)
    return seen
