"""The columns of a file win over whatever its path, its name or the reader could add to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.core.errors import SourceError
from curation.sources.discover import open_source
from curation.sources.source_file import SourceFile
from curation.sources.tables import BATCH
from tests.support.images import jpeg, smooth
from tests.support.sources import items, write_parquet, write_tar

URLS = ["http://a/0", "http://a/1"]
TEXTS = ["a red barn", "two dogs"]


def only(source: Path) -> SourceFile:
    (file,) = open_source([str(source)]).files
    return file


def write(path: Path, columns: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"url": URLS, "caption": TEXTS, **columns}), path)
    return path


@pytest.mark.parametrize(
    ("folder", "columns", "role", "expected"),
    [
        ("caption=blip", {}, "alt_text", TEXTS),
        ("CAPTION=blip", {}, "alt_text", TEXTS),
        ("text=blip", {}, "alt_text", TEXTS),
        ("url=http%3A%2F%2Fevil", {}, "url", URLS),
        ("language=de", {"language": ["en", None]}, "language", ["en", None]),
        ("language=de", {"LANG": ["en", "fr"]}, "language", ["en", "fr"]),
        ("language=de", {}, "language", ["de", "de"]),
        ("LANG=de", {}, "language", ["de", "de"]),
        ("language=de/language=fr", {}, "language", ["fr", "fr"]),
        ("language=pt%2DBR", {}, "language", ["pt-BR", "pt-BR"]),
        ("language=__HIVE_DEFAULT_PARTITION__", {}, "language", [None, None]),
        ("language=", {}, "language", [None, None]),
        ("language", {}, "language", [None, None]),
        ("license=cc0/year=2023", {}, "license", ["cc0", "cc0"]),
        ("punsafe=0.75", {}, "punsafe", [0.75, 0.75]),
        ("punsafe=high", {}, "punsafe", [None, None]),
        ("punsafe=0.75", {"punsafe": [0.5, None]}, "punsafe", [0.5, None]),
        ("width=900", {"width": ["320", "x"]}, "width", [320, None]),
        ("md5=0123", {}, "md5", [None, None]),
    ],
)
@pytest.mark.parametrize("above", [False, True])
def test_a_partition_counts_only_where_the_file_has_no_such_column(
    folder: str, columns: dict[str, Any], role: str, expected: list[Any], above: bool, tmp_path: Path
) -> None:
    path = write(tmp_path / "crawl" / folder / "part-0.parquet", columns)
    rows = pa.concat_tables(only(path if above else tmp_path / "crawl").read())
    assert rows["url"].to_pylist() == URLS
    assert rows["alt_text"].to_pylist() == TEXTS
    assert rows[role].to_pylist() == expected


def test_a_partition_counts_for_every_kind_of_source(tmp_path: Path) -> None:
    for kind in ("tsv", "csv", "tar", "folder"):
        (tmp_path / kind / "language=de").mkdir(parents=True)
    (tmp_path / "tsv" / "language=de" / "a.tsv").write_text("http://a/0\tein Hund\n")
    (tmp_path / "csv" / "language=de" / "a.csv").write_text("url,text,lang\nhttp://a/0,ein Hund,\n")
    members = [("a.jpg", b"1"), ("b.jpg", b"2"), ("b.json", b'{"language": "fr"}')]
    write_tar(tmp_path / "tar" / "language=de" / "a.tar", members)
    for name, data in members:
        (tmp_path / "folder" / "language=de" / name).write_bytes(data)
    found = {k: pa.concat_tables(only(tmp_path / k).read())["language"].to_pylist() for k in ("tsv", "csv")}
    assert found == {"tsv": ["de"], "csv": [""]}  # an empty field of a column that is there stays empty
    for kind in ("tar", "folder"):
        assert pa.concat_tables(only(tmp_path / kind).read())["language"].to_pylist() == ["de", "fr"]


@pytest.mark.parametrize(
    "name",
    ["file_row_number", "filename", "file_index", "row_number", "rowid", "__index_level_0__", "source_row", "a.b", ""],
)
def test_a_column_may_have_any_name(name: str, tmp_path: Path) -> None:
    """What a reader calls its own row numbers must not decide which rows are read."""
    count = BATCH + 50
    columns = {"url": [f"http://a/{i}" for i in range(count)], "caption": ["t"] * count, name: [7] * count}
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=3000)
    for start, end in ((0, None), (5, 9), (2999, 3001), (BATCH - 1, BATCH + 1), (count - 1, None), (count, None)):
        tables = [t for t in only(path).read(start, end) if t.num_rows]
        rows = [u for t in tables for u in t["url"].to_pylist()]
        assert rows == [f"http://a/{i}" for i in range(start, count if end is None else end)]


def test_files_of_one_source_may_have_other_columns_and_types(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"similarity": [0.5, None]})
    write(tmp_path / "b.parquet", {"similarity": ["0.25", "none"], "width": [640, 480]})
    write(tmp_path / "c.parquet", {})
    files = open_source([str(tmp_path)]).files
    found = [pa.concat_tables(f.read()) for f in files]
    assert [t["similarity"].to_pylist() for t in found] == [[0.5, None], [0.25, None], [None, None]]
    assert [t["width"].to_pylist() for t in found] == [[None, None], [640, 480], [None, None]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array(["2020-01-01", "1e5"]), ["2020-01-01", "1e5"]),  # nothing is sniffed
        (pa.array(["001", "true"]), ["001", "true"]),
        (pa.array([1, 2]), ["1", "2"]),
        (pa.array([1.5, None]), ["1.5", None]),
        (pa.array([True, False]), ["True", "False"]),
        (pa.array([b"caf\xc3\xa9", b"x"]), ["café", "x"]),
        (pa.array([b"ab", b"cd"], pa.binary(2)), ["ab", "cd"]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_a_text_column_of_any_plain_type_is_read_as_text(values: pa.Array, expected: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({"url": URLS, "caption": values}), path)
    assert pa.concat_tables(only(path).read())["alt_text"].to_pylist() == expected


@pytest.mark.parametrize("values", [[["a", "b"]], [[1, 2]], [{"en": "a"}], [[("en", "a")]]])
def test_a_text_column_of_a_nested_type_is_an_error_that_names_it(values: Any, tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.string()) if isinstance(values[0], list) and values[0][0] == ("en", "a") else None
    pq.write_table(pa.table({"url": ["http://a/0"], "caption": pa.array(values, kind)}), tmp_path / "list.parquet")
    with pytest.raises(SourceError, match=r"column 'caption' is (list|struct|map)"):
        open_source([str(tmp_path)])


@pytest.mark.parametrize(
    "name",
    [
        "_metadata",
        "_common_metadata",
        "_SUCCESS",
        "_old.parquet",
        "_temporary/0/part-0.parquet",
        "_delta_log/00000000000000000000.json",
        "_delta_log/00000000000000000010.checkpoint.parquet",
        ".part-0.parquet.crc",
        ".hidden.parquet",
        ".ipynb_checkpoints/part-0.parquet",
    ],
)
def test_files_of_other_tools_beside_the_parts_are_passed_over(name: str, tmp_path: Path) -> None:
    for part in range(2):
        write_parquet(tmp_path / "list" / f"part-{part}.parquet", items(2, 10 * part))
    parts = (tmp_path / "list").iterdir()
    own = tmp_path / "list" / name
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_bytes(next(parts).read_bytes())
    for spec in (tmp_path / "list", f"{tmp_path}/list/**" if "/" in name else f"{tmp_path}/list/*"):
        assert [f.name for f in open_source([str(spec)]).files] == ["part-0.parquet", "part-1.parquet"]


def test_a_file_with_an_underscore_is_read_where_it_is_named(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "_mine.parquet", items(2))
    assert open_source([str(path)]).rows() == 2
    assert open_source([f"{tmp_path}/_*.parquet"]).rows() == 2


def test_pictures_with_an_underscore_are_pictures(tmp_path: Path) -> None:
    for name in ("_DSC0001.JPG", "_MG_2.jpg", "_raw"):
        (tmp_path / name).write_bytes(jpeg(smooth(40, 30)))
    assert only(tmp_path).rows() == 3


@pytest.mark.parametrize("folder", ["da[1]ta", "what?", "a b", "100%", "a%20b", "it's", "ü", "a*b", "x#y", "[!a]"])
@pytest.mark.parametrize("spec", ["", "/*.parquet", "/part 0%.parquet", "/*"])
def test_a_folder_may_have_the_signs_of_a_pattern_in_its_name(folder: str, spec: str, tmp_path: Path) -> None:
    write_parquet(tmp_path / folder / "part 0%.parquet", items(3))
    (found,) = open_source([f"{tmp_path}/{folder}{spec}"]).files
    assert found.name == "part 0%.parquet"
    assert pa.concat_tables(found.read()).num_rows == 3
