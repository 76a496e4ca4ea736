"""The view ``caption_quality``: how varied, long and true the captions are, by kind, model and prompt."""

from __future__ import annotations

from curation.caption.check.repeated import opening_key
from curation.core.verdict import View

_WORDS = 3  # of an opening
_TOP = 10
_CLIP = 75  # CLIP's 77 tokens include a start and an end

_QUERY = f"""
WITH replies AS (
    SELECT c.kind, c.model, c.prompt, coalesce(k.passed AND k.caption IS NOT NULL, false) AS passed,
        {opening_key("coalesce(x.caption, k.caption)", 1, _WORDS)} AS opening,
        coalesce(x.words, k.words) AS words, coalesce(x.clip_tokens, k.clip_tokens) AS clip_tokens,
        x.statements, x.asked, x.false_statements, x.dropped, x.passed AS holds
    FROM captions c
    JOIN caption_checks k USING (sample_id, kind)
    LEFT JOIN verified_captions x USING (sample_id, kind)
    WHERE c.text IS NOT NULL
), openings AS (
    SELECT kind, model, prompt, count(*) AS openings, sum(n)::BIGINT AS opened,
        arg_max(opening, n) AS top, max(n) AS top_n, (sum(n) FILTER (place <= {_TOP}))::BIGINT AS top_ten
    FROM (
        SELECT *, row_number() OVER (PARTITION BY kind, model, prompt ORDER BY n DESC, opening) AS place
        FROM (
            SELECT kind, model, prompt, opening, count(*) AS n
            FROM replies WHERE passed AND opening IS NOT NULL GROUP BY ALL
        )
    ) GROUP BY ALL
), counted AS (
    SELECT kind, model, prompt, count(*) AS replies, count(*) FILTER (passed) AS captions,
        quantile_disc(words, 0.05) FILTER (passed) AS p5_words,
        quantile_disc(words, 0.25) FILTER (passed) AS p25_words,
        quantile_disc(words, 0.5) FILTER (passed) AS median_words,
        quantile_disc(words, 0.75) FILTER (passed) AS p75_words,
        quantile_disc(words, 0.95) FILTER (passed) AS p95_words,
        count(*) FILTER (passed AND clip_tokens <= {_CLIP}) AS within_77,
        count(statements) AS with_statements, sum(statements)::BIGINT AS statements, sum(asked)::BIGINT AS asked,
        sum(false_statements)::BIGINT AS false_statements, sum(dropped)::BIGINT AS dropped,
        count(*) FILTER (NOT holds) AS refuted
    FROM replies GROUP BY ALL
)
SELECT c.kind, c.model, c.prompt, c.replies, c.captions,
    o.top AS top_opening, o.top_n / o.opened AS top_opening_share, o.top_ten / o.opened AS top_ten_share,
    coalesce(o.openings, 0) AS distinct_openings,
    c.p5_words, c.p25_words, c.median_words, c.p75_words, c.p95_words,
    c.within_77 / nullif(c.captions, 0) AS within_77_share,
    c.statements / nullif(c.with_statements, 0) AS statements_a_caption,
    c.asked / nullif(c.statements, 0) AS verified_share,
    c.false_statements / nullif(c.asked, 0) AS false_share,
    c.dropped / nullif(c.statements, 0) AS dropped_share,
    c.refuted / nullif(c.with_statements, 0) AS refuted_share
FROM counted c LEFT JOIN openings o USING (kind, model, prompt)
ORDER BY c.kind, c.model, c.prompt
"""  # noqa: S608  # of our own

QUALITY = View(
    "caption_quality",
    _QUERY,
    "Variety, length and truth of captions by kind, model and prompt; of those that passed the check, after repair and "
    "verification, released or not",
    {
        "kind": "as in captions",
        "model": "as in captions",
        "prompt": "as in captions",
        "replies": "replies with a text that were checked",
        "captions": "of these, captions that passed the check; lengths and openings are theirs",
        "top_opening": "the most frequent first three words, in lower case and without punctuation",
        "top_opening_share": "share of captions that begin with it [0..1]",
        "top_ten_share": "share of captions that begin with one of the ten most frequent openings [0..1]",
        "distinct_openings": "different openings of three words",
        "p5_words": "length that 5 % of the captions do not exceed; characters where words are not separated",
        "p25_words": "likewise 25 %",
        "median_words": "likewise 50 %",
        "p75_words": "likewise 75 %",
        "p95_words": "likewise 95 %",
        "within_77_share": "share of captions within CLIP's 77 tokens, start and end included [0..1]",
        "statements_a_caption": "mean statements of a verified caption, before any was dropped; null without any",
        "verified_share": "share of these statements that were put to a model [0..1]",
        "false_share": "share of statements that were put to a model and are not true of the image [0..1]",
        "dropped_share": "share of all statements that were cut out of captions [0..1]",
        "refuted_share": "share of verified captions that were rejected for their statements [0..1]",
    },
)
