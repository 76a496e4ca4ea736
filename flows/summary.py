"""What a run will do, and what it came to, for people."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.table import Table

from curation.catalog import connect
from curation.core.store import Store
from curation.dedupe.across.removed import chance
from curation.products.refine import Refinement
from curation.sources.preview import preview

# Exported JPEGs of 512 px at quality 95 weigh about this much each; the source does not say.
_BYTES_AN_IMAGE = 90_000


def describe(refinement: Refinement, store: Store) -> str:
    """What would happen: rows by dialect, the metadata filters' funnel, shards, bytes, tokens. Touches nothing."""
    recipe = refinement.recipe
    seen = preview(refinement.sources, recipe.source)
    lines = [f"root        {store.url}{'' if store.exists('recipe.toml') else ' (new)'}"]
    lines += [f"source      {rows:>12,} rows of {dialect}" for dialect, rows in seen.rows.items()]
    lines += [f"shards      {seen.shards:>12,} of up to {recipe.source.shard_rows:,} rows"]
    if not seen.exact:
        lines += [f"judged      {seen.judged:>12,} rows; what follows is an estimate from them"]
    for step in seen.funnel:
        lines += [f"  rejected  {step.rejected:>12,} {step.reason}, {step.left:,} left"]
    lines += [f"to fetch    {seen.passing:>12,} images, before repeats are taken out"]
    lines += [
        f"to store    {seen.passing * _BYTES_AN_IMAGE / 1e9:>12,.2f} GB of images twice (prepared, released), at most"
    ]
    if recipe.dedupe.enabled:
        lines += [f"to compare  {chance(seen.passing, recipe.dedupe)}"]
    model = refinement.recaption.model
    tokens = sum(k.max_tokens for k in recipe.caption.kinds)
    lines += [f"to caption  {seen.passing:>12,} images in {len(recipe.caption.kinds)} kinds by {model.name}, at most"]
    lines += [f"            {seen.passing * tokens:>12,} reply tokens, at most"]
    lines += ["Nothing was fetched and nothing was written."]
    return "\n".join(lines)


def funnel(store: Store) -> list[dict[str, str | int]]:
    """Every source row by stage, fate and reason, in the order of the stages."""
    with connect(store.url) as catalog:
        found = catalog.execute("SELECT stage, fate, coalesce(reason, '') AS reason, rows FROM funnel").fetchall()
    return [dict(zip(("stage", "fate", "reason", "rows"), row, strict=True)) for row in found]


def print_summary(store: Store, console: Console | None = None) -> None:
    """The funnel of a root, from source to release, and where to look."""
    console = console or Console()
    steps = funnel(store)
    total = sum(int(step["rows"]) for step in steps)
    table = Table(title=f"{total:,} source rows", title_justify="left")
    for name in ("stage", "fate", "reason"):
        table.add_column(name)
    table.add_column("rows", justify="right")
    table.add_column("share", justify="right")
    for step in steps:
        rows = int(step["rows"])
        told = (str(step[name]) for name in ("stage", "fate", "reason"))
        table.add_row(*told, f"{rows:,}", f"{rows / max(1, total):.1%}")
    console.print(table)
    for split, samples, shards in _splits(store):
        console.print(f"{split}: {samples:,} samples in {shards:,} shards", highlight=False)
    query = "select alt_text, caption from samples where fate = 'kept'"
    console.print(
        f"release:  {store.url}/release (README.md, croissant.json, SHA256SUMS, metadata/)\n"
        f'ask:      python -m curation.catalog {shlex.quote(store.url)} "{query}"',
        highlight=False,
        markup=False,
        soft_wrap=True,  # a command is to be copied whole
    )


def _splits(store: Store) -> list[tuple[str, int, int]]:
    with connect(store.url) as catalog:
        found: list[tuple[str, int, int]] = catalog.execute(
            "SELECT split, count(*), count(DISTINCT shard) FROM released GROUP BY split ORDER BY 2 DESC"
        ).fetchall()
    return found
