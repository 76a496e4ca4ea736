-- What the stages of a news dataset had to say of a sample; its caption is the cleaned one.
CREATE VIEW rulings AS
WITH recognised AS (
    SELECT sample_id, any_value(reason) AS reason, any_value(detail) AS detail FROM entities GROUP BY sample_id
), weighed AS (
    SELECT sample_id, any_value(reason) AS reason, any_value(detail) AS detail FROM subjects GROUP BY sample_id
), described AS (
    SELECT DISTINCT sample_id FROM captions
), ruled AS (
    SELECT
        c.sample_id,
        CASE
            WHEN c.reason IS NOT NULL THEN 'clean'
            WHEN e.sample_id IS NULL OR e.reason IS NOT NULL THEN 'entities'
            WHEN l.sample_id IS NULL AND criteria.literal THEN 'recaption'
            WHEN a.sample_id IS NULL THEN 'abstractiveness'
            WHEN s.sample_id IS NULL OR s.reason IS NOT NULL THEN 'subjects'
            WHEN d.sample_id IS NULL THEN 'conditioning'
            ELSE 'release'
        END AS stage,
        CASE WHEN c.caption IS NOT NULL THEN {'caption': c.caption, 'words': c.words} END AS shown,
        c.reason AS clean_reason, c.detail AS clean_detail,
        e.reason AS entity_reason, e.detail AS entity_detail, s.reason AS subject_reason, s.detail AS subject_detail
    FROM cleaned c
    LEFT JOIN recognised e USING (sample_id)
    LEFT JOIN described l USING (sample_id)
    LEFT JOIN abstractness a USING (sample_id)
    LEFT JOIN weighed s USING (sample_id)
    LEFT JOIN conditionings d USING (sample_id)
    CROSS JOIN criteria
)
SELECT
    sample_id, stage = 'release' AS through, 'news' AS kind, shown, stage,
    CASE stage WHEN 'clean' THEN clean_reason WHEN 'entities' THEN entity_reason WHEN 'subjects' THEN subject_reason
    END AS reason,
    CASE stage WHEN 'clean' THEN clean_detail WHEN 'entities' THEN entity_detail WHEN 'subjects' THEN subject_detail
    END AS detail
FROM ruled;

COMMENT ON VIEW rulings IS 'The end of the verdict on every sample that got past dedupe, as far as it has come';
COMMENT ON COLUMN rulings.sample_id IS 'as in rows';
COMMENT ON COLUMN rulings.through IS 'whether nothing stands against its release';
COMMENT ON COLUMN rulings.kind IS 'the kind of caption that is released: news, the cleaned one';
COMMENT ON COLUMN rulings.shown IS 'the cleaned caption and its words';
COMMENT ON COLUMN rulings.stage IS 'the stage that decided, or the first one that has not';
COMMENT ON COLUMN rulings.reason IS 'why it was rejected';
COMMENT ON COLUMN rulings.detail IS 'what was found, for people';
