"""What a stage declares about its samples. Catalog, funnel, card, packing and ``--help`` are made from it alone.

A stage (or reduce, or any other part of a step) declares what applies to it; what it leaves out does not:

    verdict       which samples it rejects, and until when a sample waits for it
    annotations   what it adds to a released sample's .json
    replies       which model replies it paid for

Expressions are SQL. In a ``Verdict`` they call its relation ``v``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from schemas.arrow import Record, schema_of


@dataclass(frozen=True)
class ViewColumn:
    """A column that a stage adds to the view ``verdicts``, and to ``samples`` too with ``in_samples``.

    ``value`` may name ``image_id``, save in a verdict by row that stands before all others: the sample_id of a row
    that has an image, else null.
    The name ``shown`` is that of the struct {caption, words} that ``samples`` shows of a sample without a place.
    """

    name: str
    value: str
    doc: str
    in_samples: bool = False


@dataclass(frozen=True)
class View:
    """A view of a stage's own that its verdict reads; it is created before ``verdicts``."""

    name: str
    query: str
    doc: str
    columns: Mapping[str, str] = field(default_factory=dict)  # column -> what it holds


@dataclass(frozen=True)
class Verdict:
    """What a stage decides about a sample.

    ``relation`` is a view, or a query in parentheses, with at most one row a sample (column ``sample_id``) or, with
    ``by_row``, a source row (columns ``source_file`` and ``source_row``). Stages that name the same relation share one
    join. A sample is *undecided* while ``waiting`` holds, *rejected* where ``reason`` is not null, and otherwise goes
    on to the next stage.

    ``reasons`` are those for which it rejects, each with one line that explains it in ``--help`` (a tuple has none).
    ``reads`` are the records that ``relation`` reads and on which the choice of released samples depends.
    ``settings`` are the recipe's values on which the expressions depend, as plain data: a change packs anew.

    ``beside`` are records that ``relation`` reads too, which most roots have no rows of: packing follows them, and its
    digest does not name them. ``overrules`` is true of a sample for which the verdicts that ``yield_to_people`` reject
    nothing.
    """

    relation: str
    reads: tuple[type[Record], ...]
    reasons: Mapping[str, str] | tuple[str, ...] = ()
    waiting: str = "v.sample_id IS NULL"
    reason: str = "NULL"
    detail: str = "NULL"
    by_row: bool = False
    label: str = ""  # the name in samples.stage; the stage's own name where empty
    columns: tuple[ViewColumn, ...] = ()
    views: tuple[View, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    beside: tuple[type[Record], ...] = ()
    overrules: str = "false"
    yield_to_people: bool = False

    def __post_init__(self) -> None:
        if self.reason != "NULL" and not self.reasons:
            raise ValueError(f"the verdict over {self.relation} gives a reason but declares no reasons")

    def meaning(self, reason: str) -> str:
        """The line that explains a declared reason; empty where there is none."""
        return self.reasons[reason] if isinstance(self.reasons, Mapping) else ""

    @classmethod
    def each(
        cls, record: type[Record], reasons: Mapping[str, str] | tuple[str, ...], columns: tuple[ViewColumn, ...] = ()
    ) -> Verdict:
        """The verdict of a stage whose table has one row a sample, with columns ``reason`` and ``detail``."""
        return cls(record.table, (record,), reasons, reason="v.reason", detail="v.detail", columns=columns)

    @classmethod
    def several(cls, record: type[Record], reasons: Mapping[str, str] | tuple[str, ...]) -> Verdict:
        """The same for a table with several rows a sample; all of them have the same reason."""
        rows = (
            "(SELECT sample_id, any_value(reason) AS reason, any_value(detail) AS detail "  # noqa: S608  # a table's name
            f"FROM {record.table} GROUP BY sample_id)"
        )
        return cls(rows, (record,), reasons, reason="v.reason", detail="v.detail")

    @classmethod
    def awaited(cls, record: type[Record], *, reads: bool = True) -> Verdict:
        """The verdict of a stage that rejects nothing, but whose table a sample needs to be released.

        Without ``reads`` packing does not depend on the table's content.
        """
        rows = f"(SELECT DISTINCT sample_id FROM {record.table})"  # noqa: S608  # a table's name
        return cls(rows, (record,) if reads else ())


@dataclass(frozen=True)
class Annotation:
    """A key of a released sample's .json.

    ``found_in`` is set for an object whose keys are those of the data: the expression of a text with that object as
    JSON. The card then finds the types, and ``arrow`` does not count.
    """

    name: str
    value: str  # over the relation of its ``Annotations``, called ``a``
    arrow: pa.DataType
    found_in: str = ""


@dataclass(frozen=True)
class Annotations:
    """What a stage adds to a released sample's .json; ``relation`` is as in ``Verdict``."""

    relation: str
    reads: tuple[type[Record], ...]
    keys: tuple[Annotation, ...]
    by_row: bool = False

    @classmethod
    def columns(cls, record: type[Record], keys: Mapping[str, str], *, by_row: bool = False) -> Annotations:
        """Columns of a record as they are: the .json's key and the column of each."""
        types = schema_of(record)
        found = tuple(Annotation(key, f"a.{column}", types.field(column).type) for key, column in keys.items())
        return cls(record.table, (record,), found, by_row)


@dataclass(frozen=True)
class Replies:
    """Which replies a stage paid for.

    ``part`` is the table of the recipe that names the model and its prices. ``relation`` is a query in parentheses
    with the columns kind, model, sample_id and reply_key. A reply was of use when its sample stands in the release;
    with ``by_kind``, when that sample's caption is of the reply's kind. ``own`` are pairs of a kind and its part, where
    that is not ``part``. ``each`` and ``longest`` are guesses for ``--dry-run``: replies of a kind for one sample, and
    the tokens of the longest one, 0 where the recipe says it kind by kind.
    """

    part: str
    relation: str
    by_kind: bool = False
    own: tuple[tuple[str, str], ...] = ()
    each: float = 1.0
    longest: int = 0


@runtime_checkable
class Decides(Protocol):
    """A part of a step that rejects samples, or that samples wait for."""

    @property
    def verdict(self) -> Verdict: ...


@runtime_checkable
class Annotates(Protocol):
    """A part of a step that adds to a released sample's .json."""

    @property
    def annotations(self) -> Annotations: ...


@runtime_checkable
class Pays(Protocol):
    """A part of a step that asks a model."""

    @property
    def replies(self) -> Replies | None: ...


@runtime_checkable
class Estimates(Protocol):
    """A part of a step that estimates its work before a run."""

    def estimate(self, samples: int) -> list[tuple[str, str]]:
        """Lines for ``--dry-run``: a label and what to expect for at most so many samples."""
        ...


@runtime_checkable
class Switched(Protocol):
    """A part of a step that a recipe can leave out. Its table stays known, so that queries work with and without it."""

    @property
    def on(self) -> bool: ...


@runtime_checkable
class Prepared(Protocol):
    """A part of a step that checks models, prompts and servers before any work."""

    def ready(self, store: Any) -> Any:
        """The same part, checked and complete. Raises ``UsageError`` with one line for what cannot work.

        ``store`` is the root (a ``Store``), or None where nothing may be written.
        """
        ...
