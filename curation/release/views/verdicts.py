"""The views ``verdicts``, ``samples``, ``funnel`` and ``stages``, made from what the steps' parts declare."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from curation.core.run import Part
from curation.core.sql import literal, literals, name
from curation.core.verdict import Decides, Verdict, View, ViewColumn
from curation.release.views.tables import comments
from schemas.arrow import columns
from schemas.reasons import Fate, Reason
from schemas.records import Placement, Released, SourceRow

END = "release"
"""The stage at which a sample is when nothing stands against it: it is to be placed and exported."""

_V = re.compile(r"\bv\.")
_IMAGE_ID = re.compile(r"\bimage_id\b")
_FROM_ROWS = ("source_file", "source_row", "sample_id", "url", "alt_text", "license")
_DOCS = {c.name: c.doc for c in columns(SourceRow)}
_VERDICTS_DOCS = {
    "source_shard": "the shard that holds the row",
    "source_note": "what was wrong with the row in its source, although it can be used",
    "license": "as in rows",
    "through": "whether nothing stands against its release",
    "stage": "the stage that decided, or the first one that has not",
    "reason": "why it was rejected; null when it is through or no verdict was reached",
    "detail": "what was found, for people",
    "awaited": "the table that would decide next; null where a reason stands",
}
_SAMPLES_DOCS = {
    "fate": "kept (it stands in the release), rejected (a stage decided against it), failed (no verdict was reached)",
    "stage": "as in the view stages: who decided, or the first that has not",
    "reason": "why it is not kept; shard_failed or unfinished where it failed; null when kept",
    "detail": "what was found, for people; the error where a shard failed; a note on the source of a kept row",
    "caption": "the caption in the release; for other rows the preferred reply, where there is one",
    "words": "in caption",
    "split": "train, val or test; null for rows without a place",
    "shard": "release shard, e.g. train-000000; null for rows without a place",
}
_OF_PLACES = ("placed_caption", "placed_words", "released", "ruled_at", "image_id")


@dataclass(frozen=True)
class _Decision:
    """A verdict with its place among all, from 0, and the name of its join.

    Where a row ended is one number, twice the place of who is waited for, or one more of who decided. What is shown
    of it (stage, reason, detail) are columns of their own: a query that asks for some does not pay for the others.
    """

    part: Part
    verdict: Verdict
    alias: str
    place: int
    early: bool = False  # about rows, before any verdict about samples

    @property
    def label(self) -> str:
        return self.verdict.label or self.part.name

    def sql(self, expression: str) -> str:
        return _V.sub(f"{self.alias}.", expression)

    @property
    def waiting(self) -> int:
        return 2 * self.place

    @property
    def decided(self) -> int:
        return 2 * self.place + 1

    @property
    def found(self) -> tuple[str, str]:
        """The columns that hold the reason and the detail until it is known who decided."""
        return f"reason_{self.place}", f"detail_{self.place}"

    def cases(self, overruled: str = "false") -> Iterator[str]:
        """The branches of CASE for a sample that got here; ``overruled`` holds where people set its reason aside."""
        if self.verdict.waiting != "false":
            yield f"WHEN {self.sql(self.verdict.waiting)} THEN {self.waiting}"
        if self.verdict.reasons:
            stands = f" AND NOT ({overruled})" if self.verdict.yield_to_people and overruled != "false" else ""
            yield f"WHEN {self.sql(self.verdict.reason)} IS NOT NULL{stands} THEN {self.decided}"

    def columns(self) -> Iterator[str]:
        """What is selected for ``found``."""
        if self.verdict.reasons:
            reason, detail = self.sql(self.verdict.reason), self.sql(self.verdict.detail)
            yield f"({reason})::VARCHAR AS {self.found[0]}"
            yield f"CASE WHEN {reason} IS NOT NULL THEN ({detail})::VARCHAR END AS {self.found[1]}"


def decisions_of(parts: Sequence[Part]) -> list[_Decision]:
    """The verdicts that the parts declare, in their order; those of one relation share its join.

    Raises ``ValueError`` for one that is called as the end is.
    """
    aliases: dict[tuple[str, bool, bool], str] = {(SourceRow.table, True, True): "r"}
    found: list[_Decision] = []
    for part in parts:
        if isinstance(part, Decides):
            verdict = part.verdict
            early = verdict.by_row and all(d.early for d in found)
            alias = aliases.setdefault((verdict.relation, verdict.by_row, early), f"v{len(aliases)}")
            found.append(_Decision(part, verdict, alias, len(found), early))
            if found[-1].label == END:
                raise ValueError(f"no stage may be called {END!r}: that is where samples are that passed all stages")
    return found


def stage_names(parts: Sequence[Part]) -> list[str]:
    """Names of stages as ``samples`` has them, in their order."""
    return list(dict.fromkeys([*(d.label for d in decisions_of(parts)), END]))


def verdicts_query(parts: Sequence[Part], rows: str) -> str:
    """The SQL of the view ``verdicts`` over ``rows``, a relation in the place of the table of that name.

    Wants the views of the tables and the parts' own.
    """
    return _verdicts(decisions_of(parts), rows)


def verdict_views(parts: Sequence[Part]) -> Iterator[str]:
    """The SQL of all views about samples; wants those of the tables, ``failures`` and the parts' own."""
    decisions = decisions_of(parts)
    _check_columns(decisions)
    shown = [c for d in decisions for c in d.verdict.columns if c.in_samples]
    for view in own_views(parts):
        yield f"CREATE VIEW {name(view.name)} AS {view.query}"
        yield f"COMMENT ON VIEW {name(view.name)} IS {literal(view.doc)}"
        yield from comments(view.name, view.columns)
    yield f"CREATE VIEW verdicts AS {_verdicts(decisions)}"
    yield (
        "COMMENT ON VIEW verdicts IS 'How far each source row got before the release, and what stopped it; samples "
        "adds the release'"
    )
    yield from comments("verdicts", {n: _DOCS[n] for n in _FROM_ROWS} | _VERDICTS_DOCS | _own(decisions))
    yield f"CREATE VIEW samples AS {_samples(shown, 'shown' in _own(decisions))}"
    yield "COMMENT ON VIEW samples IS 'Every source row with its one fate, keyed by (source_file, source_row)'"
    docs = {n: _DOCS[n] for n in _FROM_ROWS if n != "license"}
    yield from comments("samples", docs | {c.name: c.doc for c in shown} | _SAMPLES_DOCS)
    yield from _stages(decisions)
    yield from _funnel(stage_names(parts))


def own_views(parts: Sequence[Part]) -> Iterator[View]:
    """The views that the parts' verdicts read beside the tables; they want those of the tables."""
    for decision in decisions_of(parts):
        yield from decision.verdict.views


def _check_columns(decisions: Sequence[_Decision]) -> None:
    """Raises ``ValueError`` where stages add a column of the views' own, or the same one twice."""
    taken = {*_FROM_ROWS, *_VERDICTS_DOCS, *_SAMPLES_DOCS, *_OF_PLACES, *(name for d in decisions for name in d.found)}
    for decision in decisions:
        for column in decision.verdict.columns:
            if column.name in taken:
                raise ValueError(f"stage {decision.label!r} adds a column {column.name!r}, which there is already")
            taken.add(column.name)


def _own(decisions: Sequence[_Decision]) -> dict[str, str]:
    return {c.name: c.doc for d in decisions for c in d.verdict.columns}


def _verdicts(decisions: Sequence[_Decision], rows: str = SourceRow.table) -> str:
    """Rows first meet the verdicts about rows that stand before all others; only what passes them has an image.

    A repeat shares its sample_id with the row that was kept for it; only that row may have an image.
    """
    of_rows = [d for d in decisions if d.early]
    of_samples = [d for d in decisions if not d.early]
    rows_joins, joins = _joins(of_rows, "r"), _joins(of_samples, "p")
    of_row = "".join(f", {d.sql(c.value)} AS {name(c.name)}" for d in of_rows for c in d.verdict.columns)
    cases = " ".join(c for d in of_rows for c in d.cases())
    overruling = [
        f"coalesce({d.sql(d.verdict.overrules)}, false)" for d in of_samples if d.verdict.overrules != "false"
    ]
    overruled = " OR ".join(overruling) or "false"
    end = 2 * len(decisions)
    own = "".join(f", {d.sql(_of_image(c))} AS {name(c.name)}" for d in of_samples for c in d.verdict.columns)
    names = ", ".join(_FROM_ROWS)
    return f"""
WITH ruled_rows AS (
    SELECT {", ".join(f"r.{n}" for n in _FROM_ROWS)}, r.shard AS source_shard, r.detail AS source_note,
        {f"CASE {cases} END" if cases else "NULL::INTEGER"} AS ruled_at
        {"".join(f", {c}" for d in of_rows for c in d.columns())}{of_row}
    FROM {rows} r{rows_joins}
), planned AS (
    SELECT *, CASE WHEN ruled_at IS NULL THEN sample_id END AS image_id FROM ruled_rows
), ruled AS (
    SELECT p.* EXCLUDE (ruled_at){own}{"".join(f", {c}" for d in of_samples for c in d.columns())},
        CASE WHEN p.ruled_at IS NOT NULL THEN p.ruled_at
            {" ".join(c for d in of_samples for c in d.cases(overruled))} ELSE {end} END AS ruled_at
    FROM planned p{joins}
)
SELECT {names}, source_shard, source_note{"".join(f", {name(c)}" for c in _own(decisions))},
    ruled_at = {end} AS through, {_shown(decisions)}
FROM ruled"""  # noqa: S608  # of declarations in this package's code and quoted names


def _shown(decisions: Sequence[_Decision]) -> str:
    """Stage, reason, detail and awaited table of where a row ended."""
    end = 2 * len(decisions)
    stages = {at: literal(d.label) for d in decisions for at in (d.waiting, d.decided)} | {end: literal(END)}
    awaited = {d.waiting: literal(d.part.writes.table) for d in decisions} | {end: literal(Released.table)}
    reasons = {d.decided: d.found[0] for d in decisions if d.verdict.reasons}
    details = {d.decided: d.found[1] for d in decisions if d.verdict.reasons}
    shown = {"stage": stages, "reason": reasons, "detail": details, "awaited": awaited}
    return ", ".join(f"{_by_place(values)} AS {column}" for column, values in shown.items())


def _by_place(values: Mapping[int, str]) -> str:
    cases = " ".join(f"WHEN {at} THEN {value}" for at, value in values.items())
    return f"CASE ruled_at {cases} END" if values else "NULL::VARCHAR"


def _joins(decisions: Sequence[_Decision], to: str) -> str:
    """A join for each relation that is not yet there."""
    joins = {"r": ""}
    for d in decisions:
        same = f"{d.alias}.sample_id = {to}.image_id"
        if d.verdict.by_row:
            same = f"{d.alias}.source_file = {to}.source_file AND {d.alias}.source_row = {to}.source_row"
        joins.setdefault(d.alias, f" LEFT JOIN {d.verdict.relation} {d.alias} ON {same}")
    return "".join(joins.values())


def _of_image(column: ViewColumn) -> str:
    return _IMAGE_ID.sub("p.image_id", column.value)


def _samples(shown: Sequence[ViewColumn], has_text: bool) -> str:
    seen = "v.shown" if has_text else "{'caption': NULL::VARCHAR, 'words': NULL::INTEGER}"
    columns_shown = "".join(f" v.{name(c.name)}," for c in shown)
    kept, rejected, failed = (literal(f.value) for f in (Fate.KEPT, Fate.REJECTED, Fate.FAILED))
    return f"""
WITH placed AS (
    SELECT v.*, p.split, p.shard, p.caption AS placed_caption, p.words AS placed_words,
        z.sample_id IS NOT NULL AS released
    FROM verdicts v
    LEFT JOIN {Placement.table} p ON p.sample_id = CASE WHEN v.through THEN v.sample_id END
    LEFT JOIN {Released.table} z ON z.sample_id = p.sample_id AND z.shard = p.shard
)
SELECT
    v.source_file, v.source_row, v.sample_id, v.url, v.alt_text,
    CASE WHEN v.reason IS NOT NULL THEN {rejected} WHEN v.released THEN {kept} ELSE {failed} END AS fate,
    v.stage,
    CASE
        WHEN v.reason IS NOT NULL THEN v.reason
        WHEN v.released THEN NULL
        WHEN f.error IS NOT NULL THEN {literal(Reason.SHARD_FAILED.value)}
        ELSE {literal(Reason.UNFINISHED.value)}
    END AS reason,
    coalesce(v.detail, CASE WHEN NOT v.released THEN f.error END, v.source_note) AS detail,{columns_shown}
    coalesce(v.placed_caption, {seen}.caption) AS caption,
    coalesce(v.placed_words, {seen}.words) AS words,
    v.split, v.shard
FROM placed v
LEFT JOIN failures f
    ON f."table" = CASE WHEN NOT v.released THEN v.awaited END
    AND f.shard = CASE WHEN v.through THEN v.shard ELSE v.source_shard END"""  # noqa: S608  # likewise


def _stages(decisions: Sequence[_Decision]) -> Iterator[str]:
    rows = [
        f"({at}, {literal(d.label)}, {literal(d.part.writes.table)}, {literals(d.verdict.reasons)})"
        for at, d in enumerate(decisions)
    ]
    rows.append(f"({len(decisions)}, {literal(END)}, {literal(Released.table)}, []::VARCHAR[])")
    yield f'CREATE VIEW stages AS SELECT * FROM (VALUES {", ".join(rows)}) AS t(position, stage, "table", reasons)'  # noqa: S608  # quoted
    yield "COMMENT ON VIEW stages IS 'The stages that decide on samples, in their order'"
    docs = {
        "position": "0 is the first",
        "stage": "its name, as in samples",
        "table": "the table that it writes",
        "reasons": "the reasons for which it rejects",
    }
    yield from comments("stages", docs)


def _funnel(names: Sequence[str]) -> Iterator[str]:
    fates = ", ".join(literal(f.value) for f in (Fate.REJECTED, Fate.FAILED, Fate.KEPT))
    yield f"""CREATE VIEW funnel AS
WITH counted AS (SELECT stage, fate, reason, count(*) AS "rows" FROM samples GROUP BY stage, fate, reason)
FROM counted
ORDER BY list_position({literals(names)}, stage), list_position([{fates}], fate), "rows" DESC,
    reason"""  # noqa: S608  # likewise
    yield "COMMENT ON VIEW funnel IS 'How many source rows ended where, in the order of the stages'"
    docs = dict.fromkeys(("stage", "fate", "reason"), "as in samples") | {"rows": "source rows"}
    yield from comments("funnel", docs)
