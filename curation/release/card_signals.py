"""The card's tables of signals: opt-outs by kind with what was honoured, and licences by who stated them."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from curation.core.printable import first_words
from curation.release.markdown import cell, share
from schemas.signals import Signals, SignalVerdict

_MOST = 20  # lines of a table
_LONGEST = 100  # characters of a text of strangers
_RELEASED = "(SELECT sample_id FROM placements SEMI JOIN released USING (sample_id, shard))"
_SIGNALS = f"""
SELECT s.what, s.verdict, count(DISTINCT s.sample_id) AS images,
    count(DISTINCT s.sample_id) FILTER (s.honoured) AS honoured, count(DISTINCT p.sample_id) AS released
FROM signals s LEFT JOIN {_RELEASED} p USING (sample_id)
WHERE s.verdict <> '{SignalVerdict.NOTICE.value}'
GROUP BY s.what, s.verdict ORDER BY honoured DESC, images DESC, s.what, s.verdict
"""  # noqa: S608  # of our own, as all here
_LICENCES = f"""
SELECT s.what, s.verbatim, count(DISTINCT s.sample_id) AS images, count(DISTINCT p.sample_id) AS released
FROM signals s LEFT JOIN {_RELEASED} p USING (sample_id)
WHERE s.verdict = '{SignalVerdict.LICENCE.value}'
GROUP BY s.what, s.verbatim ORDER BY released DESC, images DESC, s.what, s.verbatim
"""  # noqa: S608


def policy_of_signals(signals: Signals, *, honoured: bool, local: bool) -> str:
    """What was looked for, and what was done about it, in two sentences; ``honoured`` is ``download.opt_out``."""
    files = [name for name, on in (("robots.txt", signals.robots), ("tdmrep.json", signals.tdmrep)) if on]
    asked = f"{' and '.join(files)} of each host, " if files and not local else ""
    responses = "" if local else "the headers of each response, "
    done = {
        "whose use for training is forbidden": signals.forbidden,
        "under conditions": signals.constrained,
        "with only a licence or policy linked": signals.licensed,
    }
    said = "; ".join(
        f"{which}: {'rejected' if honoured and deed == 'reject' else 'recorded'}" for which, deed in done.items()
    )
    return (
        f"Opt-outs and licences were looked for in {asked}{responses}and in the image files (XMP, IPTC, Exif, C2PA). "
        f"Images {said}. What could not be read is unknown, and rejects nothing."
    )


def signals_section(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Lines: the signals by kind, and the licences that hosts, responses and files state."""
    found = connection.execute(_SIGNALS).fetchall()
    if not found:
        yield "No image came with an opt-out, a condition or a licence."
        return
    yield "| signal | it says | images | rejected for it | released |"
    yield "|---|---|---:|---:|---:|"
    for what, verdict, images, honoured, released in found:
        yield f"| {what} | {verdict} | {images:,} | {honoured:,} | {released:,} |"
    yield ""
    yield "An image may have several; the texts as they came are in the table `signals`, hosts in `signals_by_host`."
    yield from _licences(connection)


def _licences(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    found = connection.execute(_LICENCES).fetchall()
    if not found:
        return
    released = sum(line[3] for line in found)
    yield ""
    yield "Licences and policies that hosts, responses and image files state; nobody has read them."
    yield ""
    yield "| stated in | licence or policy | images | released | share |"
    yield "|---|---|---:|---:|---:|"
    for what, text, images, kept in found[:_MOST]:
        yield f"| {what} | {cell(first_words(text, _LONGEST))} | {images:,} | {kept:,} | {share(kept, released)} |"
    if rest := found[_MOST:]:
        kept = sum(line[3] for line in rest)
        yield f"| | {len(rest):,} others | {sum(x[2] for x in rest):,} | {kept:,} | {share(kept, released)} |"
