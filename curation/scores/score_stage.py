"""The stage of one scorer, and the step that runs several of them over one decode of each picture."""

from __future__ import annotations

import time
import traceback
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc

from curation.core.errors import RecipeError
from curation.core.job import Outcome, Report
from curation.core.pipeline import Engine, Totals, run_segment, unfinished
from curation.core.run import Segment
from curation.core.stage import Resources, Shard, Work, digest, setting
from curation.core.store import Store
from curation.core.verdict import Verdict
from curation.scores.scorer import Measure, Score, Scorer, checked, record_of, rounded
from schemas.arrow import Record, schema_of
from schemas.manifest import ShardEntry, ShardFailure
from schemas.records import ImageRow

_COLUMNS = ("sample_id", "reason", "offset", "size", "unchanged")


@dataclass(frozen=True)
class ScoreStage:
    """Computes the scores of every image that has pixels, with one scorer; nothing is fetched.

    Writes one row for each of them, in the order of the images table. Scores from the pass that fetched an image are
    taken over; others come from the pixels as stored. A picture that cannot be decoded has no scores, and neither has
    one outside the ``share`` that is measured.

    ``beside`` are stages whose tables the same pass writes, so that each picture is decoded once for all.
    """

    reads: ClassVar[tuple[type[Record], ...]] = (ImageRow,)

    scorer: Scorer
    share: float = setting(1.0, digest=True, later=True)
    on: bool = setting(True, digest=False)
    beside: tuple[ScoreStage, ...] = setting((), digest=False)
    resources: Resources = setting(Resources(), digest=False)

    @property
    def name(self) -> str:
        return self.writes.table

    @property
    def version(self) -> int:
        return self.scorer.version

    @property
    def writes(self) -> type[Record]:
        return record_of(self.scorer)

    @property
    def key(self) -> str:
        """What stands for this scorer and its version where scores of several are kept together."""
        return f"{self.scorer.name}:{digest(self)[:16]}"

    def ready(self, store: Store | None) -> Self:
        """Raises ``UsageError`` for a scorer that cannot work."""
        return replace(self, scorer=checked(self.scorer))

    def measures(self, sample: str) -> bool:
        """Whether a sample is among the share that is measured. A larger share holds those of a smaller one."""
        return self.share >= 1 or zlib.crc32(f"{self.scorer.name} {sample}".encode()) < self.share * 2**32

    @contextmanager
    def open(self) -> Iterator[Work]:
        from curation.images.quiet import quiet_decoders, single_threaded_opencv

        stages = (*self.beside, self)
        with ExitStack() as stack:
            stack.enter_context(single_threaded_opencv())
            stack.enter_context(quiet_decoders())
            yield partial(_score_shard, stages, [stack.enter_context(s.scorer.open()) for s in stages])


@dataclass(frozen=True)
class AwaitedScoreStage(ScoreStage):
    """The same where a sample waits for its scores, since the recipe limits one of them."""

    @property
    def verdict(self) -> Verdict:
        return Verdict.awaited(self.writes, reads=False)


@dataclass(frozen=True)
class ScoreStep(Segment):
    """Runs each scorer over the shards that lack its table, those that lack the same ones together.

    ``problem`` says what is wrong with the recipe's choice of scorers.
    """

    problem: str = ""

    @property
    def on(self) -> bool:
        return bool(self.problem) or super().on

    def ready(self, store: Store | None) -> Self:
        """Raises ``RecipeError`` for a scorer or a score that is not known, ``UsageError`` for one that cannot work."""
        if self.problem:
            raise RecipeError(self.problem)
        return super().ready(store)

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        shards = sorted(store.entries(self.over.table))
        left = [unfinished(store, stage, shards) for stage in self.stages]
        totals = Totals()
        together: dict[tuple[int, ...], list[str]] = {}
        for shard in shards:
            for stage in (s for s, lacking in zip(self.stages, left, strict=True) if shard not in lacking):
                finished = Outcome(0, stage.writes.table, shard, "skipped")
                totals.add(finished)
                report(finished)
            if at := tuple(i for i, lacking in enumerate(left) if shard in lacking):
                together.setdefault(at, []).append(shard)
        for at, group in together.items():
            *beside, last = (self.stages[i] for i in at)
            assert isinstance(last, ScoreStage)
            resources = replace(last.resources, gpus=max(self.stages[i].resources.gpus for i in at))
            stage = replace(last, beside=tuple(s for s in beside if isinstance(s, ScoreStage)), resources=resources)
            found = run_segment(store, engine, [stage], group, _for_all(stage, report))
            totals.done += found.done * len(at)
            totals.failed += found.failed
        return totals


def _for_all(stage: ScoreStage, report: Report) -> Report:
    """Reports an outcome for each table that the pass wrote."""

    def told(outcome: Outcome) -> None:
        for other in stage.beside:
            report(replace(outcome, table=other.writes.table, bytes_out=0, fatal=None, entry=None))
        report(outcome)

    return told


def _score_shard(stages: Sequence[ScoreStage], measures: Sequence[Measure], shard: Shard) -> pa.Table:
    """The table of the last stage; those of the others are published on the way, each with an entry of its own."""
    started = time.perf_counter()
    try:
        tables = _tables(stages, measures, shard)
    except Exception as error:
        for stage in stages[:-1]:
            failure = ShardFailure(
                *(stage.writes.table, shard.name, f"{type(error).__name__}: {error}"),
                *("".join(traceback.format_exception(error)), "", 1),
            )
            shard.store.commit_failure(failure)
        raise
    seconds = round((time.perf_counter() - started) / len(stages), 3)
    for stage, table in zip(stages[:-1], tables[:-1], strict=True):
        _publish(stage, shard, table, seconds)
    return tables[-1]


def _publish(stage: ScoreStage, shard: Shard, table: pa.Table, seconds: float) -> None:
    record = stage.writes
    shard.store.retire(record.table, shard.name)
    sha256, size = shard.store.write_table(record, shard.name, table)
    name = shard.store.table_file(record.table, shard.name)
    rows = table.num_rows
    shard.store.commit(
        ShardEntry(
            *(record.table, shard.name, digest(stage), shard.reads, {name: sha256}),
            *(rows, rows, size, seconds, "beside"),
        )
    )


def _tables(stages: Sequence[ScoreStage], measures: Sequence[Measure], shard: Shard) -> list[pa.Table]:
    from curation.images.reading import open_images
    from curation.scores.stored import kept_scores, stored_picture

    kept = kept_scores(shard.store, shard.name)
    keys = [stage.key for stage in stages]
    there = shard.store.read_table(ImageRow, shard.name, _COLUMNS).filter(pc.field("reason").is_null())
    found: list[list[Sequence[Score]]] = [[] for _ in stages]
    ids: list[str] = []
    with open_images(shard.store, shard.name, whole=True) as read:
        for image in there.to_pylist():
            ids.append(image["sample_id"])
            known = kept.get(image["sample_id"], {})
            lacking = [i for i, s in enumerate(stages) if keys[i] not in known and s.measures(image["sample_id"])]
            picture = stored_picture(read, image["offset"], image["size"], image["unchanged"]) if lacking else None
            for i, stage in enumerate(stages):
                if i in lacking and picture is not None:
                    found[i].append(rounded(stage.scorer, measures[i](picture)))
                else:
                    found[i].append(known.get(keys[i]) or [None] * len(stage.scorer.columns))
    return [_table(stage.writes, ids, rows) for stage, rows in zip(stages, found, strict=True)]


def _table(record: type[Record], ids: Sequence[str], rows: Sequence[Sequence[Score]]) -> pa.Table:
    schema = schema_of(record)
    values = zip(*rows, strict=True) if rows else ([] for _ in schema.names[1:])
    arrays: list[pa.Array[Any]] = [pa.array(ids, pa.string())]
    arrays += [pa.array(list(column), field.type) for field, column in zip(list(schema)[1:], values, strict=True)]
    return pa.table(arrays, schema=schema)
