"""A record is declared once: its Arrow schema, its rows and its documentation agree."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import captions, news, records
from schemas.arrow import Record, columns, conform, rows_of, schema_of, table_of
from schemas.captions import CaptionCheck
from schemas.reasons import Reason
from schemas.records import Duplicate

RECORDS = [
    r
    for m in (records, captions, news)
    for r in vars(m).values()
    if isinstance(r, type) and issubclass(r, Record) and r is not Record
]

text = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_of_every_record_is_documented(record: type[Record]) -> None:
    assert [c.name for c in columns(record) if not c.doc] == []
    assert schema_of(record).names == [f.name for f in dataclasses.fields(record)]


def test_every_table_has_its_own_name() -> None:
    names = [r.table for r in RECORDS]
    assert len(names) == len(set(names))


@given(
    st.lists(
        st.builds(
            CaptionCheck,
            sample_id=text,
            kind=text,
            passed=st.booleans(),
            reasons=st.lists(st.sampled_from(Reason)),
            repaired=st.booleans(),
            detail=st.none() | text,
            caption=st.none() | text,
            words=st.integers(0, 2**31 - 1),
            clip_tokens=st.integers(0, 2**31 - 1),
            sentence_end_77=st.none() | st.integers(0, 2**31 - 1),
        )
    )
)
def test_rows_survive_the_trip_through_arrow(rows: list[CaptionCheck]) -> None:
    table = table_of(CaptionCheck, rows)
    assert table.schema == schema_of(CaptionCheck)
    assert list(rows_of(CaptionCheck, table)) == rows


def test_conform_names_what_is_missing() -> None:
    with pytest.raises(ValueError, match=r"lacks the columns \['reason', 'keeper_id'"):
        conform(Duplicate, pa.table({"sample_id": ["a"]}))


def test_conform_orders_and_casts() -> None:
    row = Duplicate("a", Reason.NEAR_DUPLICATE, "b", 3, "b")
    table = table_of(Duplicate, [row])
    shuffled = table.select(list(reversed(table.column_names)))
    at = shuffled.column_names.index("cluster_id")
    shuffled = shuffled.set_column(at, "cluster_id", pa.array(["b"]).dictionary_encode())
    assert list(rows_of(Duplicate, conform(Duplicate, shuffled))) == [row]
