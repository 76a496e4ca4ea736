-- One row for every source row: how far it got and what stopped it. The one place where fates are decided.
CREATE VIEW verdicts AS
WITH planned AS (
    SELECT
        r.* EXCLUDE (reason, detail),
        coalesce(r.reason, p.reason) AS plan_reason,
        CASE WHEN r.reason IS NULL THEN p.detail ELSE r.detail END AS plan_detail,
        -- A repeat shares its sample_id with the row that was kept for it; only that row may have an image.
        CASE WHEN coalesce(r.reason, p.reason) IS NULL THEN r.sample_id END AS image_id
    FROM rows r LEFT JOIN repeats p USING (source_file, source_row)
), stopped AS (
    SELECT
        r.source_file, r.source_row, r.sample_id, r.shard AS source_shard, r.url, r.alt_text, r.license,
        i.width, i.height, i.sha256, i.phash, i.offset, i.size,
        coalesce(d.cluster_id, r.image_id) AS cluster_id, c.kind, c.shown,
        r.plan_reason, r.plan_detail, i.reason AS image_reason, i.detail AS image_detail,
        d.reason AS duplicate_reason,
        CASE d.reason
            WHEN 'near_evaluation_item' THEN format('{} bits from {} in {}', o.distance, o.item, o.dataset)
            WHEN 'shared_text' THEN format('"{}" stands in {} of {}', o.detail, o.item, o.dataset)
            ELSE format('{} bits from {}', d.distance, d.keeper_id)
        END AS duplicate_detail,
        c.stage AS ruled_stage, c.reason AS ruled_reason, c.detail AS ruled_detail, first_stage,
        CASE
            WHEN r.plan_reason IS NOT NULL THEN 'planned_out'
            WHEN i.sample_id IS NULL THEN 'not_fetched'
            WHEN i.reason IS NOT NULL THEN 'no_image'
            WHEN d.sample_id IS NULL AND deduped THEN 'not_compared'
            WHEN d.reason IN ('near_evaluation_item', 'shared_text') THEN 'duplicate'
            WHEN d.reason IS NOT NULL AND deduped THEN 'duplicate'
            WHEN c.sample_id IS NULL THEN 'not_begun'
            WHEN c.through THEN 'through'
            ELSE 'ruled'
        END AS outcome
    FROM planned r
    LEFT JOIN images i ON i.sample_id = r.image_id
    LEFT JOIN duplicates d ON d.sample_id = r.image_id
    LEFT JOIN evaluation_overlaps o ON o.sample_id = d.sample_id AND o.reason = d.reason
    LEFT JOIN rulings c ON c.sample_id = r.image_id
    CROSS JOIN criteria
)
SELECT
    source_file, source_row, sample_id, source_shard, url, alt_text, license,
    width, height, sha256, phash, "offset", size, cluster_id, kind, shown,
    outcome = 'through' AS through,
    CASE outcome
        WHEN 'planned_out' THEN 'plan'
        WHEN 'not_fetched' THEN 'download' WHEN 'no_image' THEN 'download'
        WHEN 'not_compared' THEN 'dedupe' WHEN 'duplicate' THEN 'dedupe'
        WHEN 'not_begun' THEN first_stage
        ELSE ruled_stage
    END AS stage,
    CASE outcome
        WHEN 'planned_out' THEN plan_reason
        WHEN 'no_image' THEN image_reason
        WHEN 'duplicate' THEN duplicate_reason
        WHEN 'ruled' THEN ruled_reason
    END AS reason,
    CASE outcome
        WHEN 'planned_out' THEN plan_detail
        WHEN 'no_image' THEN image_detail
        WHEN 'duplicate' THEN duplicate_detail
        WHEN 'ruled' THEN ruled_detail
    END AS detail
FROM stopped;

COMMENT ON VIEW verdicts IS 'How far each source row got before the release, and what stopped it; samples adds the release';
COMMENT ON COLUMN verdicts.source_shard IS 'the shard that holds the row';
COMMENT ON COLUMN verdicts.license IS 'as in rows';
COMMENT ON COLUMN verdicts."offset" IS 'as in images';
COMMENT ON COLUMN verdicts.size IS 'as in images';
COMMENT ON COLUMN verdicts.cluster_id IS 'as in duplicates';
COMMENT ON COLUMN verdicts.kind IS 'the kind of caption that is released';
COMMENT ON COLUMN verdicts.shown IS 'as in rulings';
COMMENT ON COLUMN verdicts.through IS 'whether nothing stands against its release';
COMMENT ON COLUMN verdicts.stage IS 'the stage that decided, or the first one that has not';
COMMENT ON COLUMN verdicts.reason IS 'why it was rejected; null when it is through or no verdict was reached';
COMMENT ON COLUMN verdicts.detail IS 'what was found, for people';
