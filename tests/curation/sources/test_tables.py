"""Parquet is streamed in file order, and what is odd in it is survived or named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.core.errors import SourceError
from curation.sources.discover import open_source
from curation.sources.source_file import SourceFile
from curation.sources.tables import pieces
from tests.support.sources import items, write_parquet


def only(source: str | Path) -> SourceFile:
    (file,) = open_source([str(source)]).files
    return file


def invalid_strings(values: list[bytes]) -> pa.Array:
    """A string column whose bytes nobody checked, as careless writers make them."""
    plain = pa.array(values, pa.binary())
    return pa.StringArray.from_buffers(len(values), plain.buffers()[1], plain.buffers()[2])


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 7), (2500, 2600), (24_999, None), (12_345, 20_001)])
def test_rows_come_in_file_order_over_many_row_groups(start: int, end: int | None, tmp_path: Path) -> None:
    rows = items(25_000)
    file = only(write_parquet(tmp_path / "list.parquet", rows, group=3000))
    assert pa.concat_tables(file.read(start, end))["url"].to_pylist() == [r.url for r in rows[start:end]]


def test_pieces_are_exact_and_lose_nothing() -> None:
    tables = [
        pa.table({"n": pa.array(range(a, b), pa.int64())}) for a, b in [(0, 3), (3, 3), (3, 30), (30, 31), (31, 40)]
    ]
    cut = list(pieces(iter(tables), 7))
    assert [t.num_rows for t in cut] == [7, 7, 7, 7, 7, 5]
    assert pa.concat_tables(cut)["n"].to_pylist() == list(range(40))
    assert all(t["n"].num_chunks == 1 for t in cut)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(), min_size=1, max_size=20))
def test_any_text_passes_through_unharmed(texts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"url": texts, "text": texts}), path)
    rows = pa.concat_tables(only(path).read())
    assert rows["url"].to_pylist() == texts
    assert rows["alt_text"].to_pylist() == texts


def test_long_right_to_left_and_control_texts_pass_through_unharmed(tmp_path: Path) -> None:
    texts = ["x" * 100_000, "שלום \u202eעולם\u202c", "a\x00b\x01\x1b[31m\r\n\t", "\ufeff\ufffd\U0001f9ea", ""]
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"url": texts, "text": texts}), path)
    assert pa.concat_tables(only(path).read())["alt_text"].to_pylist() == texts


def test_what_is_no_utf8_costs_only_its_own_url_or_letters(tmp_path: Path) -> None:
    count = 15_000
    urls = [b"http://a/%d" % i for i in range(count)]
    texts = [b"text %d" % i for i in range(count)]
    texts[12_000] = b"caf\xe9 au lait"
    urls[13_000] = b"http://a/\xff"
    path = tmp_path / "bytes.parquet"
    pq.write_table(pa.table({"url": invalid_strings(urls), "text": invalid_strings(texts)}), path, row_group_size=4000)
    rows = pa.concat_tables(only(path).read())
    assert rows.num_rows == count
    assert rows["url"].to_pylist()[:13_000] == [u.decode() for u in urls[:13_000]]
    assert rows["alt_text"][12_000].as_py() == "caf\ufffd au lait"
    assert rows["fault"].null_count == count - 1
    assert rows["fault"][13_000].as_py() == "malformed_row"
    assert rows["alt_text"][14_999].as_py() == "text 14999"


def test_texts_written_as_bytes_are_read_as_utf8(tmp_path: Path) -> None:
    path = tmp_path / "blobs.parquet"
    pq.write_table(pa.table({"url": [b"http://a/1"], "text": ["ein Käse".encode()]}), path)
    assert pa.concat_tables(only(path).read())["alt_text"].to_pylist() == ["ein Käse"]


def test_numbers_in_any_type_are_read_and_nonsense_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "numbers.parquet"
    table = pa.table(
        {
            "url": ["u"] * 4,
            "text": ["t"] * 4,
            "width": pa.array([2**63, 1, 2, None], pa.uint64()),
            "height": ["300", "abc", "", None],
            "similarity": [float("nan"), float("inf"), 0.5, None],
            "aesthetic": pa.nulls(4),
            "punsafe": pa.array([0.5, None, 0.25, 0.0], pa.float16()),
        }
    )
    pq.write_table(table, path)
    rows = pa.concat_tables(only(path).read())
    assert rows["width"].to_pylist() == [2.0**63, 1, 2, None]
    assert rows["height"].to_pylist() == [300, None, None, None]
    assert rows["similarity"].to_pylist() == [None, None, 0.5, None]
    assert rows["aesthetic"].to_pylist() == [None] * 4
    assert rows["punsafe"].to_pylist() == [0.5, None, 0.25, 0.0]


@pytest.mark.parametrize("name", ["a[1].parquet", "what?*.parquet", "it's.parquet", "ü b.parquet", "a%20b.parquet"])
def test_a_file_name_is_never_taken_for_a_pattern(name: str, tmp_path: Path) -> None:
    write_parquet(tmp_path / "a1.parquet", items(3))
    path = write_parquet(tmp_path / name, items(2))
    file = only(path)
    assert file.name == name
    assert pa.concat_tables(file.read()).num_rows == 2


def test_any_fsspec_url_is_a_source(tmp_path: Path) -> None:
    rows = items(20)
    local = write_parquet(tmp_path / "list.parquet", rows)
    memory = fsspec.filesystem("memory")
    memory.pipe("/lists/part-0.parquet", local.read_bytes())
    try:
        file = only("memory://lists/*.parquet")
        assert file.name == "part-0.parquet"
        assert pa.concat_tables(file.read(5))["url"].to_pylist() == [r.url for r in rows[5:]]
    finally:
        memory.rm("/lists", recursive=True)


def test_a_truncated_file_is_an_error_before_any_work(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "list.parquet", items(100))
    whole = path.read_bytes()
    for length in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"no whole Parquet file.*fetch the file again"):
            open_source([str(path)])


def test_damage_between_the_ends_names_the_row_reached(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    rows = items(60_000)
    table = pa.table({"url": [r.url for r in rows], "text": [r.text for r in rows]})
    pq.write_table(table, path, compression="zstd", row_group_size=20_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = b"\x55" * 4000
    path.write_bytes(data)
    file = only(path)
    with pytest.raises(SourceError, match=r"damaged behind row \d+"):
        list(file.read())


def test_a_nested_column_is_no_url(tmp_path: Path) -> None:
    path = tmp_path / "nested.parquet"
    pq.write_table(pa.table({"url": [["http://a/1"]], "text": ["t"]}), path)
    with pytest.raises(SourceError, match="column 'url' is list"):
        open_source([str(path)])


# The kernel's high-water mark; getrusage's would carry over from the process that started this one.
_READ = """
import pathlib, re, sys
import duckdb
from curation.sources.discover import open_source
from curation.sources.tables import pieces
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
(file,) = open_source([sys.argv[1]]).files
before = peak()
rows = sum(t.num_rows for t in pieces(file.read(), 10_000))
print(rows, peak() - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Not even where the file is one single row group."""
    path = tmp_path / "large.parquet"
    count = 50_000
    text = pa.array([f"{i:06d}" + "wörter und mehr davon " * 15 for i in range(count)])
    parts = [
        pa.table({"URL": pa.array([f"http://example.com/{part}/{i}.jpg" for i in range(count)]), "TEXT": text})
        for part in range(16)
    ]
    rows = 16 * count
    pq.write_table(pa.concat_tables(parts), path, compression="none", use_dictionary=False, row_group_size=rows)
    megabytes = path.stat().st_size >> 20
    assert megabytes > 280
    ran = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True)
    read, kilobytes = map(int, ran.stdout.split())
    assert read == rows
    assert kilobytes >> 10 < megabytes / 3
