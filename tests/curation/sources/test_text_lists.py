"""Lists of lines in the forms that tools write them: no row is lost, joined to another or changed without a fault."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.core.errors import SourceError
from curation.sources import line_records
from curation.sources.discover import open_source
from curation.sources.source_file import SourceFile

SEPARATORS = {"tsv": "\t", "csv": ","}


def only(path: Path) -> SourceFile:
    (file,) = open_source([str(path)]).files
    return file


def rows_of(path: Path, data: bytes | str) -> pa.Table:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return pa.concat_tables(only(path).read())


def pairs(path: Path, data: bytes | str) -> list[tuple[str, str]]:
    table = rows_of(path, data)
    return list(zip(table["url"].to_pylist(), table["alt_text"].to_pylist(), strict=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(captions=st.lists(st.text(), min_size=1, max_size=12), quote_all=st.booleans(), first=st.booleans())
@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_any_caption_that_the_csv_module_wrote_is_read_back(
    kind: str, captions: list[str], quote_all: bool, first: bool, tmp_path: Path
) -> None:
    """RFC 4180: quotes doubled, and separators and line ends within quotes."""
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quote_all or kind == "tsv" else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=SEPARATORS[kind], quoting=quoting)
    writer.writerow(["caption", "url"] if first else ["url", "caption"])
    for i, caption in enumerate(captions):
        url = f"http://a/{i}"
        writer.writerow([caption, url] if first else [url, caption])
    wanted = [(f"http://a/{i}", caption) for i, caption in enumerate(captions)]
    assert pairs(tmp_path / f"l.{kind}", text.getvalue()) == wanted


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        (
            "url first",
            'url\tcaption\nU0\t"an old mill\nby the river"\nU1\tplain\n',
            ["an old mill\nby the river", "plain"],
        ),
        (
            "url last",
            'caption\turl\n"an old mill\nby the river"\tU0\nplain\tU1\n',
            ["an old mill\nby the river", "plain"],
        ),
        ("CRLF", 'url\tcaption\r\nU0\t"a\r\nb"\r\nU1\tplain\r\n', ["a\r\nb", "plain"]),
        ("blank lines within", 'url\tcaption\nU0\t"a\n\n\nb"\nU1\tplain\n', ["a\n\n\nb", "plain"]),
        ("a tab within", 'url\tcaption\nU0\t"a\tb\nc"\nU1\tplain\n', ["a\tb\nc", "plain"]),
        ("doubled quotes", 'url\tcaption\nU0\t"a ""b""\nc"\nU1\tplain\n', ['a "b"\nc', "plain"]),
        ("no end of line", 'url\tcaption\nU0\tplain\nU1\t"a\nb"', ["plain", "a\nb"]),
        ("quoted header", '"url"\t"caption"\n"U0"\t"a\nb"\n"U1"\t"plain"\n', ["a\nb", "plain"]),
        ("open quote", 'url\tcaption\nU0\t"never closed\nU1\tplain\n', ['"never closed', "plain"]),
        ("open quote at the end", 'url\tcaption\nU0\tplain\nU1\t"never closed', ["plain", '"never closed']),
        ("two open quotes", 'url\tcaption\nU0\t"one\nU1\ttwo"\n', ['"one', 'two"']),
        ("open quote, url last", 'caption\turl\n"one\tU0\ntwo"\tU1\n', ['"one', 'two"']),
        ("open quotes everywhere", 'url\tcaption\nU0\t"one\nU1\t"two\n', ['"one', '"two']),
        ("inches", 'url\tcaption\nU0\ta 6" pipe\nU1\t6" by 7"\n', ['a 6" pipe', '6" by 7"']),
        ("text behind a quote", 'url\tcaption\nU0\t"a" b\nU1\t"c"d"\n', ['"a" b', '"c"d"']),
        ("old Macintosh", "url\tcaption\rU0\ta\rU1\tb\r", ["a", "b"]),
        ("a carriage return within", "url\tcaption\nU0\ta\rb\nU1\tc\n", ["a\rb", "c"]),
        ("zero bytes", "url\tcaption\nU0\ta\0b\nU1\tc\n", ["a\0b", "c"]),
    ],
)
def test_a_tsv_with_a_header(name: str, data: str, expected: list[str], tmp_path: Path) -> None:
    wanted = [(f"http://a/{i}", text) for i, text in enumerate(expected)]
    data = data.replace("U0", "http://a/0").replace("U1", "http://a/1")
    assert pairs(tmp_path / "l.tsv", data) == wanted
    assert only(tmp_path / "l.tsv").dialect == "url-caption"
    # The same rows, whatever row the reading starts at.
    (later,) = only(tmp_path / "l.tsv").read(1)
    assert later["alt_text"].to_pylist() == expected[1:]


@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_an_open_quote_takes_no_row_with_it(kind: str, tmp_path: Path) -> None:
    """Another quote far below would close it, and every row between them would be its text."""
    sign = SEPARATORS[kind]
    good = [f"http://a/{i}{sign}caption {i}" for i in range(500)]
    good[100] = f'http://a/100{sign}"never closed'
    good[400] = f'http://a/400{sign}as she said"'
    table = rows_of(tmp_path / f"l.{kind}", "\n".join([f"url{sign}text", *good]))
    assert table.num_rows == 500
    faults = [i for i, fault in enumerate(table["fault"].to_pylist()) if fault]
    assert faults == ([] if kind == "tsv" else [100])
    assert table["alt_text"][400].as_py() == 'as she said"'


def test_an_open_quote_is_given_up_after_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work does not grow with the lines that a quoted field may span."""
    looked = 0
    is_whole = line_records.Records._is_whole

    def counting(self: line_records.Records, line: bytes) -> bool:
        nonlocal looked
        looked += 1
        return is_whole(self, line)

    monkeypatch.setattr(line_records.Records, "_is_whole", counting)
    good = "".join(f'http://a/{i}\t"open {i}\n' for i in range(2000))
    assert rows_of(tmp_path / "l.tsv", "url\ttext\n" + good)["fault"].null_count == 2000
    assert looked <= 2 * 2000 + 1


@pytest.mark.parametrize("order", [("url", "text"), ("text", "url")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_urls_and_captions_need_no_header_in_either_order(
    order: tuple[str, str], end: str, start: str, tmp_path: Path
) -> None:
    """CC12M has the url first, CC3M the caption."""
    texts = ["a very typical bus station", 'sierra "stunning" in this top', "tab\twithin", "see http://b.example"]
    known = [{"url": f"http://a/{i}.jpg", "text": text} for i, text in enumerate(texts)]
    data = "".join("\t".join(row[name] for name in order) + end for row in known)
    assert pairs(tmp_path / "Train_GCC-training.tsv", start + data) == [(r["url"], r["text"]) for r in known]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("csv", "http://a/0.jpg,a cat\nhttp://a/1.jpg,a dog\n"),
        ("csv", "a cat,http://a/0.jpg\na dog,http://a/1.jpg\n"),
        ("csv", '"http://a/0.jpg","a cat"\n'),
        ("tsv", "http://a/0.jpg\ta cat\t640\nhttp://a/1.jpg\ta dog\t480\n"),
        ("tsv", "a cat\thttp://a/0.jpg\tcat,pet\ta,b\t0.1,0.2\na dog\thttp://a/1.jpg\tdog\tc\t0.3\n"),
        ("tsv", "1\thttp://a/0.jpg\ta cat\n2\thttp://a/1.jpg\ta dog\n"),
    ],
)
def test_any_other_list_without_a_header_is_asked_for_one(name: str, data: str, tmp_path: Path) -> None:
    (tmp_path / f"l.{name}").write_text(data)
    with pytest.raises(SourceError, match=r"no header line: its first line is a row .*for example '.*url"):
        open_source([str(tmp_path)])


@pytest.mark.parametrize("header", ["url\tdescription", "link\tcaption", "image_url\talt", "words\turl"])
def test_a_header_with_other_names_is_never_taken_for_a_row(header: str, tmp_path: Path) -> None:
    first = header.startswith(("url", "link", "image"))
    row = "http://a/0.jpg\ta cat\n" if first else "a cat\thttp://a/0.jpg\n"
    assert pairs(tmp_path / "l.tsv", f"{header}\n{row}") == [("http://a/0.jpg", "a cat")]


def _utf16(text: str) -> bytes:
    return text.encode("utf-16")


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("l.tsv", str.encode),
        ("l.tsv", lambda text: text.encode("utf-8-sig")),
        ("l.tsv", _utf16),
        ("l.tsv", lambda text: b"\xfe\xff" + text.encode("utf-16-be")),
        ("l.tsv", lambda text: text.replace("\n", "\r\n").encode()),
        ("l.tsv", lambda text: text.replace("\n", "\r").encode()),
        ("l.tsv", lambda text: text.replace("\n", "\r\n").encode("utf-16")),
        ("l.tsv.gz", lambda text: gzip.compress(_utf16(text))),
        ("l.tsv.bz2", lambda text: bz2.compress(text.encode())),
        ("l.tsv.xz", lambda text: lzma.compress(text.encode())),
        ("l.tsv", lambda text: gzip.compress(text.encode())),  # the ending is wrong
        ("l.tsv.gz", str.encode),
        ("l.csv", str.encode),
        ("l.csv", lambda text: text.replace("\t", ";").encode()),
        ("l.tsv", lambda text: text.replace("\t", ",").encode()),
        ("l.csv", lambda text: text.replace("\t", "|").encode()),
    ],
)
def test_encodings_line_ends_packing_and_separators(name: str, convert: Callable[[str], bytes], tmp_path: Path) -> None:
    rows = [(f"http://a/{i}", f"ein Käse № {i} \U0001f9c0") for i in range(3000)]
    data = "url\ttext\n" + "".join(f"{url}\t{text}\n" for url, text in rows)
    assert pairs(tmp_path / name, convert(data)) == rows


def test_a_parquet_list_under_the_name_of_a_csv_is_read(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"url": ["http://a/0"], "text": ["x"]}), tmp_path / "l.csv")
    assert pa.concat_tables(only(tmp_path / "l.csv").read())["url"].to_pylist() == ["http://a/0"]


def test_a_text_that_is_no_utf8_is_noted(tmp_path: Path) -> None:
    table = rows_of(tmp_path / "l.tsv", b"http://a/0\tcaf\xe9\nhttp://a/1\tcaf\xc3\xa9\nhttp://a/\xff\tx\xe9\n")
    assert table["alt_text"].to_pylist()[:2] == ["caf\ufffd", "café"]
    first, second, third = table["note"].to_pylist()
    assert "not valid UTF-8" in first and second is None and third == "the url is not valid UTF-8"
    assert table["fault"].to_pylist() == [None, None, "malformed_row"]
