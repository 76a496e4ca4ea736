-- Tokens, time and money of replies, for each kind of caption and whatever else models are asked for, by model.
CREATE VIEW costs AS
WITH answered AS (
    SELECT asked.*, replies.text IS NOT NULL AS usable FROM asked JOIN replies ON replies.key = asked.reply_key
), counted AS (
    SELECT kind, model, count(DISTINCT sample_id) FILTER (usable) AS captions, count(DISTINCT sample_id) FILTER (kept) AS kept
    FROM answered GROUP BY kind, model
), paid AS (
    -- Samples with the same picture and text share one reply, which was paid for once; so do two kinds that ask alike
    -- about the same part of a picture, of which the first by name has paid.
    SELECT min(kind) AS kind, model, arg_min(part, kind) AS part, reply_key FROM answered GROUP BY model, reply_key
), summed AS (
    SELECT p.kind, p.model, count(*) AS replies, count(*) FILTER (r.text IS NULL) AS invalid, sum(r.tokens_in) AS tokens_in, sum(r.tokens_out) AS tokens_out,
        sum(r.seconds) AS seconds, quantile_cont(r.seconds, 0.5) AS median_seconds,
        sum(r.seconds) / any_value(at_once) AS machine_seconds,
        (sum(r.tokens_in) * any_value(price_in) + sum(r.tokens_out) * any_value(price_out)) / 1e6
            + sum(r.seconds) / any_value(at_once) / 3600 * any_value(gpus * price_hour) AS cost
    FROM paid p JOIN replies r ON r.key = p.reply_key JOIN prices USING (part) GROUP BY p.kind, p.model
)
SELECT kind, model, captions, kept, coalesce(replies, 0) AS replies, coalesce(invalid, 0) AS invalid,
    tokens_in, tokens_out, seconds, median_seconds, machine_seconds, cost,
    (tokens_in + tokens_out) / nullif(kept, 0) AS tokens_per_kept,
    machine_seconds / nullif(kept, 0) AS seconds_per_kept,
    cost / nullif(kept, 0) AS cost_per_kept
FROM counted LEFT JOIN summed USING (kind, model) ORDER BY kind, model;

COMMENT ON VIEW costs IS 'What replies took: tokens, time and money, for each kind of caption and whatever else models are asked for, by model';
COMMENT ON COLUMN costs.kind IS 'what was asked for: a kind of caption, or what else a stage asks a model for';
COMMENT ON COLUMN costs.model IS 'which model answered, as the table of its replies has it';
COMMENT ON COLUMN costs.captions IS 'samples with a usable reply of this kind';
COMMENT ON COLUMN costs.kept IS 'of these, samples that stand in the release; of several kinds of caption, with this one';
COMMENT ON COLUMN costs.replies IS 'replies that were paid for; equal requests share one, which is counted for the first kind by name';
COMMENT ON COLUMN costs.invalid IS 'of these, replies that could not be used';
COMMENT ON COLUMN costs.tokens_in IS 'prompt tokens, images included';
COMMENT ON COLUMN costs.tokens_out IS 'reply tokens';
COMMENT ON COLUMN costs.seconds IS 'latencies, summed';
COMMENT ON COLUMN costs.median_seconds IS 'latency of the median reply';
COMMENT ON COLUMN costs.machine_seconds IS 'seconds divided by the requests in flight, as the recipe has them: what a server was busy';
COMMENT ON COLUMN costs.cost IS 'by the recipe: price_in and price_out a million tokens, and price_hour a GPU';
COMMENT ON COLUMN costs.tokens_per_kept IS 'tokens in and out for each kept caption, what was rejected included';
COMMENT ON COLUMN costs.seconds_per_kept IS 'machine_seconds for each kept caption, what was rejected included';
COMMENT ON COLUMN costs.cost_per_kept IS 'cost of each kept caption, what was rejected included';
