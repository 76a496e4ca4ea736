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

A package adds its own by an entry point of the group ``lapidary.scorers``, whose value names the class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, Protocol

from schemas.arrow import Record
from schemas.scores import ScoreColumn, score_record

if TYPE_CHECKING:
    from curation.images.picture import Picture

Reads = Literal["pixels"]
Measure = Callable[["Picture"], Sequence[float | None]]
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


def record_of(scorer: Scorer) -> type[Record]:
    """The record of a scorer's table, which is called ``score_NAME``."""
    return score_record(f"score_{scorer.name}", scorer.columns, about(scorer))


def about(scorer: Scorer) -> str:
    """The first paragraph of its docstring, on one line."""
    return " ".join((type(scorer).__doc__ or "").strip().partition("\n\n")[0].split())


def rounded(scorer: Scorer, values: Sequence[float | None]) -> list[float | None]:
    """Scores as tables hold them: five significant digits, None for what is no number.

    Raises ``ValueError`` where there are more or fewer than the scorer has columns.
    """
    if len(values) != len(scorer.columns):
        raise ValueError(f"scorer {scorer.name!r} gave {len(values)} scores for {len(scorer.columns)} columns")
    return [None if v is None or not math.isfinite(v) else float(f"{v:.{_DIGITS}g}") for v in values]
