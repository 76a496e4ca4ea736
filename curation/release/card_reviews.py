"""The card's section on what people decided and what an audit of the release found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from curation.core.run import Part
from curation.core.verdict import Decides
from curation.reviews.audit import QUESTIONS, Agreement, Audit, Rate, audit_of
from schemas.reviews import Review

_MOST_PAIRS = 5
_COUNTS = """
SELECT count(*) FILTER (r.rejected), count(*) FILTER (r.kept AND r.edited AND p.sample_id IS NOT NULL),
    count(*) FILTER (r.kept AND NOT r.edited AND p.sample_id IS NOT NULL)
FROM reviewed r LEFT JOIN placements p USING (sample_id)
"""
_PEOPLE = "SELECT count(DISTINCT who) FROM reviews"


def reviews_section(connection: duckdb.DuckDBPyConnection, parts: Sequence[Part | object]) -> str:
    """What people decided; empty where nobody did, or the product has no reviews. Nobody is named."""
    declared = (record for part in parts if isinstance(part, Decides) for record in part.verdict.beside)
    if Review not in declared:
        return ""
    (people,) = connection.execute(_PEOPLE).fetchone() or (0,)
    if not people:
        return ""
    rejected, edited, kept = connection.execute(_COUNTS).fetchone() or (0, 0, 0)
    lines = [
        "## Review by people",
        "",
        f"{people} {'person' if people == 1 else 'people'} looked at samples: {rejected:,} were taken out, {edited:,} "
        f"were released with an edited caption, {kept:,} were kept as they are.",
    ]
    if (audit := audit_of(connection)) is not None:
        lines += ["", *_audited(audit)]
    return "\n".join(lines)


def _audited(audit: Audit) -> Iterator[str]:
    yield (
        f"{audit.samples:,} released captions, drawn at random, were read beside their pictures by {audit.people} "
        f"{'person' if audit.people == 1 else 'people'}."
    )
    yield ""
    yield "| question | captions | share | 95 % interval (Wilson) |"
    yield "|---|---:|---:|---:|"
    for key, said in QUESTIONS.items():
        yield _line(said, audit.rates[key])
    yield _line("either", audit.either)
    if audit.agreements:
        yield ""
        yield "| two people, Cohen's kappa | captions | " + " | ".join(QUESTIONS.values()) + " |"
        yield "|---|---:|" + "---:|" * len(QUESTIONS)
        for number, found in enumerate(audit.agreements[:_MOST_PAIRS], 1):
            yield _agreement(number, found)


def _line(said: str, rate: Rate) -> str:
    low, high = rate.interval
    return f"| {said} | {rate.errors:,} of {rate.samples:,} | {rate.share:.1%} | {low:.1%} to {high:.1%} |"


def _agreement(number: int, found: Agreement) -> str:
    kappas = (found.kappa[key] for key in QUESTIONS)
    cells = " | ".join("one answer only" if k is None else f"{k:.2f}" for k in kappas)
    return f"| pair {number} | {found.samples:,} | {cells} |"
