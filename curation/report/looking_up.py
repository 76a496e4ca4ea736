"""What a root's tables say of chosen rows: one query a table, whatever the number of rows."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass

from curation.report.asking import Root, Row, cut
from curation.report.marks import pieces

TEXT = 1200
"""Characters of a text that are shown."""
DETAIL = 500
"""Characters that are shown of what was found."""
_FURTHER = 24  # values of one kind, such as entities

_ROWS = """
SELECT l.*, c.place, p.caption_kind, p.clip_tokens, p.alt_text_clip_tokens
FROM chosen c JOIN listed l USING (source_file, source_row)
LEFT JOIN {placed} p ON p.sample_id = l.sample_id AND l.fate = 'kept'
ORDER BY c.place
"""
_PLACED = {
    True: "(SELECT sample_id, caption_kind, clip_tokens, alt_text_clip_tokens FROM placements)",
    False: "(SELECT sample_id, NULL AS caption_kind, clip_tokens, NULL AS alt_text_clip_tokens FROM placements)",
}
_IDS = "CREATE OR REPLACE TEMP TABLE chosen_ids AS SELECT DISTINCT sample_id FROM chosen JOIN listed {key}"
_IMAGES = """
SELECT sample_id, detail, http_status, final_url, opt_out, original_width, original_height, original_format,
    original_bytes, hash_matches, width, height, sha256, "offset", size, shard AS images_shard
FROM images SEMI JOIN chosen_ids USING (sample_id)
"""
_NEAR = """
SELECT d.sample_id, d.keeper_id, d.distance, d.second_distance, d.cluster_id, i.sha256, i."offset", i.size,
    i.shard AS images_shard, i.width, i.height, r.alt_text, r.url
FROM (FROM duplicates SEMI JOIN chosen_ids USING (sample_id)) d
LEFT JOIN images i ON i.sample_id = d.keeper_id
LEFT JOIN (SELECT sample_id, any_value(alt_text) AS alt_text, any_value(url) AS url FROM rows GROUP BY sample_id) r
    ON r.sample_id = d.keeper_id
WHERE d.keeper_id <> d.sample_id
"""
_OVERLAPS = """
SELECT sample_id, dataset, item_id, item, distance, second_distance, detail
FROM evaluation_overlaps SEMI JOIN chosen_ids USING (sample_id) WHERE reason IS NOT NULL
"""
_CHECKS = """
SELECT sample_id, kind, passed, reasons, detail, caption FROM caption_checks SEMI JOIN chosen_ids USING (sample_id)
WHERE kind <> 'alt_text' ORDER BY sample_id, kind
"""
_REPLIES = """
SELECT sample_id, kind, text, reason, detail FROM captions SEMI JOIN chosen_ids USING (sample_id)
ORDER BY sample_id, kind
"""
_STATEMENTS = """
SELECT sample_id, kind, start, "end", probability, verdict
FROM statements SEMI JOIN chosen_ids USING (sample_id) ORDER BY sample_id, kind, index
"""
_VERIFIED = """
SELECT sample_id, kind, passed, reason, caption, dropped FROM verified_captions SEMI JOIN chosen_ids USING (sample_id)
"""

# What products have besides: the view, its heading, and a query with sample_id and text.
_FURTHER_PARTS = (
    ("cleaned", "cleaning rules", "SELECT sample_id, unnest(rules) AS text FROM cleaned"),
    ("entities", "named entities", "SELECT sample_id, text || ' (' || label || ')' AS text FROM entities"),
    ("subjects", "subjects", "SELECT sample_id, printf('%s %.2f', text, weight) AS text FROM subjects"),
    ("windows", "windows", "SELECT sample_id, side || ' ' || index || ': ' || box::VARCHAR AS text FROM windows"),
    ("picture_parts", "parts", "SELECT sample_id, index || ': ' || box::VARCHAR AS text FROM picture_parts"),
    (
        *("imagined_checks", "imagined"),
        "SELECT sample_id, side || ' ' || index || ': ' || caption AS text FROM imagined_checks",
    ),
    ("prompt_choices", "chosen instead", "SELECT sample_id, other_id AS text FROM prompt_choices"),
    (
        *("prompt_overlaps", "shares words with"),
        "SELECT sample_id, dataset || ' ' || item_id AS text FROM prompt_overlaps",
    ),
)
_QUESTIONS = "SELECT sample_id, questions FROM prompt_checks SEMI JOIN chosen_ids USING (sample_id)"


@dataclass
class Found:
    """What the tables say of the chosen samples, by sample_id."""

    images: dict[str, Row]
    near: dict[str, Row]
    overlaps: dict[str, Row]
    captions: dict[str, list[Row]]
    further: dict[str, list[tuple[str, list[str]]]]


def chosen_rows(root: Root) -> list[Row]:
    """The samples of ``chosen`` as the catalog has them, in their order; fills ``chosen_ids`` for ``look_up``."""
    root.connection.execute(_IDS.format(key="USING (source_file, source_row)"))
    placed = _PLACED["caption_kind" in root.columns("placements")]
    return root.ask(_ROWS.format(placed=placed))


def look_up(root: Root) -> Found:
    """What the tables of the root's product say of the samples in ``chosen_ids``."""

    def by_id(view: str, query: str) -> dict[str, Row]:
        return {row["sample_id"]: row for row in root.ask(query)} if root.has(view) else {}

    near = by_id("duplicates", _NEAR) if root.has("images") else {}
    return Found(
        by_id("images", _IMAGES), near, by_id("evaluation_overlaps", _OVERLAPS), _captions(root), _further(root)
    )


def _captions(root: Root) -> dict[str, list[Row]]:
    """The captions of every kind, in pieces; a reply that nothing was left of as it came."""
    made: defaultdict[str, list[Row]] = defaultdict(list)
    if not root.has("caption_checks", "captions"):
        return made
    statements: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in root.ask(_STATEMENTS) if root.has("statements") else []:
        statements[row["sample_id"], row["kind"]].append(row)
    verified = {(r["sample_id"], r["kind"]): r for r in root.ask(_VERIFIED)} if root.has("verified_captions") else {}
    checks = {(r["sample_id"], r["kind"]): r for r in root.ask(_CHECKS)}
    for reply in root.ask(_REPLIES):
        key = reply["sample_id"], reply["kind"]
        check, final = checks.get(key), verified.get(key)
        text = check["caption"] if check is not None and check["caption"] is not None else reply["text"]
        left = final["caption"] if final is not None and final["dropped"] else None
        judged = statements[key] if check is not None and check["caption"] is not None else []
        reasons = [reply["reason"], *(check["reasons"] if check is not None else ())]
        reasons += [final["reason"]] if final is not None else []
        made[key[0]].append(
            {
                "kind": key[1],
                "text": text if left is None else left,
                "pieces": pieces(str(cut(text or "", TEXT)), judged, left),
                "passed": check is not None and check["passed"] and (final is None or final["passed"]),
                "reasons": [r for r in reasons if r],
                "detail": cut((check or {}).get("detail") or reply["detail"], DETAIL),
            }
        )
    return made


def _further(root: Root) -> dict[str, list[tuple[str, list[str]]]]:
    """What else a product knows of a sample: headings with texts."""
    made: defaultdict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    for view, heading, query in _FURTHER_PARTS:
        if root.has(view):
            texts: defaultdict[str, list[str]] = defaultdict(list)
            for row in root.ask(f"FROM ({query}) SEMI JOIN chosen_ids USING (sample_id) WHERE text IS NOT NULL"):
                texts[row["sample_id"]].append(str(cut(row["text"], DETAIL)))
            for ident, found in texts.items():
                made[ident].append((heading, found[:_FURTHER]))
    for row in root.ask(_QUESTIONS) if root.has("prompt_checks") else []:
        asked = [str(cut(q.get("question", ""), DETAIL)) for q in json.loads(row["questions"] or "[]")]
        made[row["sample_id"]].append(("questions", asked[:_FURTHER]))
    return made
