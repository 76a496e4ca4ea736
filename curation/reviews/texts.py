"""SQL: the texts of people among those that are released."""

from __future__ import annotations

_EDITED = """
WITH unedited AS ({texts})
SELECT t.* REPLACE (
    {caption} AS caption, {words} AS words, {clip_tokens} AS clip_tokens, {sentence_end_77} AS sentence_end_77,
    CASE WHEN e.text IS NULL THEN t.captions
        ELSE json_merge_patch(t.captions::JSON, json_object(t.caption_kind, e.text))::VARCHAR END AS captions,
    -- No model wrote it, and nobody compared it with the image.
    CASE WHEN e.text IS NULL THEN t.prompt ELSE '' END AS prompt,
    CASE WHEN e.text IS NULL THEN t.model ELSE '' END AS model,
    CASE WHEN e.text IS NULL THEN t.similarity END AS similarity
)
FROM unedited t LEFT JOIN (FROM reviewed WHERE kept AND edited) e USING (sample_id)
"""
_RESTORED = """
UNION ALL BY NAME
SELECT
    v.sample_id, coalesce(a.words, 0) AS alt_text_words, coalesce(a.clip_tokens, 0) AS alt_text_clip_tokens,
    e.text AS caption, coalesce(e.kind, '') AS caption_kind, e.words, e.clip_tokens, e.sentence_end_77,
    json_object(coalesce(e.kind, ''), e.text)::VARCHAR AS captions,
    CASE WHEN e.edited THEN '' ELSE coalesce(c.prompt, '') END AS prompt,
    CASE WHEN e.edited THEN '' ELSE coalesce(c.model, '') END AS model,
    NULL::FLOAT AS similarity, NULL::FLOAT AS alt_text_similarity
FROM verdicts v JOIN (FROM reviewed WHERE kept AND text IS NOT NULL) e ON e.sample_id = v.sample_id
LEFT JOIN caption_checks a ON a.sample_id = v.sample_id AND a.kind = 'alt_text'
LEFT JOIN captions c ON c.sample_id = v.sample_id AND c.kind = e.kind
WHERE v.through AND v.sample_id NOT IN (SELECT sample_id FROM unedited)
"""
_COUNTS = ("caption", "words", "clip_tokens", "sentence_end_77")


def reviewed_texts(texts: str, *, restores: bool) -> str:
    """What samples are released with (see ``release.placing.find_kept``), where people edited captions.

    With ``restores``, samples come back that a keep or an edit brought back and that ``texts`` has no text for.
    """
    own = {c: f"CASE WHEN e.text IS NULL THEN t.{c} ELSE e.{'text' if c == 'caption' else c} END" for c in _COUNTS}
    return _EDITED.format(texts=texts, **own) + (_RESTORED if restores else "")
