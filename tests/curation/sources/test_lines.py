"""A line that cannot be parsed is still a row; nothing behind it is lost."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.core.errors import SourceError
from curation.sources import line_records
from curation.sources.discover import open_source
from curation.sources.source_file import SourceFile


def only(path: Path) -> SourceFile:
    (file,) = open_source([str(path)]).files
    return file


def rows_of(path: Path, start: int = 0, end: int | None = None) -> pa.Table:
    return pa.concat_tables(only(path).read(start, end))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_line_without_a_tab_is_a_malformed_row_in_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "l.tsv", b"http://a/0\tzero\nhttp://a/1\n\nhttp://a/3\tthree\n")
    rows = rows_of(path)
    assert rows["url"].to_pylist() == ["http://a/0", "http://a/1", "", "http://a/3"]
    assert rows["alt_text"].to_pylist() == ["zero", None, None, "three"]
    assert rows["fault"].to_pylist() == [None, "malformed_row", "malformed_row", None]
    assert rows["note"][1].as_py() == "1 column; expected 2"


def test_in_cc12m_quotes_and_further_tabs_belong_to_the_caption(tmp_path: Path) -> None:
    path = write(tmp_path / "l.tsv", b'http://a/0\t"never closed\nhttp://a/1\ta\tb "c"\r\nhttp://a/2\t""')
    rows = rows_of(path)
    assert rows["alt_text"].to_pylist() == ['"never closed', 'a\tb "c"', '""']
    assert rows["fault"].null_count == 3


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(captions=st.lists(st.text().map(lambda t: t.replace("\n", " ").rstrip("\r")), min_size=1, max_size=20))
def test_any_caption_of_one_line_passes_through_a_tsv_unharmed(captions: list[str], tmp_path: Path) -> None:
    # Where every line has further columns, a header is asked for; one caption without a tab shows that they are none.
    captions = ["a plain one", *captions]
    text = "".join(f"http://a/{i}\t{caption}\n" for i, caption in enumerate(captions))
    rows = rows_of(write(tmp_path / "l.tsv", text.encode()))
    assert rows["alt_text"].to_pylist() == captions
    assert rows["fault"].null_count == len(captions)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(captions=st.lists(st.text(), min_size=1, max_size=20))
def test_any_caption_passes_through_a_csv_unharmed(captions: list[str], tmp_path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["URL", "Caption"])
    writer.writerows([f"http://a/{i}", caption] for i, caption in enumerate(captions))
    rows = rows_of(write(tmp_path / "l.csv", text.getvalue().encode()))
    assert rows["alt_text"].to_pylist() == captions
    assert rows["fault"].null_count == len(captions)


def test_a_quote_that_never_closes_costs_its_line_alone(tmp_path: Path) -> None:
    good = [f"http://a/{i},caption {i}" for i in range(3000)]
    good[1000] = 'http://a/1000,"never closed'
    rows = rows_of(write(tmp_path / "l.csv", "\n".join(["url,text", *good]).encode()))
    assert rows.num_rows == 3000
    faults = rows["fault"].to_pylist()
    assert [i for i, f in enumerate(faults) if f] == [1000]
    assert rows["alt_text"][2999].as_py() == "caption 2999"


def test_an_open_quote_on_the_last_lines_costs_its_line_alone(tmp_path: Path) -> None:
    rows = rows_of(write(tmp_path / "l.csv", b'url,text\nhttp://a/0,"open\nhttp://a/1,fine\nhttp://a/2,"two\nlines"\n'))
    # The open quote closes at the next one, so that what lies between is one field with text behind it.
    assert rows["url"].to_pylist()[1:] == ["http://a/1", "http://a/2"]
    assert rows["alt_text"].to_pylist()[1:] == ["fine", "two\nlines"]
    assert rows["fault"].to_pylist() == ["malformed_row", None, None]


def test_a_tsv_with_a_header_takes_quotes_where_they_work_out(tmp_path: Path) -> None:
    data = b'Caption\tURL\twidth\n"a ""b"""\thttp://a/0\t300\n"open\thttp://a/1\tx\n"a" b\thttp://a/2\t\n'
    rows = rows_of(write(tmp_path / "l.tsv", data))
    assert rows["alt_text"].to_pylist() == ['a "b"', '"open', '"a" b']
    assert rows["url"].to_pylist() == ["http://a/0", "http://a/1", "http://a/2"]
    assert rows["width"].to_pylist() == [300, None, None]


def test_bytes_that_are_no_utf8_cost_the_url_or_a_letter(tmp_path: Path) -> None:
    rows = rows_of(write(tmp_path / "l.tsv", b"http://a/0\tcaf\xe9\nhttp://a/\xff\tx\nhttp://a/2\t\x00\x01\n"))
    assert rows["alt_text"].to_pylist() == ["caf\ufffd", "x", "\x00\x01"]
    assert rows["fault"].to_pylist() == [None, "malformed_row", None]


def test_a_line_beyond_any_caption_is_cut_off_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_records, "_LONGEST", 1000)
    path = write(tmp_path / "l.tsv", b"http://a/0\t" + b"x" * 5500 + b"\nhttp://a/1\tfine\n")
    rows = rows_of(path)
    assert rows["fault"].to_pylist() == ["malformed_row", None]
    assert rows["alt_text"].to_pylist() == [None, "fine"]


def test_a_compressed_list_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "l.csv.gz", gzip.compress("\ufeffurl,text\nhttp://a/0,ä\n".encode()))
    assert rows_of(path)["alt_text"].to_pylist() == ["ä"]
    cut = write(tmp_path / "cut.tsv.gz", gzip.compress(b"http://a/0\tx\n" * 100_000)[:-20])
    with pytest.raises(SourceError, match="fetch the file again"):
        list(only(cut).read())


@pytest.mark.parametrize("end", [None, 15_000])
def test_reading_may_start_anywhere(end: int | None, tmp_path: Path) -> None:
    path = write(tmp_path / "l.tsv", "".join(f"http://a/{i}\tt\n" for i in range(20_500)).encode())
    assert rows_of(path, 12_345, end)["url"].to_pylist() == [f"http://a/{i}" for i in range(12_345, end or 20_500)]


def test_lines_that_hold_no_url_are_no_list(tmp_path: Path) -> None:
    path = write(tmp_path / "l.tsv", b"name\tvalue\na\t1\n")
    with pytest.raises(SourceError, match="Columns found: name, value"):
        open_source([str(path)])
