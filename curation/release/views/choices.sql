-- One row for every sample that a model was asked about: what its preferred captions came to.
CREATE VIEW choices AS
WITH candidates AS (
    SELECT sample_id, kind, rank, false AS fallback, text, reason, detail
    FROM captions JOIN preferred USING (kind)
    UNION ALL
    -- The alt text is the last choice, where no caption passed, and none at all unless the recipe asks for it.
    SELECT sample_id, kind, 1000000, true, coalesce(caption, ''), NULL, NULL
    FROM caption_checks WHERE kind = 'alt_text' AND (SELECT alt_text_fallback FROM criteria)
), judged AS (
    SELECT
        c.sample_id, c.kind, c.rank, c.fallback, c.text IS NOT NULL AS told, c.reason, c.detail,
        coalesce(k.caption, c.text) AS caption,
        k.passed IS NOT NULL AS checked,
        -- The row of an alt text only counts it: that it has words is all there is to pass.
        coalesce(k.words > 0 AND (c.fallback OR k.passed AND k.caption IS NOT NULL), false) AS passed,
        k.reasons, k.detail AS found, k.words, s.similarity
    FROM candidates c
    LEFT JOIN caption_checks k USING (sample_id, kind)
    LEFT JOIN scores s USING (sample_id, kind)
)
SELECT
    sample_id,
    count(*) FILTER (NOT fallback) AS replies,
    count(*) FILTER (told AND NOT fallback) AS told,
    count(*) FILTER (told AND NOT checked) AS unchecked,
    count(*) FILTER (fallback) AS fallbacks,
    count(*) FILTER (passed) AS passed,
    count(*) FILTER (passed AND similarity IS NULL) AS unscored,
    arg_min(kind, rank) FILTER (passed AND coalesce(similarity >= min_similarity, min_similarity IS NULL)) AS kind,
    arg_min({'reason': reason, 'detail': detail}, rank) FILTER (NOT told) AS silence,
    arg_min(
        {
            -- What was only recorded rejected nothing; what can be mended did so only if nothing else did.
            'reason': coalesce(
                list_filter(reasons, lambda r: NOT list_contains(harmless || mendable, r))[1],
                list_filter(reasons, lambda r: NOT list_contains(harmless, r))[1],
                reasons[1],
                'too_short'
            ),
            'detail': found
        }, rank
    ) FILTER (told AND checked AND NOT passed AND NOT fallback) AS fault,
    max(similarity) FILTER (passed) AS best_similarity,
    arg_min({'caption': caption, 'words': words}, rank) FILTER (caption IS NOT NULL) AS shown
FROM judged, criteria
GROUP BY sample_id;

COMMENT ON VIEW choices IS 'What the preferred captions of a sample came to; one row for every sample a model was asked about';
COMMENT ON COLUMN choices.sample_id IS 'as in rows';
COMMENT ON COLUMN choices.replies IS 'preferred kinds that the model was asked for';
COMMENT ON COLUMN choices.told IS 'of these, kinds with a text';
COMMENT ON COLUMN choices.unchecked IS 'texts that have no verdict yet';
COMMENT ON COLUMN choices.fallbacks IS '1 where the alt text was looked at as a last choice';
COMMENT ON COLUMN choices.passed IS 'texts that may be released, the alt text included where the recipe falls back on it';
COMMENT ON COLUMN choices.unscored IS 'of these, texts without a similarity';
COMMENT ON COLUMN choices.kind IS 'the kind that is released; null when none may be';
COMMENT ON COLUMN choices.silence IS 'why the most preferred kind without a text has none';
COMMENT ON COLUMN choices.fault IS 'why the most preferred kind that did not pass was rejected';
COMMENT ON COLUMN choices.best_similarity IS 'the highest similarity among those that passed';
COMMENT ON COLUMN choices.shown IS 'the most preferred text there is, for looking at';

-- What the model and the checks had to say of a sample: the part of its verdict that is this recipe's own.
CREATE VIEW rulings AS
WITH ruled AS (
    SELECT
        c.*,
        CASE
            WHEN replies = 0 THEN 'not_asked'
            WHEN told = 0 AND NOT alt_text_fallback THEN 'no_reply'
            WHEN unchecked > 0 OR fallbacks = 0 AND alt_text_fallback THEN 'not_checked'
            WHEN passed = 0 AND told = 0 THEN 'no_reply'
            WHEN passed = 0 THEN 'unfit'
            WHEN unscored > 0 AND scored THEN 'not_scored'
            WHEN kind IS NULL THEN 'unlike'
            ELSE 'through'
        END AS outcome
    FROM choices c CROSS JOIN criteria
)
SELECT
    sample_id, outcome = 'through' AS through, kind, shown,
    CASE outcome
        WHEN 'not_asked' THEN 'recaption' WHEN 'no_reply' THEN 'recaption'
        WHEN 'not_checked' THEN 'check' WHEN 'unfit' THEN 'check'
        WHEN 'not_scored' THEN 'scores' WHEN 'unlike' THEN 'scores'
        WHEN 'through' THEN 'release'
    END AS stage,
    CASE outcome
        WHEN 'no_reply' THEN coalesce(silence.reason, 'model_error')
        WHEN 'unfit' THEN fault.reason
        WHEN 'unlike' THEN 'low_image_text_similarity'
    END AS reason,
    CASE outcome
        WHEN 'no_reply' THEN silence.detail
        WHEN 'unfit' THEN fault.detail
        WHEN 'unlike' THEN format('{:.4f} is the highest', best_similarity)
    END AS detail
FROM ruled;

COMMENT ON VIEW rulings IS 'The end of the verdict on every sample that got past dedupe, as far as it has come';
COMMENT ON COLUMN rulings.through IS 'whether nothing stands against its release';
COMMENT ON COLUMN rulings.kind IS 'the kind of caption that is released';
COMMENT ON COLUMN rulings.shown IS 'the most preferred text there is, for looking at';
COMMENT ON COLUMN rulings.stage IS 'the stage that decided, or the first one that has not';
COMMENT ON COLUMN rulings.reason IS 'why it was rejected';
COMMENT ON COLUMN rulings.detail IS 'what was found, for people';
COMMENT ON COLUMN rulings.sample_id IS 'as in rows';
