-- The catalog's main view: every source row with its one fate.
CREATE VIEW samples AS
WITH placed AS (
    SELECT
        v.*, p.split, p.shard, p.caption, p.words, z.sample_id IS NOT NULL AS released,
        CASE v.stage
            WHEN 'download' THEN 'images' WHEN 'dedupe' THEN 'duplicates' WHEN 'recaption' THEN 'captions'
            WHEN 'check' THEN 'caption_checks' WHEN 'scores' THEN 'scores' WHEN 'release' THEN 'released'
            WHEN 'clean' THEN 'cleaned' WHEN 'entities' THEN 'entities' WHEN 'abstractiveness' THEN 'abstractness'
            WHEN 'subjects' THEN 'subjects' WHEN 'conditioning' THEN 'conditionings'
        END AS awaited
    FROM verdicts v
    LEFT JOIN placements p ON p.sample_id = CASE WHEN v.through THEN v.sample_id END
    LEFT JOIN released z ON z.sample_id = p.sample_id AND z.shard = p.shard
)
SELECT
    v.source_file, v.source_row, v.sample_id, v.url, v.alt_text,
    CASE WHEN v.reason IS NOT NULL THEN 'rejected' WHEN v.released THEN 'kept' ELSE 'failed' END AS fate,
    v.stage,
    CASE
        WHEN v.reason IS NOT NULL THEN v.reason
        WHEN v.released THEN NULL
        WHEN f.error IS NOT NULL THEN 'shard_failed'
        ELSE 'unfinished'
    END AS reason,
    coalesce(v.detail, CASE WHEN NOT v.released THEN f.error END) AS detail,
    v.width, v.height, v.sha256, v.phash,
    coalesce(v.caption, v.shown.caption) AS caption,
    coalesce(v.words, v.shown.words) AS words,
    v.split, v.shard
FROM placed v
LEFT JOIN failures f
    ON f."table" = CASE WHEN v.reason IS NULL AND NOT v.released THEN v.awaited END
    AND f.shard = CASE WHEN v.stage = 'release' THEN v.shard ELSE v.source_shard END;

COMMENT ON VIEW samples IS 'Every source row with its one fate, keyed by (source_file, source_row)';
COMMENT ON COLUMN samples.fate IS 'kept (it stands in the release), rejected (a stage decided against it), failed (no verdict was reached)';
COMMENT ON COLUMN samples.stage IS 'plan, download, dedupe … release, as in funnel: who decided, or the first that has not';
COMMENT ON COLUMN samples.reason IS 'why it is not kept; shard_failed or unfinished where it failed; null when kept';
COMMENT ON COLUMN samples.detail IS 'what was found, for people; the error where a shard failed';
COMMENT ON COLUMN samples.caption IS 'the caption in the release; for other rows the preferred reply, where there is one';
COMMENT ON COLUMN samples.words IS 'in caption';
COMMENT ON COLUMN samples.split IS 'train, val or test; null for rows without a place';
COMMENT ON COLUMN samples.shard IS 'release shard, e.g. train-000000; null for rows without a place';

CREATE VIEW funnel AS
WITH counted AS (SELECT stage, fate, reason, count(*) AS "rows" FROM samples GROUP BY stage, fate, reason)
FROM counted
ORDER BY
    list_position(
        [
            'plan', 'download', 'dedupe', 'clean', 'entities', 'recaption', 'check', 'scores', 'abstractiveness',
            'subjects', 'conditioning', 'release'
        ],
        stage
    ),
    list_position(['rejected', 'failed', 'kept'], fate), "rows" DESC, reason;

COMMENT ON VIEW funnel IS 'How many source rows ended where, in the order of the stages';
COMMENT ON COLUMN funnel.stage IS 'as in samples';
COMMENT ON COLUMN funnel.fate IS 'as in samples';
COMMENT ON COLUMN funnel.reason IS 'as in samples';
COMMENT ON COLUMN funnel.rows IS 'source rows';
