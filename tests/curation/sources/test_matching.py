"""Rows are matched as a plain model of the definition matches them, whatever happened to the list."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.core import database
from curation.core.errors import StoreError
from curation.sources import matching
from curation.sources.matching import Matching
from curation.sources.row_spool import RowSpool
from curation.sources.same_urls import SameUrls
from schemas.arrow import table_of
from schemas.records import SourceRow
from tests.support.source_rows import source_row


@dataclass(frozen=True)
class Row:
    """What decides about a row: its id, what else the source says of it, and its url."""

    id: int
    said: int = 0
    url: int | None = None


# Halves of few values: ids that are equal in one half only are as frequent as equal ones.
HALVES = st.integers(0, 2)
IDS = st.one_of(st.integers(0, 2**128 - 1), st.builds(lambda a, b: (a << 64) | b, HALVES, HALVES))
ROWS = st.lists(st.builds(Row, IDS, st.integers(0, 1), st.none() | st.integers(0, 4)), max_size=30)
EDITS = st.lists(st.sampled_from(["insert", "remove", "reorder", "repeat", "correct"]), max_size=12)


def edited(rows: Sequence[Row], edits: Sequence[str], new: Sequence[Row], chance: random.Random) -> list[Row]:
    """The list after these edits; rows that are inserted are taken from ``new``."""
    found = list(rows)
    for edit in edits:
        at = chance.randrange(len(found) + 1)
        if edit == "insert" and new:
            found.insert(at, chance.choice(new))
        elif edit == "reorder":
            chance.shuffle(found)
        elif at < len(found):
            row = found[at]
            match edit:
                case "remove":
                    del found[at]
                case "repeat":
                    found.insert(chance.randrange(len(found) + 1), row)
                case "correct":
                    found[at] = Row(row.id, 1 - row.said, row.url)
    return found


def expected(planned: Sequence[Row], found: Sequence[Row]) -> tuple[list[int], list[int]]:
    """The definition, row by row: first what is equal in everything, then what has the same id."""
    matched = [-1] * len(planned)
    left = list(range(len(found)))
    for exact in (True, False):
        for at, row in enumerate(planned):
            same = [n for n in left if found[n].id == row.id and (not exact or found[n].said == row.said)]
            if matched[at] < 0 and same:
                matched[at] = same[0]
                left.remove(same[0])
    return matched, left


def same_urls(planned: Sequence[Row], found: Sequence[Row], fresh: Sequence[int]) -> list[tuple[int, int]]:
    """Each new row whose url is planned, and the first planned row that has it."""
    firsts: dict[int | None, int] = {}
    for at, row in enumerate(planned):
        firsts.setdefault(row.url, at)
    return [(n, firsts[found[n].url]) for n in fresh if found[n].url is not None and found[n].url in firsts]


def table(rows: Sequence[Row], first: int = 0) -> pa.Table:
    urls = (None if row.url is None else f"http://a/{row.url}" for row in rows)
    return table_of(
        SourceRow,
        [
            source_row(first + at, url, sample_id=f"{row.id:032x}", similarity=0.25 * row.said)
            for at, (row, url) in enumerate(zip(rows, urls, strict=True))
        ],
    )


def cut(rows: Sequence[Row], size: int) -> list[pa.Table]:
    return [table(rows[at : at + size], at) for at in range(0, len(rows), size)]


@contextmanager
def loaded(planned: Sequence[Row], found: Sequence[Row], size: int) -> Iterator[tuple[Matching, RowSpool]]:
    shards = {f"{n}": rows for n, rows in enumerate(cut(planned, size))}
    with RowSpool() as spool:
        matched = Matching(spool, lambda shard, columns: shards[shard].select(list(columns)))
        for shard, rows in shards.items():
            matched.add_planned(shard, rows.select(["sample_id"]))
        for rows in cut(found, size):
            matched.add_found(rows)
            spool.append([rows])
        spool.finish()
        yield matched, spool


@given(planned=ROWS, new=ROWS, edits=EDITS, seed=st.integers(0, 2**32), size=st.integers(1, 12))
def test_rows_are_matched_as_the_definition_says(
    planned: list[Row], new: list[Row], edits: list[str], seed: int, size: int
) -> None:
    found = edited(planned, edits, new, random.Random(seed))
    with loaded(planned, found, size) as (matched, spool):
        pairs, fresh = matched.match()
        assert (pairs.tolist(), fresh.tolist()) == expected(planned, found)
        urls = SameUrls(spool, fresh)
        for n, rows in enumerate(cut(planned, size)):
            urls.look(f"{n}", rows)
        same = urls.found()
    wanted = same_urls(planned, found, fresh.tolist())
    assert same["found"].to_pylist() == [n for n, _ in wanted]
    assert same["of_shard"].to_pylist() == [f"{at // size}" for _, at in wanted]
    assert same["of_sample_id"].to_pylist() == [f"{planned[at].id:032x}" for _, at in wanted]


def test_rows_that_come_once_are_not_read_again() -> None:
    planned = [Row(n << 64) for n in range(100)]
    found = [*planned[50:], Row(200 << 64), *planned[:50]]
    with RowSpool() as spool:
        matched = Matching(spool, lambda shard, columns: pytest.fail(f"{shard} was read again"))
        matched.add_planned("0", table(planned))
        matched.add_found(table(found))
        pairs, fresh = matched.match()
    assert pairs.tolist() == [*range(51, 101), *range(50)]
    assert fresh.tolist() == [50]


def test_a_full_temporary_folder_is_a_store_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_OF_A_THREAD", 1)
    monkeypatch.setattr(matching, "_MATCH", f"SET max_temp_directory_size = '1MB'; {matching._MATCH}")
    twice = [Row(n) for n in range(40_000)] * 2
    with loaded(twice, twice, len(twice)) as (matched, _), pytest.raises(StoreError, match=r"Memory.*; free space in"):
        matched.match()


def test_ids_that_are_equal_in_their_first_half_only_are_others() -> None:
    planned, found = [Row(1), Row(3 << 64)], [Row(2), Row(3 << 64)]
    with loaded(planned, found, 1) as (matched, _):
        pairs, fresh = matched.match()
    assert pairs.tolist() == [-1, 1]
    assert np.array_equal(fresh, [0])
