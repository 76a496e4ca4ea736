"""The funnel: how many source rows ended where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class FunnelRow:
    """One line of the funnel; ``reason`` is None for what was kept."""

    stage: str
    fate: str
    reason: str | None
    rows: int


@dataclass(frozen=True)
class GoneRows:
    """How many rows the source no longer holds, and how many of them stand in the release."""

    rows: int = 0
    released: int = 0

    def __str__(self) -> str:
        if not self.rows:
            return ""
        return f"The source no longer holds {self.rows:,} of these rows; {self.released:,} of them are in the release."


def read_gone(connection: duckdb.DuckDBPyConnection) -> GoneRows:
    """The rows of a root that have left its source, from a connection to its catalog."""
    query = "SELECT count(*), count(*) FILTER (fate = 'kept') FROM samples WHERE gone"
    return GoneRows(*(connection.execute(query).fetchone() or ()))


def read_funnel(connection: duckdb.DuckDBPyConnection) -> list[FunnelRow]:
    """The funnel of a root, from a connection to its catalog, in the order of the stages."""
    found = connection.execute("SELECT stage, fate, reason, rows FROM funnel").fetchall()
    return [FunnelRow(*row) for row in found]


def kept(funnel: Sequence[FunnelRow]) -> int:
    """Rows that stand in the release."""
    return sum(row.rows for row in funnel if row.fate == "kept")


def total(funnel: Sequence[FunnelRow]) -> int:
    """Rows of the source."""
    return sum(row.rows for row in funnel)


def to_markdown(funnel: Sequence[FunnelRow], gone: GoneRows = GoneRows()) -> str:  # frozen
    """A table with each line's share of the source, and the sum; then a sentence on the rows that are gone."""
    source = total(funnel)
    lines = ["| stage | fate | reason | rows | share |", "|---|---|---|---:|---:|"]
    for row in funnel:
        share = f"{row.rows / max(1, source):.2%}"
        lines.append(f"| {row.stage} | {row.fate} | {row.reason or ''} | {row.rows} | {share} |")
    lines.append(f"| | | **source rows** | **{source}** | |")
    return "\n".join([*lines, "", str(gone)] if gone is not None and gone.rows else lines)
