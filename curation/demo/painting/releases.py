"""Makes releases of the corner by the pipeline itself, in this process: every arm of a comparison is a recipe."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curation.catalog import conservation, refresh
from curation.core.engines.local import LocalEngine
from curation.core.errors import LapidaryError
from curation.core.job import Outcome
from curation.core.lock import hold
from curation.core.root import resolve_recipe, write_recipe
from curation.core.store import Store
from curation.demo.painting.corner import TILES
from curation.products.anchor import ANCHOR
from curation.products.expand import EXPANSION
from curation.products.product import Product
from curation.products.refine import LAION_REFINED

_ALL = (
    "export.val=0",
    "export.test=0",
    "export.shard_size=500",
    "source.shard_rows=500",
    "download.workers=1",
    "download.threads=2",
)
_SETTINGS = (*_ALL, "caption.model=demo", "source.max_text_repeats=0")
SETTINGS = (
    *_SETTINGS,
    'caption.kinds=[{kind = "short", prompt = "short", max_tokens = 64}]',
    'export.prefer=["short"]',
)
"""What the releases have in common: short captions of the demo captioner, and all samples to train on."""
WIDE_SETTINGS = (
    *_SETTINGS,
    'caption.kinds=[{kind = "global", prompt = "short", max_tokens = 80}, '
    '{kind = "local", prompt = "short", max_tokens = 64}]',
    *("windows.share=1", f"windows.most={TILES - 1}", 'windows.sides=["right"]'),
    "consistency.max_shared=1",  # what both say of a plain world are the same few words
    "imagine.enabled=false",
    "parts.max_aspect=0",  # the demo captioner cannot join captions
)
"""Those of wide pictures: a row of windows to the right, all with short captions."""
NEWS_SETTINGS = (*_ALL, "abstraction.literal=false", "llm.model=demo")
"""Those of news: subjects and their weights from the demo captioner's language model."""


def make_release(root: Path, pictures: Path, settings: Sequence[str] = (), like: Path | None = None) -> str:
    """Refines a folder of pictures into a root, and returns the root. What is finished already is not done again.

    ``like`` is a root that differs in ``settings`` only: a new root begins as its copy, so that no picture is
    described twice. Raises ``LapidaryError`` where a shard fails.
    """
    if like is not None and not root.exists():
        shutil.copytree(like, root, ignore=shutil.ignore_patterns("lock.json", "recipe.toml"))
    return _make(LAION_REFINED, root, [pictures], [*SETTINGS, *settings])


def make_expansion(root: Path, pictures: Path, settings: Sequence[str] = ()) -> str:
    """Makes expansion data of a folder of wide pictures likewise."""
    return _make(EXPANSION, root, [pictures], [*WIDE_SETTINGS, *settings])


def make_news(root: Path, sources: Sequence[Path], settings: Sequence[str] = ()) -> str:
    """Makes a release of news with weighted subjects likewise, of folders in the published layouts."""
    return _make(ANCHOR, root, sources, [*NEWS_SETTINGS, *settings])


def _make(product: Product[Any], root: Path, sources: Sequence[Path], settings: Sequence[str]) -> str:
    store = Store(str(root))
    recipe = resolve_recipe(product.recipe, store, None, settings)
    failed: list[Outcome] = []

    def seen(outcome: Outcome) -> None:
        if outcome.status == "failed":
            failed.append(outcome)

    steps = product.ready(recipe, [str(source) for source in sources], store)
    with hold(store):
        write_recipe(store, recipe)
        for step in (s for s in steps if s.on):
            step.run(store, LocalEngine(), seen)
    refresh(store)
    if failed:
        raise LapidaryError(f"{len(failed)} shards of {root} failed, the first: {failed[0].table} {failed[0].error}")
    if not (counts := conservation(store)).ok:
        raise LapidaryError(f"the rows of {root} do not add up: {counts}")
    return str(root)
