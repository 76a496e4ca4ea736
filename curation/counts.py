"""What is counted of a root at the end of a run, over all of its tables: fates, funnel, repeated captions, splits.

It is kept in the root with the state of the tables that it was counted from (``versions/counts.json``): a run that
finds nothing to do reads it there, and no table. Deleting it loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import duckdb

from curation.caption.check.repeated import Repeated, repeated_captions, repeated_openings
from curation.catalog import Conservation, connect, conserved
from curation.core.errors import LapidaryError
from curation.core.store import Store
from curation.products import steps_of
from curation.release.funnel import FunnelRow, GoneRows, read_funnel, read_gone
from curation.release.state import state_of
from curation.release.versions import REMEMBERED

COUNTS = f"{REMEMBERED}/counts.json"
_VERSION = 1  # raised when the counts of the same root become others
_SPLITS = "SELECT split, count(*), count(DISTINCT shard) FROM released GROUP BY split ORDER BY 2 DESC"


@dataclass(frozen=True)
class Split:
    """A split of the release."""

    split: str
    samples: int
    shards: int


@dataclass(frozen=True)
class Counts:
    """``state`` is that of the tables (``state_of``). Of repeated captions and openings these are the worst."""

    state: str
    conservation: Conservation
    funnel: tuple[FunnelRow, ...]
    gone: GoneRows
    captions: tuple[Repeated, ...]
    openings: tuple[Repeated, ...]
    splits: tuple[Split, ...]

    def to_json(self) -> bytes:
        return json.dumps({"version": _VERSION, **asdict(self)}, sort_keys=True, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Raises ``ValueError``, ``KeyError`` or ``TypeError`` for what are no counts of this version."""
        found: dict[str, Any] = json.loads(data)
        if found["version"] != _VERSION:
            raise ValueError(f"counts of version {found['version']}")
        whole = found["conservation"]
        return cls(
            state=str(found["state"]),
            conservation=Conservation(**whole | {"problems": tuple(whole["problems"])}),
            funnel=tuple(FunnelRow(**row) for row in found["funnel"]),
            gone=GoneRows(**found["gone"]),
            captions=tuple(Repeated(**row) for row in found["captions"]),
            openings=tuple(Repeated(**row) for row in found["openings"]),
            splits=tuple(Split(**row) for row in found["splits"]),
        )


def counts_of(store: Store) -> Counts:
    """The counts of a root as it is now: those that it keeps, where they are of the same tables, else new ones.

    Raises ``RootError`` where there is no root.
    """
    steps, recipe = steps_of(store)
    state = state_of(store, steps, recipe)
    if (kept := _kept(store)) is not None and kept.state == state:
        return kept
    with connect(store.url, lasting=False, documented=False) as views:
        found = replace(_counted(views), state=state)
    # Counts that do not add up, or of tables that another run has changed meanwhile, are for this look only.
    if found.conservation.ok and state_of(store, steps, recipe) == state:
        with suppress(LapidaryError):  # a root that cannot be written can be asked all the same
            store.write(COUNTS, found.to_json())
    return found


def _kept(store: Store) -> Counts | None:
    with suppress(LapidaryError, ValueError, KeyError, TypeError):
        return Counts.from_json(store.read(COUNTS))
    return None


def _counted(views: duckdb.DuckDBPyConnection) -> Counts:
    return Counts(
        state="",
        conservation=conserved(views),
        funnel=tuple(read_funnel(views)),
        gone=read_gone(views),
        captions=tuple(_repeated(views, repeated_captions, "captions")[:3]),
        openings=tuple(_repeated(views, repeated_openings, "caption_repeats")[:3]),
        splits=tuple(Split(*row) for row in views.execute(_SPLITS).fetchall()),
    )


def _repeated(
    views: duckdb.DuckDBPyConnection, find: Callable[[duckdb.DuckDBPyConnection], list[Repeated]], view: str
) -> list[Repeated]:
    """What is found in a root that has the view; none in another product's."""
    has = views.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = ?", [view]).fetchone()
    return find(views) if has == (1,) else []
