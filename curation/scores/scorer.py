"""What a scorer is: a frozen dataclass that measures pictures, one table of scores each.

@dataclass(frozen=True)
class Redness:
    \"\"\"How red a picture is.\"\"\"                    # first paragraph: the table's documentation, and --help

    name: ClassVar[str] = "redness"
    version: ClassVar[int] = 1                      # raise it when the answers change
    reads: ClassVar[Reads] = "pixels"
    cost: ClassVar[str] = "0.1 ms of one core an image"
    columns: ClassVar[tuple[ScoreColumn, ...]] = (ScoreColumn("redness", "mean of red", "share", 0, 1),)

    @contextmanager
    def open(self) -> Iterator[Measure]:
        yield lambda picture: [picture.pixels[..., 2].mean() / 255]

A package adds its own by an entry point of the group ``lapidary.scorers``, whose value names the class. One that asks
a model reads "stored": it sees pictures after the download, as they are stored, and costs the download nothing. It may
have a method ``ready()``, see ``Checked``, and an attribute ``gpus``: how many of them a worker holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeVar, runtime_checkable

from schemas.arrow import Record
from schemas.scores import ScoreColumn, score_record

if TYPE_CHECKING:
    from curation.images.picture import Picture

S = TypeVar("S", bound="Scorer")
Reads = Literal["pixels", "stored"]
"""Pixels in the pass that fetches them too, or only as they are stored, for what costs more than a download."""
Score = float | str | None
Measure = Callable[["Picture"], Sequence[Score]]
"""The scores of a picture in the order of the columns, None where one is unknown. Threads may share one."""

_DIGITS = 5  # significant ones that are kept of a score; the rest depends on the order in which a machine adds


class Scorer(Protocol):
    """A scorer is a frozen dataclass that can be made without arguments; its fields are part of stages' digests.

    The names of its columns are unique among all scorers: the recipe's limits name them (``scores.NAME.min``).
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def reads(self) -> Reads: ...

    @property
    def cost(self) -> str: ...

    @property
    def columns(self) -> tuple[ScoreColumn, ...]: ...

    def open(self) -> AbstractContextManager[Measure]:
        """Opens what measuring needs, inside the worker; closes it at the end."""
        ...


@runtime_checkable
class Checked(Protocol):
    """A scorer that looks for what it needs before a run does any work."""

    def ready(self) -> Self:
        """The same scorer, with what it found of its model. Raises ``UsageError`` where it cannot work."""
        ...


def checked(scorer: S) -> S:
    """A scorer after a look at what it needs. Raises ``UsageError``."""
    return scorer.ready() if isinstance(scorer, Checked) else scorer


def record_of(scorer: Scorer) -> type[Record]:
    """The record of a scorer's table, which is called ``score_NAME``."""
    return score_record(f"score_{scorer.name}", scorer.columns, about(scorer))


def about(scorer: Scorer) -> str:
    """The first paragraph of its docstring, on one line."""
    return " ".join((type(scorer).__doc__ or "").strip().partition("\n\n")[0].split())


def rounded(scorer: Scorer, values: Sequence[Score]) -> list[Score]:
    """Scores as tables hold them: numbers of five significant digits, texts as they are, None for what is no number.

    Raises ``ValueError`` where there are more or fewer than the scorer has columns, or one of the other kind.
    """
    if len(values) != len(scorer.columns):
        raise ValueError(f"scorer {scorer.name!r} gave {len(values)} scores for {len(scorer.columns)} columns")
    return [_kept(column, value) for column, value in zip(scorer.columns, values, strict=True)]


def _kept(column: ScoreColumn, value: Score) -> Score:
    if value is None:
        return None
    if isinstance(value, str) == (column.kind == "number"):
        raise ValueError(f"score {column.name!r} is a {column.kind}; found {value!r}")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
