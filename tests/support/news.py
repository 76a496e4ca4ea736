"""A small newsroom and whole runs over it, without Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from curation.catalog import refresh
from curation.core.engines.local import LocalEngine
from curation.core.job import Outcome
from curation.core.lock import hold
from curation.core.root import resolve_recipe, write_recipe
from curation.core.store import Store
from curation.demo.newsroom import write_newsroom
from curation.products.anchor import ANCHOR, leaks
from schemas.anchor import BuildAnchor

QUICK = (
    *("source.shard_rows=12", "export.shard_size=10", "export.val=0.2", "export.test=0.2"),
    *("caption.backend=scripted", "llm.backend=scripted", "download.workers=1"),
)


def newsroom(folder: Path, scenes: int = 50) -> list[str]:
    return [str(f) for f in write_newsroom(folder, seed=5, scenes=scenes)]


def anchor(root: str, source: Sequence[str], settings: Sequence[str] = ()) -> list[Outcome]:
    """Runs all steps to the end; returns every shard's outcome."""
    store = Store(root)
    recipe = resolve_recipe(BuildAnchor, store, None, [*QUICK, *settings])
    steps = ANCHOR.ready(recipe, source, store)
    seen: list[Outcome] = []
    with hold(store):
        write_recipe(store, recipe)
        for step in (s for s in steps if s.on):
            step.run(store, LocalEngine(), seen.append)
    refresh(store)
    assert leaks(store, recipe) == []
    return seen
