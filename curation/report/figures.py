"""The figures of a root: the funnel, hosts, costs, clusters of duplicates and runs."""

from __future__ import annotations

from curation.core.verdict import Decides
from curation.release.funnel import FunnelRow
from curation.release.remedies import remedy
from curation.release.views.verdicts import stage_names
from curation.report.asking import Root, Row, cut
from curation.report.looking_up import TEXT
from curation.report.pictures import Stored
from curation.report.rows import Seen

CLUSTERS = 40
MEMBERS = 12
"""Pictures of a cluster that are shown."""
_HOSTS = 200
_RUNS = 20

# What a server said no with, and what a robot is told; docs of the columns say it for people.
_HOST = r"lower(regexp_extract(url, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)', 1))"
_ASKED = f"""
WITH asked AS (
    SELECT {_HOST} AS host, i.reason FROM (SELECT sample_id, any_value(url) AS url, any_value(local_file) AS local_file
        FROM rows WHERE reason IS NULL GROUP BY sample_id) r
    JOIN images i USING (sample_id) WHERE r.local_file IS NULL AND url IS NOT NULL
), counted AS (
    SELECT host, count(*) AS asked, count(*) FILTER (reason IS NULL) AS pictures,
        count(*) FILTER (reason IN ('http_401', 'http_403', 'http_429', 'http_451', 'forbidden_address')) AS refused,
        count(*) FILTER (reason IN ('opted_out', 'robots_txt')) AS opted_out,
        count(*) FILTER (reason = 'timeout') AS slow,
        count(*) FILTER (reason IN ('http_404', 'http_410')) AS gone
    FROM asked GROUP BY host
)
SELECT *, asked - pictures - refused - opted_out - slow - gone AS other, count(*) OVER () AS hosts
FROM counted ORDER BY asked DESC, host LIMIT {_HOSTS}
"""  # noqa: S608  # of our own
_COSTS = """
SELECT kind, model, captions, kept, replies, invalid, tokens_in, tokens_out, seconds, median_seconds, cost,
    tokens_per_kept, seconds_per_kept, cost_per_kept FROM costs ORDER BY kind, model
"""
_CLUSTERS = f"""
WITH sizes AS (
    SELECT cluster_id, count(*) AS size, count(*) FILTER (reason IS NOT NULL) AS removed FROM duplicates
    GROUP BY cluster_id HAVING size > 1
), worst AS (
    SELECT *, count(*) OVER () AS clusters, sum(removed) OVER () AS all_removed
    FROM sizes ORDER BY size DESC, cluster_id LIMIT {CLUSTERS}
), members AS (
    SELECT w.*, d.sample_id, d.reason, d.distance, d.second_distance, d.keeper_id,
        row_number() OVER (PARTITION BY w.cluster_id ORDER BY d.reason IS NOT NULL, d.distance, d.sample_id) AS place
    FROM worst w JOIN duplicates d USING (cluster_id)
)
SELECT m.*, i.sha256, i."offset", i.size AS bytes, i.shard AS images_shard, i.width, i.height, r.alt_text
FROM members m LEFT JOIN images i USING (sample_id)
LEFT JOIN (SELECT sample_id, any_value(alt_text) AS alt_text FROM rows GROUP BY sample_id) r USING (sample_id)
WHERE place <= {MEMBERS} ORDER BY m.size DESC, cluster_id, place
"""  # noqa: S608  # likewise
_LINES = """
SELECT stage, fate, reason, count(*) AS "rows" FROM fates GROUP BY ALL ORDER BY stage, fate DESC, "rows" DESC, reason
"""
_LATEST = f"""
SELECT run_id, strftime(started, '%Y-%m-%d %H:%M:%S') AS started, seconds, status, done, failed FROM runs
ORDER BY run_id DESC LIMIT {_RUNS}
"""  # noqa: S608  # likewise


def funnel(root: Root) -> Row:
    """The stages in their order, each with the rows that reached it, went on, and ended there by reason.

    Wants the table ``fates`` of ``choose_sample``: the view ``funnel`` would go through all rows once more.
    """
    lines = [FunnelRow(*line) for line in root.connection.execute(_LINES).fetchall()]
    meanings = {r: p.verdict.meaning(r) for p in root.parts if isinstance(p, Decides) for r in p.verdict.reasons}
    left = total = sum(line.rows for line in lines)
    stages: list[Row] = []
    for stage in stage_names(root.parts):
        own = [line for line in lines if line.stage == stage and line.fate != "kept"]
        lost = sum(line.rows for line in own)
        reasons = [_reason(line, meanings) for line in own]
        stages.append({"stage": stage, "in": left, "out": left - lost, "reasons": reasons})
        left -= lost
    fates = {fate: sum(li.rows for li in lines if li.fate == fate) for fate in ("kept", "rejected", "failed")}
    return {"rows": total, **fates, "stages": stages}


def _reason(line: FunnelRow, meanings: dict[str, str]) -> Row:
    reason = line.reason or ""
    said = {"meaning": meanings.get(reason, ""), "remedy": remedy(reason) if line.fate == "rejected" else ""}
    return {"reason": reason, "fate": line.fate, "rows": line.rows, **said}


def hosts(root: Root) -> list[Row]:
    """The hosts that were asked for most images, and how they answered; each row has the number of all hosts."""
    return root.ask(_ASKED) if root.has("rows", "images") else []


def costs(root: Root) -> list[Row]:
    """What replies took, by kind and model; nothing where no model was asked."""
    return root.ask(_COSTS) if root.has("costs") else []


def clusters(root: Root) -> list[Row]:
    """Members of the largest clusters of duplicates, keepers first, as rows of the database."""
    return root.ask(_CLUSTERS) if root.has("duplicates", "images") else []


def cluster_image(member: Row) -> Stored | None:
    """Where the image of a row of ``clusters`` lies."""
    return Stored.of({**member, "size": member["bytes"]})


def shown_clusters(members: list[Row], seen: Seen) -> Row:
    """Clusters as the page has them, with the number of all."""
    made: dict[str, Row] = {}
    for m in members:
        cluster = made.setdefault(m["cluster_id"], {"id": m["cluster_id"], "size": m["size"], "members": []})
        stored = cluster_image(m)
        cluster["members"].append(
            {
                "id": m["sample_id"],
                "reason": m["reason"],
                "distance": m["distance"],
                "second": m["second_distance"],
                "alt": cut(m["alt_text"], TEXT // 4),
                "size": [m["width"], m["height"]],
                "picture": seen(stored) if stored is not None else None,
            }
        )
    counts = {key: members[0][key] if members else 0 for key in ("clusters", "all_removed")}
    return {**counts, "shown": list(made.values())}


def runs(root: Root) -> list[Row]:
    """The latest runs, the last one first. What they did stands in ``done`` and ``failed``, shards by table."""
    return root.ask(_LATEST)
