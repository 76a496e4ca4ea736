"""The card's section on licences and opt-outs: what the sources said, and what was honoured."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from curation.core.printable import first_words
from curation.release.card_signals import policy_of_signals, signals_section
from curation.release.facts import ReleaseFacts
from curation.release.markdown import cell, share
from schemas.reasons import Reason
from schemas.recipe import Download
from schemas.signals import Signals

_MOST = 20  # lines of a table
_LONGEST = 100  # characters of a text of strangers
_FOLDERS = 8  # parts of a source that are told apart

# A source is told by the first folder of its files, or by the file itself.
_LICENCES = """
WITH counted AS (
    SELECT {of} AS source, r.license, count(*) AS rows, count(p.sample_id) AS released
    FROM rows r LEFT JOIN (SELECT sample_id, source_file, source_row FROM placements SEMI JOIN released
        USING (sample_id, shard)) p USING (source_file, source_row)
    GROUP BY ALL
)
SELECT * FROM counted ORDER BY source, released DESC, rows DESC, license
"""
_SOURCES = "SELECT count(DISTINCT split_part(source_file, '/', 1)) FROM rows"
_HONOURED = ", ".join(f"'{reason.value}'" for reason in (Reason.OPTED_OUT, Reason.ROBOTS_TXT, Reason.USE_RESTRICTED))
_OPT_OUTS = f"""
SELECT reason, opt_out, count(*) FROM images WHERE reason IN ({_HONOURED})
GROUP BY ALL ORDER BY count(*) DESC, reason, opt_out
"""  # noqa: S608  # of our own, as all here
_NOT_HONOURED = f"""
SELECT count(*), count(p.sample_id) FROM images i
LEFT JOIN (SELECT sample_id FROM placements SEMI JOIN released USING (sample_id, shard)) p USING (sample_id)
WHERE i.opt_out IS NOT NULL AND coalesce(i.reason NOT IN ({_HONOURED}), true)
"""  # noqa: S608


def rights(
    connection: duckdb.DuckDBPyConnection,
    facts: ReleaseFacts,
    download: Download,
    note: str,
    signals: Signals | None = None,
) -> str:
    """The section; ``note`` is the recipe's licence note, ``signals`` its table of these."""
    lines = ["## Licence and opt-out", "", note, "", *_licences(connection), ""]
    if signals is not None and signals.enabled:
        local = facts.origin == "local files"
        lines += [policy_of_signals(signals, honoured=download.opt_out, local=local), "", *signals_section(connection)]
    else:
        lines.append(_policy(facts, download))
    if facts.origin != "local files":
        lines += ["", *_opt_outs(connection)]
    return "\n".join(lines)


def _policy(facts: ReleaseFacts, download: Download) -> str:
    if facts.origin == "local files":
        return "The images are local files; there was no response that could opt out."
    honoured = [
        name
        for name, on in (
            ("X-Robots-Tag (noai, noimageai, noindex, noimageindex, noml) and tdm-reservation", download.opt_out),
            ("robots.txt", download.robots_txt),
        )
        if on
    ]
    if not honoured:
        return "Opt-outs were not looked for when the images were fetched."
    return (
        f"Opt-outs were honoured when the images were fetched: {' and '.join(honoured)}. Rows that opted out are "
        "counted above and are not in the release."
    )


def _licences(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """What the sources say of each row's licence, by source where there are a few."""
    (sources,) = connection.execute(_SOURCES).fetchone() or (0,)
    apart = 1 < sources <= _FOLDERS
    of = "split_part(r.source_file, '/', 1)" if apart else "''"
    found = connection.execute(_LICENCES.format(of=of)).fetchall()
    rows, released = (sum(line[at] for line in found) for at in (2, 3))
    if all(licence is None for _, licence, _, _ in found):
        yield "The source names no licence of its rows."
        return
    yield "What the source says of a row's licence; it is in `license` of each sample, and nobody verified it."
    yield ""
    yield f"| {'source | ' if apart else ''}licence | source rows | released | share |"
    yield f"|{'---|' if apart else ''}---|---:|---:|---:|"
    for source, licence, count, kept in found[:_MOST]:
        first = f"{_text(source)} | " if apart else ""
        named = "none named" if licence is None else _text(licence) or "empty"
        yield f"| {first}{named} | {count:,} | {kept:,} | {share(kept, released)} |"
    if rest := found[_MOST:]:
        first = " | " if apart else ""
        kept = sum(line[3] for line in rest)
        yield f"| {first}{len(rest):,} others | {sum(x[2] for x in rest):,} | {kept:,} | {share(kept, released)} |"
    yield f"| {' | ' if apart else ''}**all** | {rows:,} | {released:,} | |"


def _opt_outs(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """How many images opted out, by what the server said."""
    found = connection.execute(_OPT_OUTS).fetchall()
    if found:
        yield "| opt-outs honoured | what was found | images |"
        yield "|---|---|---:|"
        for reason, text, count in found[:_MOST]:
            yield f"| {reason} | {_text(text or '')} | {count:,} |"
        if rest := found[_MOST:]:
            yield f"| | {len(rest):,} other wordings | {sum(line[2] for line in rest):,} |"
        yield f"| **all** | | {sum(line[2] for line in found):,} |"
    else:
        yield "No image opted out."
    seen, released = connection.execute(_NOT_HONOURED).fetchone() or (0, 0)
    if seen:
        yield ""
        yield (
            f"{seen:,} further images came with an opt-out that the recipe does not honour; {released:,} of them are "
            "in the release (`opt_out` in the table `images`)."
        )


def _text(text: str) -> str:
    """A stranger's text for one cell."""
    return cell(first_words(text, _LONGEST))
