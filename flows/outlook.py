"""What a run has left to do, for ``--dry-run``: shards and rows by table, and what they may take and cost.

Rates and tokens are those of earlier shards of the same root; where it has none, they are guesses and called so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import duckdb

from curation.catalog import connect
from curation.core.entries import Entries
from curation.core.errors import LapidaryError
from curation.core.pipeline import unfinished
from curation.core.printable import plural
from curation.core.recipes import differences
from curation.core.reduced import is_finished
from curation.core.root import read_recipe
from curation.core.run import Barrier, Part, Segment, Step, is_on
from curation.core.sql import literals
from curation.core.stage import Stage, digest
from curation.core.store import Store
from curation.core.verdict import Estimates, Pays, Replies
from curation.release.views.costs import Prices, prices_of
from curation.sources.planned import stem
from curation.sources.preview import Preview
from curation.sources.unplanned import gone_rows_of, passing_rows
from schemas.ids import shard_name
from schemas.part import Part as RecipePart
from schemas.records import SourceRow

_GUESSED_RATES = {
    "download": 30.0,
    "recaption": 1.0,
    "verify": 1.0,
    "candidate_recaption": 0.3,
    "candidate_verify": 0.3,
    "entities": 300.0,
    "check": 1000.0,
    "scores": 10.0,
    "features": 10.0,
}
_GUESSED_RATE = 500.0  # rows a second of one worker, for stages that compute little
_GUESSED_PROMPT = 1000.0  # tokens of a prompt with its image
_WORTH_TELLING = 1.0  # seconds
_MOST_SHARDS = 1000  # that are opened


@dataclass(frozen=True)
class Ahead:
    """What a part of a step has left: finished shards of all known ones, and the rows of the others, at most.

    Of these rows ``again`` are in ``again_shards`` that were finished with other settings.
    """

    part: Part
    finished: int
    shards: int
    rows: int
    workers: int = 1
    again: int = 0
    again_shards: int = 0

    @property
    def table(self) -> str:
        return self.part.writes.table


def describe_work(
    steps: Sequence[Step], store: Store, seen: Preview | None, recipe: RecipePart, ray: bool
) -> list[str]:
    """Lines about every table, and the sums; ``seen`` is the source, None where a run has none."""
    lines: list[str] = []
    hours = 0.0
    for work in ahead(steps, store, seen, ray=ray):
        seconds, basis = _seconds(store, work)
        line = f"{work.table:<15} {work.finished:,} of {plural(work.shards, 'shard')} finished"
        if not work.rows:
            lines.append(line)
            continue
        line += f", {plural(work.rows, 'row')} to do at most"
        if seconds >= _WORTH_TELLING:
            line += f", about {duration(seconds)} ({basis})"
        lines.append(line)
        lines += _again(work, store, recipe)
        if isinstance(work.part, Estimates):
            lines += [f"  {label:<12} {expected}".rstrip() for label, expected in work.part.estimate(work.rows)]
        lines += _money(work, store, recipe, seconds)
        hours += seconds
    if hours >= _WORTH_TELLING:
        lines.append(f"{'in all':<15} about {duration(hours)}, one stage after the other")
    return lines


def ahead(steps: Sequence[Step], store: Store, seen: Preview | None, *, ray: bool) -> Iterator[Ahead]:
    """Every part that writes a table by shard or as a whole, in the order of the run."""
    planned = store.entries(SourceRow.table)
    files = {stem(shard_name(name, 0)) for name in seen.files} if seen else set()
    passing = _Passing(store, planned)
    fresh, new_shards = (seen.fresh, seen.new_shards) if seen else (0, 0)
    undone: set[str] = set()  # shards that an earlier part has to do; all that reads them may change
    changes = bool(seen and (seen.new or seen.fresh))
    for step in steps:
        if not step.on:
            continue
        if isinstance(step, Segment) and step.over is SourceRow:
            for stage in step.stages:
                undone |= unfinished(store, stage, planned)
                of, finished = len(planned) + new_shards, len(planned) - len(undone)
                redone = _redone(store, stage, undone)
                # Of a file that is no longer named all rows are gone.
                again = passing.of((s for s in redone if stem(s) in files or not seen), but_gone=True)
                rows = fresh + passing.of(undone - redone) + again
                yield Ahead(stage, finished, of, rows, _workers(stage, ray), again, len(redone))
            changes = changes or bool(undone)
        elif isinstance(step, Segment):
            over = store.entries(step.over.table)
            for stage in step.stages:
                left = unfinished(store, stage, over)
                rows = fresh + passing.of(planned) if changes else sum(over[s].rows_out for s in left)
                yield Ahead(stage, 0 if changes else len(over) - len(left), len(over), rows, _workers(stage, ray))
        elif isinstance(step, Barrier) and is_on(step.reduce):
            changes = changes or not is_finished(store, step.reduce)
            shards = store.count(step.reduce.writes.table)
            if changes:
                shards = max(shards, len(planned) + new_shards)
                yield Ahead(step.reduce, 0, shards, fresh + passing.of(planned))
            else:
                yield Ahead(step.reduce, shards, shards, 0)


def _redone(store: Store, stage: Stage, undone: Set[str]) -> set[str]:
    """Those of the shards that a download with other settings finished: rows that are gone stay as they are there."""
    if not getattr(stage, "builds_on_earlier", False):
        return set()
    entries, today = store.entries(stage.writes.table), digest(stage)
    return {shard for shard in undone if shard in entries and entries[shard].digest != today}


def _again(work: Ahead, store: Store, recipe: RecipePart) -> Iterator[str]:
    """What was fetched with other settings and is to be fetched again, and by which keys."""
    if not work.again:
        return
    before = read_recipe(type(recipe), store)
    changed = differences(before, recipe) if before is not None else []
    keys = ", ".join(d.key for d in changed if d.key.startswith(("download.", "signals."))) or "other settings"
    yield f"  again        {work.again:,} rows in {plural(work.again_shards, 'shard')} that are stored, for {keys}"


class _Passing:
    """Planned rows that pass the filters, by shard; of many shards all rows."""

    def __init__(self, store: Store, planned: Entries) -> None:
        self._store, self._planned = store, planned
        self._found: dict[str, int] = {}

    def of(self, shards: Iterable[str], *, but_gone: bool = False) -> int:
        """The rows of these shards, at most; ``but_gone``: without those that the source no longer holds."""
        return sum(self._rows(shard) - (gone_rows_of(self._store, shard) if but_gone else 0) for shard in shards)

    def _rows(self, shard: str) -> int:
        if shard not in self._found:
            rows = self._planned[shard].rows_out
            many = len(self._found) >= _MOST_SHARDS
            self._found[shard] = rows if many else passing_rows(self._store, shard, rows)
        return self._found[shard]


def duration(seconds: float) -> str:
    """For people: "40 s", "12 min", "3.5 h", "2.0 days"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _workers(stage: Stage, ray: bool) -> int:
    return (stage.resources.workers or os.cpu_count() or 1) if ray else 1


def _seconds(store: Store, work: Ahead) -> tuple[float, str]:
    """What the rows take with this many workers, and how that is known."""
    if work.part.name not in _GUESSED_RATES and work.workers == 1 and not isinstance(work.part, Stage):
        return 0.0, ""  # a reduce: it takes little beside the stages
    done = [e for e in store.entries(work.table).values() if e.seconds > 0 and e.rows_in > 0]
    seconds = sum(e.seconds for e in done)
    measured = sum(e.rows_in for e in done) / seconds if seconds else 0.0
    rate = measured or _GUESSED_RATES.get(work.part.name, _GUESSED_RATE)
    basis = "as measured in this root" if measured else "a guess"
    workers = plural(work.workers, "worker")
    return work.rows / (rate * work.workers), f"{workers} at {rate:,.3g} rows/s, {basis}"


def _money(work: Ahead, store: Store, recipe: RecipePart, seconds: float) -> Iterator[str]:
    """Tokens and what they cost, of a part that asks a model."""
    paid = work.part.replies if isinstance(work.part, Pays) else None
    if paid is None:
        return
    for name, limits in _limits(work.part, paid).items():
        prices = next((p for p in prices_of(recipe) if p.part == name), Prices(name))
        measured = _tokens(store, paid.relation, list(limits) if paid.own else [])
        guessed = (_GUESSED_PROMPT, sum(limits.values()) / len(limits), paid.each * len(limits))
        prompt, reply, each = measured or guessed
        asked = work.rows * each
        basis = "as measured in this root" if measured else f"at most; {_GUESSED_PROMPT:,.0f} a prompt is a guess"
        of = f" for {', '.join(limits)}" if paid.own else ""
        yield f"  tokens       {asked * prompt:,.0f} prompt and {asked * reply:,.0f} reply tokens{of} ({basis})"
        hours = seconds / 3600 * work.workers * prices.gpus
        money = asked * (prompt * prices.price_in + reply * prices.price_out) / 1e6 + hours * prices.price_hour
        keys = f"{name}.price_in, {name}.price_out and {name}.price_hour"
        yield f"  cost         {f'about {money:,.2f} by' if money else 'unknown: no prices in'} {keys}"


def _limits(part: Part, paid: Replies) -> dict[str, dict[str, int]]:
    """The longest replies that are asked for about one sample, by kind, for each part of the recipe with prices."""
    recipe = getattr(part, "recipe", None)
    kinds = {k.kind: int(k.max_tokens) for k in getattr(recipe, "kinds", None) or []}
    own, found = dict(paid.own), dict[str, dict[str, int]]()
    for kind, limit in (kinds or {"": paid.longest or int(getattr(recipe, "max_tokens", 256))}).items():
        found.setdefault(own.get(kind, paid.part), {})[kind] = limit
    return found


def _tokens(store: Store, relation: str, kinds: Sequence[str]) -> tuple[float, float, float] | None:
    """Mean prompt and reply tokens of this part's replies so far, of these kinds or of all, and replies a sample."""
    of = f"WHERE reply_key <> '' AND list_contains({literals(kinds)}, kind)" if kinds else "WHERE reply_key <> ''"
    query = (
        f"WITH given AS (SELECT sample_id, reply_key FROM {relation} {of}) "  # noqa: S608  # of our own declarations
        "SELECT avg(tokens_in), avg(tokens_out), count(*), "
        "(SELECT count(DISTINCT (sample_id, reply_key)) / count(DISTINCT sample_id) FROM given) FROM replies "
        "WHERE tokens_in > 0 AND key IN (SELECT reply_key FROM given)"
    )
    try:
        with connect(store.url) as catalog:
            found = catalog.execute(query).fetchone()
    except (LapidaryError, duckdb.Error):  # a new root, or one that cannot be asked
        return None
    return (float(found[0]), float(found[1]), float(found[3])) if found and found[2] else None
