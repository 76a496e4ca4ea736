"""Places the kept samples into release shards: one join over all that is known, no pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from curation.core.stage import Reduction
from curation.core.store import Store, untouched
from curation.release.news import find_kept_news
from curation.release.placing import find_kept, fingerprint, keep_places, place_new, placed_shards, scratch_database
from curation.release.views.create import create_views
from curation.release.views.criteria import Criteria
from schemas.anchor import BuildAnchor
from schemas.arrow import Record
from schemas.news import Abstractness, CleanCaption, Conditioning, NamedEntity, NewsArticle, SubjectWeight
from schemas.recipe import RefineLaion
from schemas.records import Caption, CaptionCheck, Duplicate, ImageRow, Placement, Repeat, Score, SourceRow


@dataclass(frozen=True)
class PackReduce:
    """Splits by content, shuffles by seed, cuts into shards of ``shard_size`` samples.

    A sample's split is the hash of its duplicate cluster, so near duplicates never straddle splits; its
    order is the hash of seed and sample_id. A split's last shard is smaller.

    Growth appends: while everything that was placed before is still kept and unchanged, it stays where it
    is, and new samples go into new shards behind it (so each growth leaves a smaller last shard). A new
    member of a placed cluster follows it into its split. Otherwise all samples are placed anew; so too where a
    run that was killed has begun to do so.
    """

    name: ClassVar[str] = "pack"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (SourceRow, Repeat, ImageRow, Duplicate, Caption, CaptionCheck)
    writes: ClassVar[type[Record]] = Placement

    criteria: Criteria
    shard_size: int
    val: float
    test: float
    seed: int

    def run(self, store: Store, previous: dict[str, Any]) -> Reduction:
        placed: dict[str, str] = {}
        shards = self._shards(store, previous.get("shards", {}), placed)
        return Reduction(shards, lambda: {"shards": dict(sorted(placed.items()))})

    def _shards(self, store: Store, earlier: dict[str, str], placed: dict[str, str]) -> Iterator[tuple[str, pa.Table]]:
        with scratch_database(store) as database:
            create_views(database, store, self.criteria)
            self._find(database)
            last, present = store.reduce_entry(Placement.table), store.entries(Placement.table)
            keep_places(database, earlier if earlier.keys() <= untouched(last, present) else {})
            self._place(database)
            for shard, rows in placed_shards(database):
                placed[shard] = fingerprint(rows.column("sample_id").to_pylist())
                yield shard, rows

    def _find(self, database: duckdb.DuckDBPyConnection) -> None:
        find_kept(database)

    def _place(self, database: duckdb.DuckDBPyConnection) -> None:
        place_new(database, seed=self.seed, val=self.val, test=self.test, shard_size=self.shard_size)


@dataclass(frozen=True)
class ScoredPackReduce(PackReduce):
    """The same where a recipe switches image-text similarity on."""

    version: ClassVar[int] = 2
    reads: ClassVar[tuple[type[Record], ...]] = (*PackReduce.reads, Score)


@dataclass(frozen=True)
class NewsPackReduce(PackReduce):
    """The same for news: a split holds whole articles with all their near duplicates, by hash or by day."""

    name: ClassVar[str] = "pack"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (
        *(SourceRow, Repeat, ImageRow, Duplicate, NewsArticle),
        *(CleanCaption, NamedEntity, Abstractness, SubjectWeight, Conditioning),
    )

    val_from: str = ""
    test_from: str = ""

    def _find(self, database: duckdb.DuckDBPyConnection) -> None:
        find_kept_news(database)

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


def news_pack_reduce(recipe: BuildAnchor) -> NewsPackReduce:
    """The packing that a news recipe asks for."""
    e = recipe.export
    criteria = Criteria.of(recipe)
    return NewsPackReduce(criteria, e.shard_size, e.val, e.test, e.seed, e.val_from, e.test_from)


def pack_reduce(recipe: RefineLaion) -> PackReduce:
    """The packing that a recipe asks for."""
    made = ScoredPackReduce if recipe.scores.model else PackReduce
    export = recipe.export
    return made(Criteria.of(recipe), export.shard_size, export.val, export.test, export.seed)
