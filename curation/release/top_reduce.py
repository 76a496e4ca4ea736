"""Chooses the best samples by a score, and sorts the chosen ones into tiers, each of which holds the one before it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import duckdb
import pyarrow as pa

from curation.core.errors import RecipeError
from curation.core.run import Step, parts_of
from curation.core.sql import name
from curation.core.stage import Reduction, setting
from curation.core.store import Store
from curation.core.verdict import Annotations, Decides, Verdict
from curation.release.views.groups import gather, root_database
from curation.scores.installed import installed
from curation.scores.scorer import record_of
from schemas.arrow import Record, schema_of
from schemas.captions import Score
from schemas.reasons import Reason
from schemas.records import SourceRow
from schemas.refine import Export
from schemas.scores import TopVerdict

SIMILARITY = "similarity"
_OF_SOURCE = ("similarity", "aesthetic", "punsafe", "pwatermark")
_SOURCE = "source."
_SCORED = """
SELECT v.sample_id, v.source_shard, ({score})::DOUBLE AS score, ({tier_score})::DOUBLE AS tier_score
FROM verdicts v{joins} WHERE v.through
"""
_NTH = "SELECT {column} FROM {relation} WHERE {column} IS NOT NULL ORDER BY {column} DESC LIMIT 1 OFFSET $before"
_LEAST = "SELECT min({column}) FROM {relation}"
_JUDGED = """
SELECT sample_id, score,
    CASE WHEN reason IS NULL THEN {tier} END AS tier, reason,
    CASE WHEN reason IS NOT NULL THEN
        CASE WHEN score IS NULL THEN 'its score is unknown' ELSE format('{{:.5g}} is below {{:.5g}}', score, $least) END
    END AS detail
FROM (SELECT *, CASE WHEN {in_top} THEN NULL ELSE $reason END AS reason FROM scored WHERE source_shard = $shard)
ORDER BY sample_id
"""


@dataclass(frozen=True)
class Found:
    """A score as SQL over the root's views: what is joined to ``verdicts v``, its value, and the table that is read."""

    join: str
    value: str
    record: type[Record]


@dataclass(frozen=True)
class TopReduce:
    """Keeps the share of the samples that have the highest scores, and names the tier of each.

    The score that a sample must reach is found once, over all samples that passed all other stages, and then stays:
    a root that grows loses nothing of what was released, and takes in what reaches the same score. Likewise the score
    of each tier. Tiers by chance go by a hash of the sample and need no such number. Another share, score or set of
    tiers is found anew. A sample whose score is unknown ranks last.
    """

    name: ClassVar[str] = "top"
    version: ClassVar[int] = 1
    writes: ClassVar[type[Record]] = TopVerdict

    score: str
    share: float
    tiers: tuple[tuple[str, float], ...]
    tier_score: str
    seed: int
    before: tuple[Step, ...] = setting((), digest=False)

    @classmethod
    def of(cls, form: Export, before: Sequence[Step]) -> Self:
        """What a recipe asks for; ``before`` are the steps whose samples it chooses from."""
        tiers = tuple(sorted(form.tiers.items(), key=lambda t: (t[1], t[0])))
        return cls(form.top.score, form.top.share, tiers, form.tier_score, form.seed, tuple(before))

    @property
    def on(self) -> bool:
        return bool(self.score or self.tiers)

    @property
    def reads(self) -> tuple[type[Record], ...]:
        parts = (part for part in parts_of(self.before) if isinstance(part, Decides))
        found = {record: None for part in parts for record in part.verdict.reads}
        named = (self._found(s) for s in (self.score, self.tier_score) if s)
        return tuple(found | {f.record: None for f in named if f is not None})

    @property
    def verdict(self) -> Verdict:
        lost = {Reason.NOT_IN_TOP.value: "a score below that of the share export.top.share of the samples"}
        columns = Verdict.each(TopVerdict, lost)
        settings = {"top": [self.score, self.share], "tiers": [list(t) for t in self.tiers], "by": self.tier_score}
        return Verdict(
            columns.relation, columns.reads, columns.reasons, reason="v.reason", detail="v.detail", settings=settings
        )

    @property
    def annotations(self) -> Annotations:
        return Annotations.columns(TopVerdict, {"tier": "tier"} if self.tiers else {})

    def ready(self, store: Store | None) -> Self:
        """Raises ``RecipeError`` for a score that nobody computes."""
        for key, score in (("export.top.score", self.score), ("export.tier_score", self.tier_score)):
            if not score:
                continue
            found = self._found(score)
            if found is None:
                known = scores()
                near = difflib.get_close_matches(score, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
                raise RecipeError(f"{key} names {score!r}, which is no score of an image; {hint}")
            if found.record not in self._written():
                raise RecipeError(
                    f"{key} names {score!r}, which the recipe does not compute (table {found.record.table}): "
                    + ("name a checkpoint in scores.model" if found.record is Score else _compute(score))
                )
        return self

    def _written(self) -> set[type[Record]]:
        return {part.writes for step in self.before if step.on for part in step.active}

    def _found(self, score: str) -> Found | None:
        """What a name means in this recipe: the source's score where a scorer of that name is not asked."""
        found = score_of(score)
        if found is None or found.record in self._written() or score == SIMILARITY:
            return found
        return score_of(_SOURCE + score) or found

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        known: dict[str, float] = dict(previous.get("least", {}))
        return Reduction(self._shards(store, known), lambda: {"least": dict(sorted(known.items()))})

    def _shards(self, store: Store, known: dict[str, float]) -> Iterator[tuple[str, pa.Table]]:
        with root_database(store, "rank the samples", self.before) as database:
            gather(database, store, self.before, "scored", self._scored())
            if self.score:
                _find_least(database, known, "top", "scored", "score", self.share)
            if self.tier_score:
                chosen = f"(FROM scored WHERE {_reaches('score', known.get('top')) if self.score else 'true'})"
                for tier, share in self.tiers:
                    _find_least(database, known, f"tier {tier}", chosen, "tier_score", share)
            shards = database.execute("SELECT DISTINCT source_shard FROM scored ORDER BY 1").fetchall()
            schema = schema_of(TopVerdict)
            for (shard,) in shards:
                yield str(shard), self._judged(database, str(shard), known).select(schema.names).cast(schema)

    def _scored(self) -> str:
        of = {key: self._found(s) for key, s in (("score", self.score), ("tier_score", self.tier_score)) if s}
        joins = "".join(f" LEFT JOIN {found.join.format(at=key)}" for key, found in of.items() if found is not None)
        values = {key: found.value.format(at=key) for key, found in of.items() if found is not None}
        return (
            _SCORED.format(score="NULL", tier_score="NULL", joins=joins)
            if not values
            else _SCORED.format(**{"score": "NULL", "tier_score": "NULL"} | values, joins=joins)
        )

    def _judged(self, database: duckdb.DuckDBPyConnection, shard: str, known: Mapping[str, float]) -> pa.Table:
        in_top = _reaches("score", known.get("top")) if self.score else "true"
        query = _JUDGED.format(in_top=in_top, tier=self._tier(known))
        asked = {"shard": shard, "reason": Reason.NOT_IN_TOP.value, "least": known.get("top", math.nan)}
        found: pa.Table = database.sql(query, params=asked).to_arrow_table()
        return found

    def _tier(self, known: Mapping[str, float]) -> str:
        """SQL: the smallest tier that holds a sample; null where none does."""
        by_chance = f"('0x' || sha256('{self.seed}:tier:' || sample_id)[1:12])::UBIGINT / (2.0 ^ 48)"
        cases = ""
        for tier, share in self.tiers:
            inside = (
                _reaches("tier_score", known.get(f"tier {tier}")) if self.tier_score else f"{by_chance} < {share!r}"
            )
            cases += f" WHEN {'true' if share == 1 else inside} THEN {_literal(tier)}"
        return f"CASE{cases} END" if cases else "NULL"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _reaches(column: str, least: float | None) -> str:
    return "false" if least is None else f"coalesce({column} >= {least!r}::DOUBLE, false)"


def _find_least(
    database: duckdb.DuckDBPyConnection, known: dict[str, float], key: str, relation: str, column: str, share: float
) -> None:
    """Adds the score that the best ``share`` of a relation reach, unless it is known from before."""
    if key in known:
        return
    ((count,),) = database.execute(f"SELECT count(*) FROM {relation}").fetchall()  # noqa: S608  # of our own
    if not count:
        return
    best = max(1, math.ceil(share * count - 1e-9))
    asked = {"column": column, "relation": relation}
    row = database.execute(_NTH.format(**asked), {"before": best - 1}).fetchone()
    row = row or database.execute(_LEAST.format(**asked)).fetchone()
    if row is not None and row[0] is not None:
        known[key] = float(row[0])


def score_of(score: str) -> Found | None:
    """What a name of a score means; None for a name of none.

    It is a score of a scorer, ``similarity`` of the captions, or ``source.NAME`` for what the source says; a plain name
    of the latter will do where no scorer of that name is asked.
    """
    for scorer in installed().scorers:
        if any(c.name == score and c.kind == "number" for c in scorer.columns):
            record = record_of(scorer)
            join = f"{name(record.table)} {{at}} ON {{at}}.sample_id = v.sample_id"
            return Found(join, f"{{at}}.{name(score)}", record)
    if score == SIMILARITY:
        best = "(SELECT sample_id, max(similarity) AS best FROM scores WHERE kind <> 'alt_text' GROUP BY sample_id)"
        return Found(f"{best} {{at}} ON {{at}}.sample_id = v.sample_id", "{at}.best", Score)
    plain = score.removeprefix(_SOURCE)
    if plain in _OF_SOURCE:
        same = "{at}.source_file = v.source_file AND {at}.source_row = v.source_row"
        return Found(f"rows {{at}} ON {same}", f"{{at}}.{name(plain)}", SourceRow)
    return None


def scores() -> list[str]:
    """The names of all scores that samples can be chosen by."""
    own = [c.name for s in installed().scorers for c in s.columns if c.kind == "number"]
    return [*own, SIMILARITY, *(_SOURCE + column for column in _OF_SOURCE)]


def _compute(score: str) -> str:
    scorer = next((s.name for s in installed().scorers if any(c.name == score for c in s.columns)), "pixels")
    return f"add {scorer!r} to scores.compute"
