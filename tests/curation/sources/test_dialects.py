"""Every list is known by its columns, whatever their case, and says the same in every dialect."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.core.errors import SourceError
from curation.sources.dialects import DIALECTS as KNOWN
from curation.sources.discover import open_source
from tests.support.sources import DIALECTS, Item, items, write_cc12m, write_parquet

ROWS = [
    Item("http://a.example/1.jpg", "a cat", 640, 480, 0.31, 6.5, 0.1, 0.2),
    Item("http://a.example/2.jpg", "ein Hund", None, None, None, None, None, None),
]


def read(source: Path) -> pa.Table:
    (file,) = open_source([str(source)]).files
    return pa.concat_tables(file.read())


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("case", [str.lower, str.upper, str.title, str])
def test_a_dialect_is_known_by_its_columns_in_any_case(dialect: str, case: type[str], tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "list.parquet", ROWS, dialect)
    table = pq.read_table(path)
    pq.write_table(table.rename_columns([case(c) for c in table.column_names]), path)
    (file,) = open_source([str(path)]).files
    assert file.dialect == dialect
    assert file.rows() == 2
    rows = read(path)
    assert rows["url"].to_pylist() == [r.url for r in ROWS]
    assert rows["alt_text"].to_pylist() == [r.text for r in ROWS]
    assert rows["width"].to_pylist() == [640, None]
    assert rows["height"].to_pylist() == [480, None]


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_null_stays_null_and_is_not_zero(dialect: str, tmp_path: Path) -> None:
    rows = read(write_parquet(tmp_path / "list.parquet", ROWS, dialect))
    carries = {
        "similarity": dialect != "img2dataset",
        "aesthetic": dialect in {"laion-aesthetics", "coyo-700m"},
        "punsafe": dialect in {"laion-2b", "laion-aesthetics", "re-laion", "coyo-700m"},
        "pwatermark": dialect in {"laion-2b", "laion-aesthetics", "re-laion", "coyo-700m"},
    }
    for name, carried in carries.items():
        first, second = rows[name].to_pylist()
        assert second is None
        assert first == (pytest.approx(getattr(ROWS[0], name)) if carried else None), name


def test_every_known_dialect_has_a_writer_or_a_test_of_its_own() -> None:
    elsewhere = {"redcaps", "wit", "coco"}  # in test_list_layouts.py
    assert {d.name for d in KNOWN} == {*DIALECTS, *elsewhere, "url-caption", "url-text"}


def test_cc12m_has_no_header(tmp_path: Path) -> None:
    rows = read(write_cc12m(tmp_path / "cc12m.tsv", ROWS))
    assert rows["alt_text"].to_pylist() == ["a cat", "ein Hund"]


def test_an_unknown_dialect_lists_the_columns_found_and_the_dialects_known(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"number": ["one"], "words": ["a cat"]}), path)
    with pytest.raises(SourceError, match=r"number, words") as raised:
        open_source([str(path)])
    assert all(d.name in str(raised.value) for d in KNOWN)


def test_two_columns_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.parquet"
    pq.write_table(pa.table({"URL": ["http://a/1.jpg"], "url": ["http://a/2.jpg"], "TEXT": ["a cat"]}), path)
    with pytest.raises(SourceError, match="several columns for the url"):
        open_source([str(path)])


def test_only_columns_with_a_role_are_read(tmp_path: Path) -> None:
    """A column of gibberish that no role needs does not stop the reading of the others."""
    path = tmp_path / "wide.parquet"
    broken = pa.array([b"\xff\xfe"] * 5).view(pa.binary())
    text = pa.StringArray.from_buffers(5, broken.buffers()[1], broken.buffers()[2])
    rows = items(5)
    pq.write_table(pa.table({"url": [r.url for r in rows], "text": [r.text for r in rows], "notes": text}), path)
    assert read(path)["alt_text"].to_pylist() == [r.text for r in rows]
    assert read(path)["fault"].null_count == 5
