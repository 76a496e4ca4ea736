"""The card's sections on features: which models encoded captions, windows or pictures, and how to load their states."""

from __future__ import annotations

import duckdb

from curation.features.expected import size
from curation.release.markdown import cell
from schemas.features import Features
from schemas.visual import Visual

_KINDS = """
SELECT kind, count(*), avg(tokens), quantile_disc(tokens, 0.95), count(*) FILTER (cut > 0), sum(cut)
FROM features SEMI JOIN released USING (sample_id, shard) GROUP BY kind ORDER BY kind
"""
_STORED = """
SELECT any_value(encoder), count(*), sum(bytes)
FROM (SELECT DISTINCT shard, caption_sha256, bytes, encoder FROM features SEMI JOIN released USING (sample_id, shard))
"""
_LOOKS = """
SELECT look, count(DISTINCT sample_id), count(*) FROM visual SEMI JOIN released USING (sample_id, shard)
GROUP BY look ORDER BY look
"""
_LOOKED = """
SELECT any_value(encoder), count(*), sum(bytes), any_value(tokens)
FROM (
    SELECT DISTINCT shard, look_sha256, bytes, encoder, tokens FROM visual SEMI JOIN released USING (sample_id, shard)
)
"""


def features_section(connection: duckdb.DuckDBPyConnection, recipe: Features) -> str:
    """The section; empty where the recipe asks for no features or none are there."""
    if not recipe.model:
        return ""
    encoder, captions, stored = connection.execute(_STORED).fetchone() or (None, 0, 0)
    if not captions:
        return ""
    prefix = f", behind the prefix {cell(recipe.prefix)}" if recipe.prefix else ""
    lines = [
        "## Features",
        "",
        f"`features/` has the hidden states of {cell(encoder)} (layer {recipe.layer}, {recipe.stored}, at most "
        f"{recipe.max_tokens} tokens or what the checkpoint takes{prefix}) for {captions} different captions and the "
        f"empty prompt: {size(stored)}, valid tokens only. A file stands beside each tar; a caption's states are found "
        "by the sha256 of its text.",
        "",
        "| caption | samples | tokens: mean | p95 | cut | tokens left out |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for kind, count, mean, high, cut, left in connection.execute(_KINDS).fetchall():
        lines.append(f"| {cell(kind)} | {count} | {mean:.1f} | {high} | {cut} | {left} |")
    lines += [
        "",
        "```python",
        "from curation.loader import load",
        "",
        'for sample in load(".", split="train", features=True):',
        '    sample["features"], sample["features_mask"]  # of the caption that was drawn, padded',
        "```",
    ]
    return "\n".join(lines)


def visual_section(connection: duckdb.DuckDBPyConnection, recipe: Visual) -> str:
    """The section on states of a vision model; empty where the recipe asks for none or none are there."""
    if not recipe.model:
        return ""
    encoder, looks, stored, tokens = connection.execute(_LOOKED).fetchone() or (None, 0, 0, 0)
    if not looks:
        return ""
    what = "the pooled state" if recipe.keep == "pooled" else f"{tokens} states of layer {recipe.layer}"
    lines = [
        "## Visual features",
        "",
        f"`visual/` has {what} of {cell(encoder)} ({recipe.stored}) for {looks} different looks: {size(stored)}. A "
        "file stands beside each tar. `visible` is a window that is grey where it is to be painted, `window` a whole "
        "one, `picture` the whole picture, in a grey square where it is not square.",
        "",
        "| look | pictures | looks |",
        "|---|---:|---:|",
        *(f"| {look} | {pictures} | {count} |" for look, pictures, count in connection.execute(_LOOKS).fetchall()),
        "",
        "```python",
        "from curation.load.expansion import load_windows",
        "",
        f'for sample in load_windows(".", split="train", visual="{recipe.looks[0]}"):',
        '    sample["visual"]  # (tokens, width), of the window that was drawn',
        "```",
    ]
    return "\n".join(lines)
