"""The card's section on concept balance: which entries very many texts name, and what was kept of head and tail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from curation.release.balance_reduce import BalanceReduce
from curation.release.markdown import escaped, share
from schemas.balance import ALT_TEXT

_TOP = 10  # entries of a table
_COUNTED = """
CREATE OR REPLACE TEMP TABLE balance_counts AS
SELECT entry, count(*) AS texts, count(*) FILTER (reason IS NULL) AS kept, count(released) AS released
FROM (
    SELECT unnest(b.entries) AS entry, b.reason, r.sample_id AS released
    FROM balanced_texts b LEFT JOIN (SELECT DISTINCT sample_id FROM released) r USING (sample_id)
) GROUP BY entry
"""
_TEXTS = """
SELECT count(*), count(*) FILTER (len(entries) > 0), count(*) FILTER (reason IS NULL),
    count(*) FILTER (reason = 'frequent_concepts')
FROM balanced_texts
"""
_HEAD = "SELECT entry, texts, kept, released FROM balance_counts ORDER BY texts DESC, entry LIMIT $most"
_SUMS = "count(*), sum(texts)::BIGINT, sum(kept)::BIGINT, sum(released)::BIGINT"
# Powers of ten up to the limit, and what lies above it.
_RANGES = f"""
SELECT least, {_SUMS} FROM (
    SELECT *, CASE WHEN texts > $most THEN NULL ELSE pow(10, floor(log10(texts)))::BIGINT END AS least
    FROM balance_counts
) GROUP BY least ORDER BY least NULLS LAST
"""  # noqa: S608  # of our own


def balance_section(connection: duckdb.DuckDBPyConnection, parts: Sequence[object]) -> str:
    """What was found and kept, from the head of the list to its tail; empty where the recipe asks for none."""
    asked = next((p for p in parts if isinstance(p, BalanceReduce) and p.on), None)
    if asked is None:
        return ""
    connection.execute(_COUNTED)
    head = connection.execute(_HEAD, {"most": _TOP}).fetchall()
    ranges = connection.execute(_RANGES, {"most": asked.max_texts}).fetchall()
    lines = ["## Balance of concepts", "", _method(asked), "", _numbers(connection, asked)]
    if head:
        lines += ["", *_ranges(ranges, asked.max_texts), "", *_entries(head)]
    return "\n".join(lines)


def _method(asked: BalanceReduce) -> str:
    text = "alt texts" if asked.text == ALT_TEXT else f"captions of the kind `{escaped(asked.text)}`"
    listed = f"the list `{escaped(asked.path.rsplit('/', 1)[-1])}`" if asked.path else "a list of English nouns"
    done = "the others are rejected" if asked.rejects else "the others are recorded, and released all the same"
    return (
        f"After [MetaCLIP](https://arxiv.org/abs/2309.16671): entries of {listed} are looked for in the {text}, as "
        f"whole words. An entry that is in more than {asked.max_texts:,} texts keeps each of them with the probability "
        f"{asked.max_texts:,} over their number, one in fewer texts keeps all; a sample stays if any of its entries "
        f"keeps it, and {done}."
    )


def _numbers(connection: duckdb.DuckDBPyConnection, asked: BalanceReduce) -> str:
    (texts, matched, kept, lost), *_ = connection.execute(_TEXTS).fetchall()
    rest = texts - matched
    without = "rejected" if asked.rejects and asked.unmatched == "reject" else "kept"
    said = f"Of {texts:,} samples that came so far, {matched:,} name an entry; {lost:,} were not kept by any of theirs."
    return f"{said} {rest:,} name none and are {without}." if rest else f"{said} {kept:,} are left."


def _ranges(found: Sequence[tuple[int | None, ...]], most: int) -> Iterator[str]:
    """Entries by how many texts have them: the tail first."""
    total = [sum(int(row[at] or 0) for row in found) for at in range(2, 5)]
    yield "| texts with an entry | entries | mentions | share | kept | share | released | share |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for least, entries, *sums in found:
        span = f"more than {most:,}" if least is None else _span(least, min(10 * least - 1, most))
        shown = " | ".join(f"{n:,} | {share(int(n or 0), of)}" for n, of in zip(sums, total, strict=True))
        yield f"| {span} | {entries:,} | {shown} |"


def _span(least: int, most: int) -> str:
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _entries(head: Sequence[tuple[str, int, int, int]]) -> Iterator[str]:
    yield "| most frequent entry | texts | kept | released |"
    yield "|---|---:|---:|---:|"
    for entry, texts, kept, released in head:
        yield f"| {escaped(entry)} | {texts:,} | {kept:,} | {released:,} |"
