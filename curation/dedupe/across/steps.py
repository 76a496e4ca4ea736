"""The steps of finding duplicates across data sets: hash what has not been hashed, judge, name every removal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from curation.core.job import Report
from curation.core.pipeline import Engine, Totals, run_reduce
from curation.core.run import Part, Step
from curation.core.store import Store
from curation.dedupe.across.datasets import DataSet, hash_pixels
from curation.dedupe.across.removed import write_removed
from curation.dedupe.across.verdicts import JudgeDataSets
from schemas.arrow import Record
from schemas.duplicates import FindDuplicates, Verdict
from schemas.records import ImageRow


@dataclass(frozen=True)
class _Table:
    """The table that a step writes."""

    name: str
    writes: type[Record]


_HASHES = _Table("hash", ImageRow)
_VERDICTS = _Table("judge", Verdict)


@dataclass(frozen=True)
class HashPixels(Step):
    """Hashes the pixels of every data set that has not been hashed, each in a root of its own."""

    data_sets: tuple[DataSet, ...]
    name: str = field(init=False, default="hash")

    @property
    def parts(self) -> Sequence[Part]:
        return (_HASHES,)

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        totals = Totals()
        for data_set in self.data_sets:
            found = hash_pixels(data_set, engine, report)
            totals = Totals(totals.done + found.done, totals.skipped + found.skipped, totals.failed + found.failed)
        return totals


@dataclass(frozen=True)
class Judge(Step):
    """Decides on every image of all data sets, and writes down every removal."""

    recipe: FindDuplicates
    data_sets: tuple[DataSet, ...]
    against: tuple[DataSet, ...]
    name: str = field(init=False, default="judge")

    @property
    def parts(self) -> Sequence[Part]:
        return (_VERDICTS,)

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        totals = run_reduce(store, JudgeDataSets.of(self.recipe, self.data_sets, self.against), report)
        write_removed(store)
        return totals
