"""SQL: the texts with which a sample is released, by the choice of its caption."""

from __future__ import annotations

from curation.caption.choice import Choice

_TEXTS = """
WITH passed AS (
    SELECT sample_id, to_json(map(list(kind ORDER BY kind), list(caption ORDER BY kind)))::VARCHAR AS captions
    FROM (
        SELECT k.sample_id, k.kind, coalesce(x.caption, k.caption) AS caption
        FROM caption_checks k LEFT JOIN verified_captions x USING (sample_id, kind)
        WHERE k.passed AND coalesce(x.passed, {unverified})
    ) LEFT JOIN scores USING (sample_id, kind)
    ANTI JOIN (FROM caption_repeats WHERE {repeats_reject}) USING (sample_id, kind)
    -- What choices asks of a caption that is released: as like the image as the recipe demands.
    WHERE caption IS NOT NULL AND kind <> 'alt_text' AND {similar}
    GROUP BY sample_id
), likeness AS (
    SELECT sample_id, kind, similarity FROM scores WHERE {scored}
)
SELECT
    v.sample_id, coalesce(a.words, 0) AS alt_text_words, coalesce(a.clip_tokens, 0) AS alt_text_clip_tokens,
    coalesce(x.caption, k.caption, v.alt_text) AS caption, v.kind AS caption_kind,
    coalesce(x.words, k.words) AS words, coalesce(x.clip_tokens, k.clip_tokens) AS clip_tokens,
    CASE WHEN x.caption IS NULL THEN k.sentence_end_77 ELSE x.sentence_end_77 END AS sentence_end_77,
    coalesce(p.captions, '{{}}') AS captions,
    coalesce(c.prompt, '') AS prompt, coalesce(c.model, '') AS model,
    s.similarity, t.similarity AS alt_text_similarity
FROM verdicts v
JOIN caption_checks k ON k.sample_id = v.sample_id AND k.kind = v.kind
LEFT JOIN verified_captions x ON x.sample_id = v.sample_id AND x.kind = v.kind
LEFT JOIN caption_checks a ON a.sample_id = v.sample_id AND a.kind = 'alt_text'
LEFT JOIN captions c ON c.sample_id = v.sample_id AND c.kind = v.kind
LEFT JOIN likeness s ON s.sample_id = v.sample_id AND s.kind = v.kind
LEFT JOIN likeness t ON t.sample_id = v.sample_id AND t.kind = 'alt_text'
LEFT JOIN passed p ON p.sample_id = v.sample_id
WHERE v.through
"""


def released_texts(choice: Choice) -> str:
    """SQL: what a sample that passed is released with (see ``release.placing.find_kept``)."""
    return _TEXTS.format(
        similar=choice.similar("similarity"),
        scored="true" if choice.scored else "false",
        unverified="false" if choice.verified else "true",
        repeats_reject="true" if choice.repeats_reject else "false",
    )
