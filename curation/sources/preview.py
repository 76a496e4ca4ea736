"""The result that planning a source would have, without writing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curation.blocklists.rows import NOTHING, RowLists
from curation.core.errors import SourceError
from curation.core.store import Store
from curation.sources.filters import judge
from curation.sources.source_file import SourceFile, SourceSet
from curation.sources.source_metadata import first_of
from curation.sources.unplanned import PlannedFiles, Unplanned
from schemas.arrays import Chunked
from schemas.reasons import Reason
from schemas.recipe import Source

MOST = 1_000_000  # Parquet rows that are judged; longer lists are estimated from a part of each file


@dataclass(frozen=True)
class Step:
    """One metadata filter: the rows that it rejects, and the rows left after it."""

    reason: Reason
    rejected: int
    left: int


@dataclass(frozen=True)
class Preview:
    """``rows`` counts all rows by dialect, ``shards`` all shards, and the funnel the ``judged`` rows.

    ``damaged`` holds the errors of files that cannot be read; their rows are not counted. Of the judged rows,
    ``without_text`` have a blank text or none, ``without_url`` have no address and no local image, and ``duplicates``
    pass the filters and have the address (or the pixels) and the text of an earlier row that does. ``columns`` says
    for lists what is read from which column, with an example of a file; ``unread`` are messages about files that are
    not read. Where a root was given, ``new`` rows are not planned there yet, in ``new_shards`` shards; ``fresh`` ones
    pass the filters and did not before. ``files`` are the names of the source's files.
    """

    rows: dict[str, int]
    judged: int
    funnel: tuple[Step, ...]
    shards: int
    damaged: tuple[str, ...] = ()
    without_text: int = 0
    without_url: int = 0
    duplicates: int = 0
    columns: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()
    new: int = 0
    new_shards: int = 0
    fresh: int = 0
    files: frozenset[str] = frozenset()

    @property
    def total(self) -> int:
        """The number of rows of the source."""
        return sum(self.rows.values())

    @property
    def exact(self) -> bool:
        """Whether every row was judged."""
        return self.judged == self.total

    @property
    def passing(self) -> int:
        """Rows that pass all filters; an estimate where not every row was judged."""
        left = self.funnel[-1].left if self.funnel else self.judged
        return left if self.exact else round(self.total * left / max(1, self.judged))


def preview(
    sources: SourceSet,
    recipe: Source,
    most: int = MOST,
    blocked: RowLists = NOTHING,
    store: Store | None = None,
) -> Preview:
    """Judges the rows of the source; of very long Parquet lists only the first rows of each file.

    Of tars and folders it reads what planning reads: sidecars, and images that have no url. ``store`` is the root whose
    planned rows are not new.
    """
    planned = PlannedFiles(store, recipe, most) if store is not None else None
    new = new_shards = fresh = 0
    rows: Counter[str] = Counter()
    seen = _Seen()
    shards = 0
    damaged: list[str] = []
    left = recipe.limit or None
    known = sum(f.rows() or 0 for f in sources.files)
    share = min(1.0, most / max(1, known if left is None else min(known, left)))
    for file in sources.files:
        if left == 0:
            break
        try:
            unplanned = planned.of(file.name) if planned is not None else Unplanned()
            count = _judge(file, recipe, left, share, seen, blocked, unplanned)
        except SourceError as error:
            damaged.append(str(error))
            continue
        rows[file.dialect] += count
        shards += -(-count // recipe.shard_rows)
        new += unplanned.rows
        new_shards += -(-unplanned.rows // recipe.shard_rows)
        fresh += unplanned.passing
        left = None if left is None else left - count
    steps = []
    remaining = seen.judged
    for reason in Reason:
        if seen.rejected[reason]:
            remaining -= seen.rejected[reason]
            steps.append(Step(reason, seen.rejected[reason], remaining))
    return Preview(
        dict(rows),
        seen.judged,
        tuple(steps),
        shards,
        tuple(damaged),
        seen.without_text,
        seen.without_url,
        seen.duplicates(),
        tuple(_columns(sources)),
        sources.notes,
        *(new, new_shards, fresh),
        frozenset(file.name for file in sources.files),
    )


def _columns(sources: SourceSet) -> Iterator[tuple[str, str]]:
    """What is read from which column, and the first file in which it is so."""
    found: dict[str, str] = {}
    for file in sources.files:
        if file.layout is not None and not all(column.isdigit() for _, column in file.layout.roles):
            roles = dict(reversed(file.layout.roles))
            named = (f"{'text' if r == 'alt_text' else r} from {c!r}" for r, c in roles.items())
            found.setdefault(", ".join(sorted(named)), file.name)
    yield from found.items()


@dataclass
class _Seen:
    """Counts of the rows that were judged."""

    judged: int = 0
    without_text: int = 0
    without_url: int = 0
    rejected: Counter[Reason] = field(default_factory=Counter)
    known: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, metadata: pa.Table, recipe: Source, blocked: RowLists) -> None:
        """Judges rows and counts them."""
        verdict = judge(metadata, recipe, blocked)
        self.judged += metadata.num_rows
        self.rejected.update(verdict.rejected)
        blank = _blank(metadata["alt_text"])
        self.without_text += int(np.count_nonzero(blank))
        nowhere = _blank(metadata["url"]) & np.asarray(pc.is_null(metadata["local_file"]).to_numpy(), dtype=bool)
        self.without_url += int(np.count_nonzero(nowhere))
        passed = metadata.filter(pc.is_null(verdict.reason))
        names = [name or "" for name in first_of(passed["url"], passed["content"]).to_pylist()]
        texts = [text or "" for text in first_of(passed["known_text"], passed["alt_text"]).to_pylist()]
        # 64 bits a row: of a million rows about none is counted wrongly.
        self.known.append(np.fromiter(map(hash, zip(names, texts, strict=True)), np.int64, len(names)))

    def merge(self, other: _Seen) -> None:
        """Adds the counts of a file that was read to its end."""
        self.judged += other.judged
        self.without_text += other.without_text
        self.without_url += other.without_url
        self.rejected.update(other.rejected)
        self.known += other.known

    def duplicates(self) -> int:
        """Rows that are known by the same as an earlier one."""
        known = np.concatenate([np.empty(0, np.int64), *self.known])
        return len(known) - len(np.unique(known))


def _blank(values: Chunked) -> NDArray[np.bool_]:
    trimmed = pc.utf8_trim_whitespace(values.fill_null(pa.scalar("", values.type)))
    blank: NDArray[np.bool_] = np.asarray(pc.utf8_length(trimmed)) == 0
    return blank


def _judge(
    file: SourceFile,
    recipe: Source,
    left: int | None,
    share: float,
    seen: _Seen,
    blocked: RowLists,
    unplanned: Unplanned,
) -> int:
    """Judges rows of a file, and returns the number of all its rows."""
    there = file.rows()
    end = left
    if there is not None:
        there = there if left is None else min(there, left)
        end = -int(-there * share // 1)
    found = _Seen()
    for metadata in file.read(0, end):
        found.add(metadata, recipe, blocked)
        unplanned.add(file.name, metadata, recipe, blocked)
    if there is not None and 0 < found.judged < there:
        unplanned.scale(there / found.judged)
    seen.merge(found)
    return found.judged if there is None else there
