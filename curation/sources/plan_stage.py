"""The first step of a run: it cuts the source into shards of rows, with the verdicts of the metadata filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import pyarrow as pa

from curation.blocklists.lists import Lists
from curation.core.job import Outcome, Report
from curation.core.pipeline import Engine, Totals
from curation.core.run import Part, Step
from curation.core.run_status import was_interrupted
from curation.core.store import Store
from curation.core.verdict import Annotation, Annotations, Verdict, ViewColumn
from curation.sources.discover import open_source
from curation.sources.options import Options
from curation.sources.planner import plan
from curation.sources.source_file import SourceSet
from curation.sources.tombstones import read_given
from schemas.arrow import Record
from schemas.blocklists import Blocklists
from schemas.news import NewsArticle
from schemas.reasons import Reason
from schemas.recipe import Source
from schemas.records import GoneRow, SourceColumns, SourceRow

_TABLE = SourceRow.table
_REASONS: dict[str, str] = {
    Reason.MALFORMED_ROW: "a row that cannot be read",
    Reason.NO_URL: "no URL",
    Reason.NO_ALT_TEXT: "no alt text",
    Reason.BLOCKED_HOST: "its host, or one above it, stands in a list of blocklists.hosts",
    Reason.BLOCKED_URL: "its url stands in a list of blocklists.urls",
    Reason.BLOCKED_WORDS: "the alt text has words of a list of blocklists.words",
    Reason.BLOCKED_SHA256: "the sha256 in the source stands in a list of blocklists.sha256",
    Reason.CLAIMED_TOO_SMALL: "shorter side in the source below source.min_side",
    Reason.CLAIMED_ASPECT: "ratio of sides in the source above source.max_aspect",
    Reason.FEW_WORDS: "fewer words than source.min_words",
    Reason.FEW_CHARACTERS: "fewer characters than source.min_characters",
    Reason.MANY_CHARACTERS: "more characters than source.max_characters",
    Reason.LANGUAGE: "a language that source.languages does not name",
    Reason.LOW_SIMILARITY: "CLIP similarity in the source below source.min_similarity",
    Reason.LOW_AESTHETIC: "aesthetic score in the source below source.min_aesthetic",
    Reason.UNSAFE: "probability of unsafe content above source.max_punsafe",
    Reason.WATERMARK: "probability of a watermark above source.max_pwatermark",
    Reason.BAD_URL: "not an http or https URL",
    Reason.FILE_MISSING: "the source names an image file that does not exist",
    Reason.GONE_FROM_SOURCE: "the source no longer holds the row, and its image was never fetched",
    Reason.TAKEN_DOWN: "it was taken down, here or in a root whose tombstones source.tombstones names",
}


@dataclass(frozen=True)
class SourceRows:
    """Rejects rows of the source by their metadata, before any image is fetched."""

    name: ClassVar[str] = "plan"
    writes: ClassVar[type[Record]] = SourceRow

    @property
    def verdict(self) -> Verdict:
        return Verdict(
            _TABLE, (SourceRow,), _REASONS, waiting="false", reason="v.reason", detail="v.detail", by_row=True
        )


@dataclass(frozen=True)
class GoneRows:
    """Rows that the source no longer holds; what has been fetched of them stays."""

    name: ClassVar[str] = "gone"
    writes: ClassVar[type[Record]] = GoneRow

    @property
    def verdict(self) -> Verdict:
        """It rejects nothing by itself: a row that was gone before it was fetched is rejected in ``rows``."""
        shown = ViewColumn(
            "gone", "v.source_row IS NOT NULL", "whether the source no longer holds the row", in_samples=True
        )
        return Verdict(GoneRow.table, (), waiting="false", by_row=True, label=SourceRows.name, columns=(shown,))


@dataclass(frozen=True)
class Articles:
    """The articles of a news source that its rows belong to."""

    name: ClassVar[str] = "articles"
    writes: ClassVar[type[Record]] = NewsArticle

    @property
    def annotations(self) -> Annotations:
        keys = ("outlet", "topic", "date", "headline", "article_id", "article_url", "published_split")
        return Annotations.columns(NewsArticle, {key: key for key in keys}, by_row=True)


@dataclass(frozen=True)
class FurtherColumns:
    """Further columns of the source, as ``source.keep_columns`` asks for them."""

    on: bool
    name: ClassVar[str] = "source_columns"
    writes: ClassVar[type[Record]] = SourceColumns

    @property
    def annotations(self) -> Annotations:
        # Their names and types are those of the source; the card finds them in the table.
        key = Annotation("source", "a.columns::JSON", pa.struct([]), found_in="a.columns")
        return Annotations(SourceColumns.table, (SourceColumns,), (key,), by_row=True)


@dataclass(frozen=True)
class Planning(Step):
    """Cuts the source into shards of rows: the first step of a run.

    ``open`` lists and recognises the files that the user's specs name; by default those of image-text lists and
    pictures. ``articles`` is set for news sources. ``lists`` are those of ``blocklists``, once it is ready.
    """

    name: str = field(init=False, default="plan")
    recipe: Source
    specs: tuple[str, ...] = ()
    open: Callable[[Sequence[str]], SourceSet] | None = None
    articles: bool = False
    blocklists: Blocklists = field(default_factory=Blocklists)
    lists: Lists = field(default_factory=Lists)
    sources: SourceSet | None = None
    settled: bool = False  # whether the run before this one has ended in good order

    @property
    def parts(self) -> tuple[Part, ...]:
        further = FurtherColumns(bool(self.recipe.keep_columns))
        return (SourceRows(), GoneRows(), *((Articles(),) if self.articles else ()), further)

    @property
    def tables(self) -> tuple[str, ...]:
        return (_TABLE,)  # what is written along with the rows is not counted apart

    def ready(self, store: Store | None) -> Self:
        """Raises ``SourceError`` for specs and lists that name nothing that can be read."""
        read_given(self.recipe.tombstones)
        kept = Lists.of_root(store) if store is not None else None
        resumed = store is not None and was_interrupted(store)
        lists = Lists.of(self.blocklists, kept, resumed=resumed)
        opened = self.open(self.specs) if self.open else open_source(self.specs, Options.of(self.recipe))
        return replace(self, sources=opened, lists=lists, settled=store is not None and not resumed)

    def outlook(self, store: Store) -> list[str]:
        counts = self.lists.counts().items()
        return [f"blocklists  {entries:>12,} {kind}, lists read: {lists}" for kind, (lists, entries) in counts]

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        if self.sources is None:
            raise ValueError("a step must be made ready before it runs")
        self.lists.keep(store)
        totals = Totals()

        def both(outcome: Outcome) -> None:
            totals.add(outcome)
            report(outcome)

        plan(store, self.sources, self.recipe, both, settled=self.settled)
        return totals
