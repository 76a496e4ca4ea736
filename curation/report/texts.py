"""Lengths, openings and words of released captions, beside those of the alt texts."""

from __future__ import annotations

from curation.caption.check.repeated import opening_key
from curation.caption.check.wordlists import read_words
from curation.core.sql import literal, literals
from curation.report.asking import Root, Row, cut
from curation.report.distributions import Spread, histogram

TOKENS = 77
"""What CLIP's text encoder reads, start and end included."""
_MOST_TEXTS = 20_000  # that are counted: a share of more of them differs by 0.7 points at most, 19 times of 20
_DRAWN = f"(FROM placements ORDER BY md5(sample_id) LIMIT {_MOST_TEXTS})"
_WORDS = 30
_OPENINGS = 20
_KINDS = "SELECT caption_kind AS kind, count(*) AS n FROM placements GROUP BY ALL ORDER BY n DESC, kind LIMIT 8"


def lengths(root: Root) -> list[Row]:
    """Histograms of CLIP tokens, start and end included, of released captions by kind and of their alt texts."""
    columns = root.columns("placements")
    if "clip_tokens" not in columns:
        return []
    kinds = ["caption"]
    if "caption_kind" in columns:
        kinds = [row["kind"] for row in root.ask(_KINDS)]
    made = []
    for kind in kinds:
        where = f" WHERE caption_kind = {literal(kind)}" if "caption_kind" in columns else ""
        made.append(_of_tokens(root, kind, f"SELECT clip_tokens + 2 AS value FROM placements{where}"))  # noqa: S608
    if "alt_text_clip_tokens" in columns:
        made.append(_of_tokens(root, "alt text", "SELECT alt_text_clip_tokens + 2 AS value FROM placements"))
    return [row for row in made if row is not None]


def _of_tokens(root: Root, kind: str, query: str) -> Row | None:
    found = histogram(root, Spread(kind, "CLIP tokens, start and end included", query, None, float(TOKENS), "tokens"))
    if found is not None:
        ((within,),) = root.connection.execute(
            f"SELECT count(*) FILTER (value <= {TOKENS}) / count(*) FROM ({query})"  # noqa: S608
        ).fetchall()
        found["within"] = within
    return found


def openings(root: Root) -> list[Row]:
    """The most frequent first three words of released captions, with the share of captions that begin so.

    Counted over at most ``_MOST_TEXTS`` samples, as words are.
    """
    if not root.has("placements"):
        return []
    return root.ask(
        f"""
        SELECT opening AS text, count(*) AS n, n / sum(n) OVER () AS share
        FROM (SELECT {opening_key("caption", 3, 3)} AS opening FROM {_DRAWN}) WHERE opening IS NOT NULL
        GROUP BY opening ORDER BY n DESC, opening LIMIT {_OPENINGS}
        """  # noqa: S608
    )


def words(root: Root) -> list[Row]:
    """The words that most released captions have, with the shares of captions and of alt texts that have them.

    Counted over at most ``_MOST_TEXTS`` samples; English words that carry grammar are left out.
    """
    if not root.has("placements"):
        return []
    columns = root.columns("placements")
    alt = "alt_text" if "alt_text" in columns else "NULL"
    grammar = literals(sorted(read_words("curation.news.words", "function")))
    found = root.ask(
        f"""
        WITH texts AS (SELECT caption, {alt} AS alt_text FROM {_DRAWN}),
        after_words AS (SELECT unnest({_distinct("caption")}) AS word FROM texts),
        before_words AS (SELECT unnest({_distinct("alt_text")}) AS word FROM texts)
        SELECT word AS text, a.n / (SELECT count(*) FROM texts) AS share,
            coalesce(b.n, 0) / (SELECT count(*) FROM texts) AS before
        FROM (SELECT word, count(*) AS n FROM after_words WHERE NOT list_contains({grammar}, word) GROUP BY word
            ORDER BY n DESC, word LIMIT {_WORDS}) a
        LEFT JOIN (SELECT word, count(*) AS n FROM before_words GROUP BY word) b USING (word)
        ORDER BY share DESC, word
        """  # noqa: S608
    )
    return [{**row, "text": cut(row["text"], 60)} for row in found]


def _distinct(column: str) -> str:
    return rf"list_distinct(regexp_extract_all(lower(left({column}, 4000)), '[\p{{L}}\p{{M}}]{{2,}}'))"
