"""Pictures on either side of a threshold: the eight that are nearest to it below, and the eight nearest above."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from curation.core.recipes import Difference
from curation.core.sql import literals, name
from curation.scores.scorer import record_of
from curation.what_if.placed import SAMPLE
from curation.what_if.question import Question

MOST = 8
_WORDS = r"len(regexp_extract_all(alt_text, '\S+'))"
# What each filter of the source looks at, in the columns of ``rows``; the sides are alike, as the filters have it.
_VALUES = {
    "min_side": "least(claimed_width, claimed_height)",
    "max_aspect": "greatest(claimed_width, claimed_height) / least(claimed_width, claimed_height)",
    "min_words": _WORDS,
    "min_characters": "length(alt_text)",
    "max_characters": "length(alt_text)",
    "min_similarity": "similarity",
    "min_aesthetic": "aesthetic",
    "max_punsafe": "punsafe",
    "max_pwatermark": "pwatermark",
}
# The nearest values are found by numbers alone; of these few rows the ids are read.
_LAST = """
SELECT max(value, {first}) FILTER (stays <> {least})[{first}], min(value, {first}) FILTER (stays = {least})[{first}]
FROM (SELECT value, {stays} AS stays FROM ({valued}) WHERE isfinite(value))
"""
_WITHIN = """
CREATE OR REPLACE TEMP TABLE within AS
SELECT {asked} AS asked, {stays} AS stays, sample_id, shard, value, abs(value - {threshold}) AS away
FROM ({valued}) WHERE isfinite(value){within}
"""
_NEAREST = """
INSERT INTO nearest FROM within WHERE stays = {side} ORDER BY away, sample_id LIMIT {first}
"""
_FIRST = 400
_FOUND = f"""
SELECT asked, stays, sample_id, value, shard, {SAMPLE} IN (
    SELECT sample FROM kept_rows SEMI JOIN (SELECT {SAMPLE} AS sample FROM nearest) USING (sample))
FROM nearest ORDER BY away, sample_id
"""  # noqa: S608  # our own
# What dedupe kept has a picture; what a filter kept out was never fetched.
_PICTURED = """
SELECT sample_id FROM (FROM stored_images WHERE {within}) SEMI JOIN {asked} USING (sample_id)
ANTI JOIN (FROM stored_duplicates WHERE reason IS NOT NULL AND {within}) USING (sample_id)
WHERE "offset" IS NOT NULL
"""
_SHARDS = "SELECT DISTINCT shard FROM asked_rows WHERE sample_id IN (SELECT unnest($ids))"
_ANY = f"""
SELECT {{asked}}, {{stays}}, sample_id, value, shard, true FROM ({{valued}})
WHERE isfinite(value) AND {{stays}} = {{side}}
    AND {SAMPLE} IN (SELECT sample FROM kept_rows UNION ALL SELECT {SAMPLE} FROM pictured)
ORDER BY abs(value - {{threshold}}), sample_id LIMIT {{first}}
"""  # noqa: S608  # our own
_TEXTS = """
SELECT sample_id, any_value(alt_text) FROM stored_rows WHERE {within} AND sample_id IN (SELECT unnest($ids))
GROUP BY sample_id
"""
_IMAGES = """
SELECT sample_id, sha256, "offset", size, shard AS images_shard, width, height
FROM stored_images WHERE {within} AND sample_id IN (SELECT unnest($ids))
"""
_OF_CAPTIONS = """
SELECT sample_id, any_value(shard) AS shard, max(similarity)::DOUBLE AS value FROM stored_scores
WHERE kind <> 'alt_text' GROUP BY sample_id
"""


@dataclass(frozen=True)
class Shown:
    """A row beside a threshold: its value there, its text, and the columns of its image."""

    value: float
    text: str
    image: dict[str, Any]


@dataclass(frozen=True)
class Sides:
    """A threshold of a key, with the rows nearest to it that stay and that go."""

    key: str
    threshold: float | None
    before: Any
    stay: tuple[Shown, ...]
    go: tuple[Shown, ...]


@dataclass(frozen=True)
class _Threshold:
    """A threshold, and the query for the values that it is held against; ``least`` where it is a lower limit."""

    difference: Difference
    valued: str
    least: bool

    @property
    def value(self) -> float:
        """The threshold; the former one where the limit was taken away."""
        return float(self.difference.ours if self.difference.ours is not None else self.difference.theirs)

    def terms(self, number: int) -> dict[str, str | int]:
        """What queries ask of the values of the threshold of a number; ``stays`` is whether one is within it."""
        return {
            "asked": number,
            "valued": self.valued,
            "stays": f"(value {'>=' if self.least else '<='} {self.value!r})",
            "least": str(self.least).lower(),
            "threshold": repr(self.value),
            "first": _FIRST,
        }


@dataclass(frozen=True)
class _Near:
    """A row near a threshold; ``seen`` is whether its picture is known to be there."""

    sample: str
    value: float
    shard: str
    seen: bool


_Side = tuple[int, bool]  # the number of a threshold, and whether the values stay
_SIDES = (True, False)


def sides(connection: duckdb.DuckDBPyConnection, question: Question) -> list[Sides]:
    """The sides of every threshold that was asked about, each with the nearest rows that have pictures first."""
    asked = list(_thresholds(question))
    connection.execute("""
        CREATE TEMP TABLE nearest (
            asked INTEGER, stays BOOLEAN, sample_id VARCHAR, shard VARCHAR, value DOUBLE, away DOUBLE)""")
    complete: dict[_Side, bool] = {}
    for number, threshold in enumerate(asked):
        complete |= _find_nearest(connection, number, threshold)
    near: dict[_Side, list[_Near]] = {side: [] for side in complete}
    for number, stays, sample, value, shard, kept in connection.execute(_FOUND).fetchall():
        near[number, stays].append(_Near(sample, value, shard, kept))
    near = {side: _once(found) for side, found in near.items()}
    pictured = _pictured(connection, [n.sample for found in near.values() for n in _to_look_at(found)])
    chosen = {
        side: _first([replace(n, seen=n.seen or n.sample in pictured) for n in found]) for side, found in near.items()
    }
    for side, found in chosen.items():
        if not complete[side] and not all(n.seen for n in found):
            chosen[side] = _first([*_any(connection, side, asked[side[0]]), *found])
    texts, images = _looked_up(connection, [n for found in chosen.values() for n in found])

    def shown(side: _Side) -> tuple[Shown, ...]:
        return tuple(Shown(n.value, texts[n.sample], images.get(n.sample, {})) for n in chosen[side])

    return [
        Sides(t.difference.key, t.value, t.difference.theirs, shown((number, True)), shown((number, False)))
        for number, t in enumerate(asked)
    ]


def _thresholds(question: Question) -> Iterator[_Threshold]:
    for difference in question.changed:
        table, _, rest = difference.key.partition(".")
        if table == "source" and rest in _VALUES:
            yield _Threshold(difference, _of_rows(_VALUES[rest]), rest.startswith("min"))
        elif difference.key == "scores.min_caption_similarity":
            yield _Threshold(difference, _OF_CAPTIONS, True)
        elif table == "scores" and question.limits:
            yield from _of_score(question, rest)


def _of_rows(value: str) -> str:
    return f"SELECT sample_id, shard, ({value})::DOUBLE AS value FROM stored_rows"  # noqa: S608  # our own


def _of_score(question: Question, score: str) -> Iterator[_Threshold]:
    stages = (question.limits_stage(r) for r in (question.ours, question.theirs))
    scorer = next(s for stage in stages if stage for s in stage.scorers if any(c.name == score for c in s.columns))
    table = name("stored_" + record_of(scorer).table)
    valued = f"SELECT sample_id, shard, {name(score)}::DOUBLE AS value FROM {table}"  # noqa: S608  # quoted
    theirs, ours = (getattr(r, "scores").limits.get(score) for r in (question.theirs, question.ours))  # noqa: B009
    for bound in ("min", "max"):
        before, after = getattr(theirs, bound, None), getattr(ours, bound, None)
        if before != after:
            yield _Threshold(Difference(f"scores.{score}.{bound}", before, after), valued, bound == "min")


def _find_nearest(connection: duckdb.DuckDBPyConnection, number: int, threshold: _Threshold) -> dict[_Side, bool]:
    """Notes the values nearest to a threshold on each of its sides; whether these are all that there are."""
    terms = threshold.terms(number)
    low, high = connection.execute(_LAST.format(**terms)).fetchone() or (None, None)
    bounds = (("value >=", low), ("value <=", high))
    within = "".join(f" AND {bound} {float(value)!r}" for bound, value in bounds if value is not None)
    connection.execute(_WITHIN.format(**terms, within=within))
    for side in _SIDES:
        connection.execute(_NEAREST.format(side=side, first=_FIRST))
    above, below = (high is None, low is None)
    return {(number, True): above if threshold.least else below, (number, False): below if threshold.least else above}


def _once(found: Iterable[_Near]) -> list[_Near]:
    """The rows of different samples: some repeat others."""
    once: dict[str, _Near] = {}
    for near in found:
        once.setdefault(near.sample, near)
    return list(once.values())


def _to_look_at(found: Sequence[_Near]) -> list[_Near]:
    """The rows of which it has to be known whether they have pictures: those before enough that surely have."""
    seen = 0
    for at, near in enumerate(found):
        seen += near.seen
        if seen == MOST:
            return [n for n in found[:at] if not n.seen]
    return [n for n in found if not n.seen]


def _first(found: Iterable[_Near]) -> list[_Near]:
    """So many as are shown: first those with pictures, each in the order given."""
    return sorted(_once(found), key=lambda n: not n.seen)[:MOST]


def _pictured(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> set[str]:
    """Those of these samples, none of which was released, that have a picture that dedupe kept."""
    if not ids:
        return set()
    shards = [str(shard) for (shard,) in connection.execute(_SHARDS, {"ids": ids}).fetchall()]
    asked = "(SELECT unnest($ids) AS sample_id)"
    query = _PICTURED.format(within=_in(shards), asked=asked)
    return {str(sample) for (sample,) in connection.execute(query, {"ids": ids}).fetchall()}


def _any(connection: duckdb.DuckDBPyConnection, side: _Side, threshold: _Threshold) -> list[_Near]:
    """The nearest rows on a side that have pictures, however far they are."""
    every = _PICTURED.format(within="true", asked="asked_samples")
    connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS pictured AS {every}")
    found = connection.execute(_ANY.format(**threshold.terms(side[0]), side=side[1])).fetchall()
    return [_Near(sample, value, shard, seen) for _, _, sample, value, shard, seen in found]


def _looked_up(
    connection: duckdb.DuckDBPyConnection, chosen: Sequence[_Near]
) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Texts of samples, and the columns of their images. Only their shards are read, where these have all."""
    ids = [n.sample for n in chosen]
    shards = _in({n.shard for n in chosen})
    texts = dict(connection.execute(_TEXTS.format(within=shards), {"ids": ids}).fetchall())
    images = _images(connection, ids, shards)
    if lacking := [n.sample for n in chosen if n.seen and n.sample not in images]:
        images |= _images(connection, lacking, "true")  # the picture of a repeat stands in the shard of another row
    return {sample: str(text) for sample, text in texts.items()}, images


def _images(connection: duckdb.DuckDBPyConnection, ids: Sequence[str], within: str) -> dict[str, dict[str, Any]]:
    found = connection.execute(_IMAGES.format(within=within), {"ids": ids})
    names = [str(column[0]) for column in found.description or ()]
    return {str(row[0]): dict(zip(names, row, strict=True)) for row in found.fetchall()}


def _in(shards: Iterable[str]) -> str:
    """Whether a row of a view stands in one of these shards; of the others no file is opened."""
    return f"list_contains({literals(sorted(shards))}, shard)"
