-- What the captions took: tokens, time and money, a kind of caption.
CREATE VIEW costs AS
WITH asked AS (
    -- Samples with the same picture and text share one reply, which was paid for once.
    SELECT c.kind, c.reply_key, any_value(r.tokens_in) AS tokens_in, any_value(r.tokens_out) AS tokens_out,
        any_value(r.seconds) AS seconds, count(*) AS captions,
        count(*) FILTER (z.sample_id IS NOT NULL) AS kept
    FROM captions c
    JOIN replies r ON r.key = c.reply_key
    LEFT JOIN (SELECT p.sample_id, p.caption_kind FROM placements p SEMI JOIN released USING (sample_id)) z
        ON z.sample_id = c.sample_id AND z.caption_kind = c.kind
    GROUP BY c.kind, c.reply_key
), summed AS (
    SELECT kind, sum(captions) AS captions, sum(kept) AS kept, count(*) AS replies,
        sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out,
        sum(seconds) AS seconds, quantile_cont(seconds, 0.5) AS median_seconds,
        sum(seconds) / any_value(at_once) AS machine_seconds,
        (sum(tokens_in) * any_value(price_in) + sum(tokens_out) * any_value(price_out)) / 1e6
            + sum(seconds) / any_value(at_once) / 3600 * any_value(gpus * price_hour) AS cost
    FROM asked, prices GROUP BY kind
)
SELECT *,
    (tokens_in + tokens_out) / nullif(kept, 0) AS tokens_per_kept,
    machine_seconds / nullif(kept, 0) AS seconds_per_kept,
    cost / nullif(kept, 0) AS cost_per_kept
FROM summed ORDER BY kind;

COMMENT ON VIEW costs IS 'What the captions took: tokens, time and money, a kind of caption';
COMMENT ON COLUMN costs.kind IS 'as in captions';
COMMENT ON COLUMN costs.captions IS 'captions of this kind with a reply';
COMMENT ON COLUMN costs.kept IS 'of these, captions that stand in the release as the preferred one';
COMMENT ON COLUMN costs.replies IS 'replies that were paid for; equal requests share one';
COMMENT ON COLUMN costs.tokens_in IS 'prompt tokens, images included';
COMMENT ON COLUMN costs.tokens_out IS 'reply tokens';
COMMENT ON COLUMN costs.seconds IS 'latencies, summed';
COMMENT ON COLUMN costs.median_seconds IS 'latency of the median reply';
COMMENT ON COLUMN costs.machine_seconds IS 'seconds divided by the requests in flight, as the recipe has them: what a server was busy';
COMMENT ON COLUMN costs.cost IS 'by the recipe: price_in and price_out a million tokens, and price_hour a GPU';
COMMENT ON COLUMN costs.tokens_per_kept IS 'tokens in and out for each kept caption, what was rejected included';
COMMENT ON COLUMN costs.seconds_per_kept IS 'machine_seconds for each kept caption, what was rejected included';
COMMENT ON COLUMN costs.cost_per_kept IS 'cost of each kept caption, what was rejected included';
