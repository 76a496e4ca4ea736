"""Warnings about a release that is empty, or that lost most of its rows to one reason."""

from __future__ import annotations

from collections.abc import Sequence

from curation.release.funnel import FunnelRow, kept, total
from curation.release.remedies import remedy

MOST = 0.5  # of all source rows; more of them lost to one reason are worth a warning
LEAST_ROWS = 20  # of fewer source rows, the share that one reason took says little: two of three are soon lost
_SHOWN = 3


def warnings(funnel: Sequence[FunnelRow]) -> list[str]:
    """One line for an empty release, and one for each reason that took more than half of the rows.

    Empty where the release has samples and no reason took that many, or the source has fewer than ``LEAST_ROWS`` rows.
    """
    rows = total(funnel)
    lost = sorted((r for r in funnel if r.fate == "rejected"), key=lambda r: -r.rows)
    most = [r for r in lost if rows >= LEAST_ROWS and r.rows > MOST * rows]
    lines = []
    if rows and not kept(funnel):
        lines.append(f"nothing was released: none of {rows:,} source rows is left")
        most = most or lost[:_SHOWN]
    return lines + [
        f"{r.rows:,} of {rows:,} rows ({r.rows / rows:.0%}) were lost at {r.stage} to {r.reason}: "
        f"{remedy(r.reason or '')}"
        for r in most
    ]
