"""The first step of a run: it cuts the source into shards of rows, with the verdicts of the metadata filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from curation.core.pipeline import Engine, Outcome, Report, Totals
from curation.core.run import Part, Step
from curation.core.store import Store
from curation.core.verdict import Annotation, Annotations, Verdict, ViewColumn
from curation.sources.discover import SourceSet, open_source
from curation.sources.planner import plan
from schemas.arrow import Record, schema_of
from schemas.news import NewsArticle
from schemas.reasons import Reason
from schemas.recipe import Source
from schemas.records import GoneRow, SourceRow

_TABLE = SourceRow.table
_REASONS = (
    *(Reason.MALFORMED_ROW, Reason.NO_URL, Reason.NO_ALT_TEXT, Reason.CLAIMED_TOO_SMALL, Reason.CLAIMED_ASPECT),
    *(Reason.FEW_WORDS, Reason.FEW_CHARACTERS, Reason.MANY_CHARACTERS, Reason.LANGUAGE, Reason.LOW_SIMILARITY),
    *(Reason.LOW_AESTHETIC, Reason.UNSAFE, Reason.WATERMARK, Reason.BAD_URL, Reason.FILE_MISSING),
    Reason.GONE_FROM_SOURCE,
)


@dataclass(frozen=True)
class SourceRows:
    """The rows of the source, some of them rejected by the metadata filters."""

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
        schema = schema_of(NewsArticle)
        keys = ("outlet", "topic", "date", "headline", "article_id", "article_url", "published_split")
        return Annotations(
            NewsArticle.table,
            (NewsArticle,),
            tuple(Annotation(key, f"a.{key}", schema.field(key).type) for key in keys),
            by_row=True,
        )


@dataclass(frozen=True)
class Planning(Step):
    """Cuts the source into shards of rows: the first step of a run.

    ``open`` lists and recognises the files that the user's specs name. ``articles`` is set for news sources.
    """

    name: str = field(init=False, default="plan")
    recipe: Source
    specs: tuple[str, ...] = ()
    open: Callable[[Sequence[str]], SourceSet] = open_source
    articles: bool = False
    sources: SourceSet | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        return (SourceRows(), GoneRows(), Articles()) if self.articles else (SourceRows(), GoneRows())

    @property
    def tables(self) -> tuple[str, ...]:
        return (_TABLE,)  # articles are written along with the rows, and are not counted apart

    def ready(self, store: Store | None) -> Self:
        """Raises ``SourceError`` for specs that name nothing that can be read."""
        return replace(self, sources=self.open(self.specs))

    def run(self, store: Store, engine: Engine, report: Report) -> Totals:
        if self.sources is None:
            raise ValueError("a step must be made ready before it runs")
        totals = Totals()

        def both(outcome: Outcome) -> None:
            totals.add(outcome)
            report(outcome)

        plan(store, self.sources, self.recipe, both)
        return totals
