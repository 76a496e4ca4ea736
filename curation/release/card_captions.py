"""The card's section on captions."""

from __future__ import annotations

from itertools import pairwise

import duckdb

from curation.caption.check.repeated import repeated_captions, repeated_openings
from curation.release.facts import TOKEN_LIMITS, ReleaseFacts
from curation.release.markdown import cell, share
from schemas.refine import RefineLaion

# A joined caption is released as the global one of its picture (``curation.expand.parts_stage``).
_IS_RELEASED = "(kind = caption_kind OR (kind = 'joined' AND caption_kind = 'global'))"
_MODELS = f"""
SELECT c.kind, c.prompt, c.model, c.model_revision, count(*)
FROM captions c
JOIN placements p ON p.sample_id = c.sample_id AND {_IS_RELEASED}
JOIN released r ON r.sample_id = p.sample_id AND r.shard = p.shard
GROUP BY ALL ORDER BY ALL
"""  # noqa: S608  # of our own
_QUALITY = """
SELECT kind, model, prompt, captions, top_opening, top_opening_share, top_ten_share, distinct_openings,
    p5_words, p25_words, median_words, p75_words, p95_words, within_77_share,
    statements_a_caption, verified_share, dropped_share
FROM caption_quality WHERE captions > 0
"""
_VERIFIED = f"""
SELECT count(*) FILTER (probability IS NOT NULL), count(*) FILTER (verdict = 'true'), count(*)
FROM statements JOIN placements USING (sample_id) WHERE {_IS_RELEASED}
"""  # noqa: S608  # likewise
_CANDIDATES = """
SELECT count(*) FILTER (rank = 0), count(*) FILTER (rank = 0 AND candidate > 0),
    count(*) FILTER (rank = 0 AND NOT passed),
    sum(true_statements) / nullif(sum(statements), 0),
    sum(true_statements) FILTER (rank = 0) / nullif(sum(statements) FILTER (rank = 0), 0)
FROM ranked_candidates
"""
_DROPPED = f"""
SELECT coalesce(sum(dropped), 0)::BIGINT, count(*) FILTER (dropped > 0), count(*)
FROM verified_captions JOIN placements USING (sample_id) WHERE {_IS_RELEASED}
"""  # noqa: S608  # likewise


def captions_section(connection: duckdb.DuckDBPyConnection, facts: ReleaseFacts, recipe: RefineLaion) -> str:
    """Who wrote the captions, their lengths and quality, what verification found, and what repeats."""
    lines = ["## Captions", "", "| kind | prompt | model | revision | samples |", "|---|---|---|---|---:|"]
    for kind, prompt, model, revision, count in connection.execute(_MODELS).fetchall():
        lines.append(f"| {kind} | {cell(prompt)} | {cell(model)} | {cell(revision)} | {count} |")
    scorers = connection.execute("SELECT DISTINCT model FROM scores ORDER BY model").fetchall()
    scored_by = ", ".join(model for (model,) in scorers if recipe.scores.model)
    sampling = {
        k: v for k, v in recipe.caption.deciding().items() if k in ("temperature", "top_p", "repetition_penalty")
    }
    sampled = ", ".join(f"{key} {value:g}" for key, value in sampling.items())
    lines += ["", f"Sampling: {sampled}. Image-text similarity by: {scored_by or 'not computed'}.", ""]
    lines += lengths(facts)
    lines += _verification(connection, recipe)
    lines += _quality(connection)
    lines += _repeats(connection, recipe)
    lines += ["", "`sentence_end_77` is the number of characters up to the last full sentence within those 77 tokens."]
    return "\n".join(lines)


def lengths(facts: ReleaseFacts) -> list[str]:
    """Lengths of the texts by kind, in words and CLIP tokens, and how they lie about the 77 that CLIP takes."""
    lines = ["| text | samples | words: mean | p5 | median | p95 | CLIP tokens: median | p95 | beyond CLIP's 77 |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for c in facts.captions:
        lines.append(
            f"| {c.kind} | {c.count} | {c.mean_words:.1f} | {c.p5_words} | {c.median_words} | {c.p95_words} "
            f"| {c.median_clip_tokens} | {c.p95_clip_tokens} | {c.beyond_77:.1%} |"
        )
    steps = [f"{low + 1} to {high}" for low, high in zip((0, *TOKEN_LIMITS), TOKEN_LIMITS, strict=False)]
    lines += ["", f"| CLIP tokens with start and end | {' | '.join(steps)} | more |"]
    lines.append(f"|---|{'---:|' * (len(steps) + 1)}")
    for c in facts.captions:
        bounds = (0, *c.up_to, c.count)
        shares = [share(high - low, c.count) for low, high in pairwise(bounds)]
        lines.append(f"| {c.kind} | {' | '.join(shares)} |")
    return lines


def _quality(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """How varied, long and true the captions are that passed the check, those beside the released ones included."""
    lines = [
        "",
        "Quality of all captions that passed the check, by kind, model and prompt (view `caption_quality`):",
        "",
    ]
    lines.append(
        "| kind | model | prompt | captions | most frequent opening of three words | its share | share of the ten most "
        "frequent | distinct openings | words: p5 | p25 | median | p75 | p95 | within CLIP's 77 tokens "
        "| statements a caption | verified | dropped |"
    )
    lines.append("|---|---|---|---:|---|" + "---:|" * 12)
    for kind, model, prompt, captions, opening, *rest in connection.execute(_QUALITY).fetchall():
        share, ten, distinct, *words, within, statements, verified, dropped = rest
        cells = [
            kind,
            cell(model),
            cell(prompt),
            captions,
            cell(opening or ""),
            _share(share),
            _share(ten),
            distinct,
        ]
        cells += [*words, _share(within), "" if statements is None else f"{statements:.1f}"]
        lines.append("| " + " | ".join(map(str, [*cells, _share(verified), _share(dropped)])) + " |")
    return lines


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _repeats(connection: duckdb.DuckDBPyConnection, recipe: RefineLaion) -> list[str]:
    """Captions and openings that many different images share, the worst first."""
    lines: list[str] = []
    if worst := repeated_captions(connection):
        lines += ["", "Repeated captions, each of them of many different images, as a fault of the model makes them:"]
        lines += ["", "| images | caption |", "|---:|---|"]
        lines += [f"| {r.images} | {cell(r.text[:300])} |" for r in worst]
    if openings := repeated_openings(connection):
        lines += ["", "Repeated openings, each of them of the captions of many different images:"]
        lines += ["", "| images | opening |", "|---:|---|"]
        lines += [f"| {r.images} | {cell(r.text)} |" for r in openings]
    limits = recipe.caption_repeats
    (beyond,) = connection.execute("SELECT count(*) FROM caption_repeats").fetchone() or (0,)
    if beyond:
        fate = "none of them was released" if limits.policy == "reject" else "they were recorded, not rejected"
        at = [
            f"their text with more than {limits.max_images} different images" if limits.max_images else "",
            f"their first eight words with more than {limits.max_opening_images}" if limits.max_opening_images else "",
        ]
        lines += ["", f"{beyond} captions share {' or '.join(filter(None, at))} (`caption_repeats`); {fate}."]
    return lines


def _candidates(connection: duckdb.DuckDBPyConnection, recipe: RefineLaion) -> list[str]:
    """What was chosen from, where several captions of a kind were asked for."""
    if recipe.verify.samples == 1:
        return []
    found = connection.execute(_CANDIDATES).fetchone() or (0, 0, 0, None, None)
    captions, others, refused, all_true, best_true = found
    return [
        "",
        f"The captions are the best of {recipe.verify.samples} candidates each, by the share of their statements that "
        f"are true (tables `candidates` and `ranked_candidates`): {_share(best_true) or 'none'} of the statements of "
        f"{captions} best candidates, {_share(all_true) or 'none'} of those of all; another one than the first was "
        f"taken for {others}, and {refused} had no candidate that might be released.",
    ]


def _verification(connection: duckdb.DuckDBPyConnection, recipe: RefineLaion) -> list[str]:
    """What a second look at the images found in the captions that were released."""
    if not recipe.verify.enabled:
        return ["", "Captions were not verified against their images."]
    asked, true, statements = connection.execute(_VERIFIED).fetchone() or (0, 0, 0)
    dropped, cut, captions = connection.execute(_DROPPED).fetchone() or (0, 0, 0)
    models = connection.execute("SELECT DISTINCT model, prompt FROM statements ORDER BY ALL").fetchall()
    by = "; ".join(f"{cell(model)} with prompt {cell(prompt)}" for model, prompt in models) or "no model"
    share = f" ({true / asked:.1%})" if asked else ""
    return [
        *_candidates(connection, recipe),
        "",
        f"Verification: the released captions had {statements} statements; {asked} were put to {by}, and {true}{share} "
        f"were found true. {dropped} statements were cut out of {cut} of {captions} captions.",
    ]
