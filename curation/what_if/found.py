"""What verdicts about samples find, in tables: what is true before a change and after it is looked for once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import duckdb

from curation.core.run import Part
from curation.core.verdict import Decides, Verdict
from schemas.arrow import Record

_FOUND = """
CREATE TEMP TABLE {table} AS
SELECT a.sample_id, {columns} FROM asked_samples a LEFT JOIN {relation} v ON v.sample_id = a.sample_id
"""


@dataclass(frozen=True)
class _Standing:
    """A part of a step whose verdict reads a table of what was found."""

    name: str
    writes: type[Record]
    verdict: Verdict


@dataclass
class Found:
    """The tables that there are, by the SQL that made them."""

    connection: duckdb.DuckDBPyConnection
    _tables: dict[str, str] = field(default_factory=dict)

    def parts(self, parts: Sequence[Part], changed: Collection[type[Record]] = (), *, anew: bool = False) -> list[Part]:
        """The same parts; their verdicts about samples read tables, made for the samples of ``asked_samples``.

        A table that is there is taken again, unless its verdict reads one of the ``changed`` records; with ``anew``
        none is. Verdicts about rows are left as they are.
        """
        if anew:
            self._tables = {}
        deciding = [(at, p, p.verdict) for at, p in enumerate(parts) if isinstance(p, Decides)]
        of_samples = [found for found in deciding if not found[2].by_row]
        made: dict[int, Part] = {at: part for at, part, verdict in deciding if verdict.by_row}
        for relation in dict.fromkeys(verdict.relation for _, _, verdict in of_samples):
            own = [(at, part, verdict) for at, part, verdict in of_samples if verdict.relation == relation]
            table = self._table(relation, [verdict for _, _, verdict in own], changed)
            for number, (at, part, verdict) in enumerate(own):
                made[at] = _Standing(part.name, part.writes, _of_table(verdict, table, number))
        return [made[at] for at in sorted(made)]

    def _table(self, relation: str, verdicts: Sequence[Verdict], changed: Collection[type[Record]]) -> str:
        columns = ", ".join(c for number, verdict in enumerate(verdicts) for c in _columns(verdict, number))
        query = _FOUND.format(table="{table}", columns=columns, relation=relation)
        stale = any(record in changed for verdict in verdicts for record in verdict.reads)
        if query not in self._tables or stale:
            (number,) = self.connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() or (0,)
            self._tables[query] = f"found_{number}"
            self.connection.execute(query.replace("{table}", self._tables[query], 1))
        return self._tables[query]


def _columns(verdict: Verdict, number: int) -> Iterator[str]:
    yield f"({verdict.waiting}) AS waiting_{number}"
    yield f"({verdict.reason})::VARCHAR AS reason_{number}"
    yield f"({verdict.overrules}) AS overrules_{number}"


def _of_table(verdict: Verdict, table: str, number: int) -> Verdict:
    return replace(
        verdict,
        relation=table,
        waiting="false" if verdict.waiting == "false" else f"v.waiting_{number}",
        overrules="false" if verdict.overrules == "false" else f"v.overrules_{number}",
        reason=f"v.reason_{number}" if verdict.reasons else "NULL",
        detail="NULL",
        columns=(),
        views=(),
    )
