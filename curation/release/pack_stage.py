"""Places the kept samples into release shards: one join over all that is known, no pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import duckdb
import pyarrow as pa

from curation.core.run import Step, parts_of
from curation.core.stage import Reduction, setting
from curation.core.store import Store, untouched
from curation.core.verdict import Annotates, Decides
from curation.release.placing import find_kept, fingerprint, keep_places, place_new, placed_shards
from curation.release.replacing import drop_plan, keep_changed, write_plan
from curation.release.views.groups import root_database
from schemas.anchor import NewsExport
from schemas.arrays import strings
from schemas.arrow import Record
from schemas.captions import Score
from schemas.recipe import ReleaseForm
from schemas.records import Placement
from schemas.reviews import Review

# What a product's stages may declare otherwise. All have stood in the digest since the first release: a root that was
# packed before stages declared their verdicts is not packed anew.
_CRITERIA: dict[str, Any] = {
    "prefer": [],
    "alt_text_fallback": False,
    "min_similarity": None,
    "scored": False,
    "deduped": True,
    "names_reject": True,
    "product": "captions",
    "literal": False,
}


@dataclass(frozen=True)
class PackReduce:
    """Splits by content, shuffles by seed, cuts into shards of ``shard_size`` samples.

    ``before`` are the steps that lead here: what they declare decides which samples are placed and what they carry.
    ``texts`` is SQL over their views, with a row for every sample that has passed (see ``placing.find_kept``).

    A sample's split is the hash of its duplicate cluster, so near duplicates never straddle splits; its
    order is the hash of seed and sample_id. A split's last shard is smaller.

    Growth appends: while everything that was placed before is still kept and unchanged, it stays where it
    is, and new samples go into new shards behind it (so each growth leaves a smaller last shard). A new
    member of a placed cluster follows it into its split. What people decided, and an annotation that changed,
    changes its own shards alone (see ``replacing``). Otherwise all samples are placed anew; so too where a run
    that was killed has begun to do so.
    """

    name: ClassVar[str] = "pack"
    writes: ClassVar[type[Record]] = Placement

    criteria: Mapping[str, Any]
    shard_size: int
    val: float
    test: float
    seed: int
    before: tuple[Step, ...] = setting((), digest=False)
    texts: str = setting("", digest=False)

    @classmethod
    def of(cls, form: ReleaseForm, before: Sequence[Step], texts: str) -> Self:
        """The packing of a release of this form."""
        declared: dict[str, Any] = {}
        for part in parts_of(before):
            settings = part.verdict.settings if isinstance(part, Decides) else {}
            if twice := declared.keys() & settings.keys():
                # One would hide the other's change, and the release would stay as it was.
                raise ValueError(f"stage {part.name!r} declares settings of another stage: {', '.join(sorted(twice))}")
            declared |= settings
        return cls(
            _CRITERIA | declared, form.shard_size, form.val, form.test, form.seed, before=tuple(before), texts=texts
        )

    @property
    def version(self) -> int:
        return 2 if Score in self.reads else 1

    @property
    def reads(self) -> tuple[type[Record], ...]:
        """The tables on which the choice of samples, or what they carry, depends."""
        found: dict[type[Record], None] = {}
        for part in parts_of(self.before):
            if isinstance(part, Decides):
                found |= dict.fromkeys(part.verdict.reads)
            if isinstance(part, Annotates):
                found |= dict.fromkeys(part.annotations.reads)
        return tuple(found)

    @property
    def beside(self) -> tuple[type[Record], ...]:
        """Further tables on which the choice depends, which the digest does not name (see ``Verdict.beside``)."""
        found = (record for p in parts_of(self.before) if isinstance(p, Decides) for record in p.verdict.beside)
        return tuple(dict.fromkeys(found))

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        placed: dict[str, str] = {}
        left: set[str] = set()
        shards = self._shards(store, previous.get("shards", {}), placed, left)
        return Reduction(shards, lambda: {"shards": dict(sorted(placed.items()))}, left)

    def _shards(
        self, store: Store, earlier: dict[str, str], placed: dict[str, str], left: set[str]
    ) -> Iterator[tuple[str, pa.Table]]:
        """The shards that may have changed; the others go into ``left``, all of them into ``placed``."""
        with root_database(store, "place the samples", self.before) as database:
            self._find(database, store)
            last, present = store.reduce_entry(Placement.table), store.entries(Placement.table)
            whole = earlier.keys() <= untouched(last, present)
            stands = keep_places(database, earlier if whole else {}) and whole
            changed = not stands and keep_changed(
                *(database, store, earlier),
                whole=whole,
                judged=Review in self.beside,
                annotated=self._annotations_move_nothing,
            )
            self._place(database)
            if changed:
                write_plan(database, store, earlier)
            elif not stands:
                drop_plan(store)
            if stands:  # of all their samples nothing is otherwise
                left.update(earlier)
                placed.update(earlier)
            for shard, rows in placed_shards(database, but=left):
                placed[shard] = fingerprint(strings(rows.column("sample_id")))
                yield shard, rows

    @property
    def _annotations_move_nothing(self) -> bool:
        """Whether a sample's place depends on no annotation."""
        return True

    def _find(self, database: duckdb.DuckDBPyConnection, store: Store) -> None:
        find_kept(database, store, self.before, self.texts)

    def _place(self, database: duckdb.DuckDBPyConnection) -> None:
        place_new(database, seed=self.seed, val=self.val, test=self.test, shard_size=self.shard_size)


@dataclass(frozen=True)
class NewsPackReduce(PackReduce):
    """The same for news: a split holds whole articles with all their near duplicates, by hash or by day."""

    val_from: str = ""
    test_from: str = ""

    @classmethod
    def of_news(cls, form: NewsExport, before: Sequence[Step], texts: str) -> NewsPackReduce:
        """The packing of a release of this form."""
        made = PackReduce.of(form, before, texts)
        return cls(
            *(made.criteria, form.shard_size, form.val, form.test, form.seed, made.before, texts),
            val_from=form.val_from,
            test_from=form.test_from,
        )

    @property
    def _annotations_move_nothing(self) -> bool:
        return not (self.val_from or self.test_from)  # the day is one

    def _find(self, database: duckdb.DuckDBPyConnection, store: Store) -> None:
        super()._find(database, store)
        group_by_article(database)

    def _place(self, database: duckdb.DuckDBPyConnection) -> None:
        place_new(
            database,
            seed=self.seed,
            val=self.val,
            test=self.test,
            shard_size=self.shard_size,
            val_from=self.val_from,
            test_from=self.test_from,
        )


_OF_ARTICLES = """
SELECT k.sample_id, k.cluster_id, n.article_id, n.date
FROM kept k LEFT JOIN articles n ON n.source_file = k.source_file AND n.source_row = k.source_row
ORDER BY k.sample_id
"""

_GROUPED = """
CREATE OR REPLACE TABLE kept AS
SELECT k.* REPLACE (g.cluster_id AS cluster_id, g.day AS day)
FROM kept k JOIN grouped g USING (sample_id)
"""


def group_by_article(database: duckdb.DuckDBPyConnection) -> None:
    """Makes one cluster in the table ``kept`` of all that articles and near duplicates link.

    Its day is the latest of its samples, so that nothing newer than a split's days stands in an earlier one.
    """
    rows = database.execute(_OF_ARTICLES).fetchall()
    groups = linked([(cluster, article) for _, cluster, article, _ in rows])
    names: dict[int, str] = {}
    days: dict[int, str] = {}
    for (sample, _, _, day), group in zip(rows, groups, strict=True):
        names.setdefault(group, sample)  # the smallest, since the rows are sorted
        if day is not None:
            days[group] = max(day, days.get(group, ""))
    grouped = pa.table(
        {
            "sample_id": pa.array([row[0] for row in rows], pa.string()),
            "cluster_id": pa.array([names[group] for group in groups], pa.string()),
            "day": pa.array([days.get(group) for group in groups], pa.string()),
        }
    )
    database.register("grouped", grouped)
    database.execute(_GROUPED)
    database.unregister("grouped")


def linked(pairs: list[tuple[str, str | None]]) -> list[int]:
    """For each (cluster, article) the number of its group: those that share either are in one."""
    parent = list(range(len(pairs)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    first: dict[tuple[int, str], int] = {}
    for at, pair in enumerate(pairs):
        for side, name in enumerate(pair):
            if name is not None:
                other = first.setdefault((side, name), at)
                a, b = root(at), root(other)
                parent[max(a, b)] = min(a, b)
    return [root(at) for at in range(len(pairs))]
