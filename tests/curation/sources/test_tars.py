"""Tars are read in place: samples, offsets and sidecars; a hostile tar touches nothing and hides nothing."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.core.errors import SourceError
from curation.sources import tars
from curation.sources.discover import open_source
from curation.sources.source_file import SourceFile
from tests.support.sources import img2dataset_members, items, write_tar


def only(path: Path) -> SourceFile:
    (file,) = open_source([str(path)]).files
    return file


def rows_of(path: Path, start: int = 0, end: int | None = None) -> pa.Table:
    return pa.concat_tables(only(path).read(start, end))


def pixels(path: Path, row: int) -> bytes:
    rows = rows_of(path)
    assert rows["local_file"][row].as_py() == path.as_uri()
    offset, size = rows["local_offset"][row].as_py(), rows["local_size"][row].as_py()
    return path.read_bytes()[offset : offset + size]


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_img2dataset_shards_keep_url_text_and_place(tmp_path: Path) -> None:
    rows = items(30)
    path = write_tar(tmp_path / "00000.tar", img2dataset_members(rows, lambda i: b"pixels %d" % i * 100))
    found = rows_of(path)
    assert found["url"].to_pylist() == [r.url for r in rows]
    assert found["alt_text"].to_pylist() == [r.text for r in rows]
    assert found["width"].null_count == 30  # the sidecar's size is not that of the original
    assert found["content"].null_count == 30
    assert pixels(path, 17) == b"pixels 17" * 100
    assert rows_of(path, 10, 12)["url"].to_pylist() == [r.url for r in rows[10:12]]


def test_a_sample_without_url_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"one"), ("a.txt", b"text"), ("b.png", b"two")])
    found = rows_of(path)
    assert found["url"].null_count == 2
    assert found["content"].to_pylist() == [f"sha256:{hashlib.sha256(b).hexdigest()}" for b in (b"one", b"two")]
    assert found["alt_text"].to_pylist() == ["text", ""]
    assert pixels(path, 1) == b"two"


def test_samples_are_runs_of_one_name_up_to_the_first_dot(tmp_path: Path) -> None:
    members = [
        ("d.1/a.seg.png", b"mask"),
        ("d.1/a.jpg", b"image"),
        ("d.1/a.cls", b"7"),
        ("d.2/a.JPG", b"other"),
        ("d.2/a.TXT", b"loud"),
    ]
    path = write_tar(tmp_path / "x.tar", members)
    assert rows_of(path)["alt_text"].to_pylist() == ["", "loud"]
    assert [pixels(path, 0), pixels(path, 1)] == [b"image", b"other"]


def test_json_gives_text_and_scores_where_no_txt_stands(tmp_path: Path) -> None:
    fields = {"Caption": "from json", "URL": "http://a/1", "similarity": 0.5, "punsafe": None, "LICENSE": "cc0"}
    members = [("a.jpg", b"1"), ("a.json", json.dumps(fields).encode()), ("b.jpg", b"2")]
    members += [("b.json", b'{"text": "lone \\ud800 pair \\ud83d\\ude00", "similarity": NaN, "punsafe": 1e999}')]
    members += [("c.jpg", b"3"), ("c.json", b"{broken"), ("d.jpg", b"4"), ("d.json", b"[1]"), ("e.jpg", b"5")]
    members += [("e.json", b"[" * 100_000), ("f.jpg", b"6"), ("f.json", b'{"text": 7, "url": ["x"], "punsafe": true}')]
    found = rows_of(write_tar(tmp_path / "x.tar", members))
    assert found["alt_text"].to_pylist() == ["from json", "lone \ufffd pair \U0001f600", "", "", "", ""]
    assert found["url"].to_pylist() == ["http://a/1", None, None, None, None, None]
    assert found["similarity"].to_pylist() == [0.5, None, None, None, None, None]
    assert found["punsafe"].null_count == 6
    assert found["license"][0].as_py() == "cc0"
    notes = found["note"].to_pylist()
    assert notes[:2] == [None, None]
    assert all("json" in n for n in notes[2:5])
    assert found["fault"].null_count == 6


def test_text_that_is_no_utf8_is_read_as_windows_1252_with_a_note(tmp_path: Path) -> None:
    members = [("a.jpg", b"1"), ("a.txt", b"caf\xe9"), ("b.jpg", b"2"), ("b.txt", "\ufeffbom \x00".encode())]
    found = rows_of(write_tar(tmp_path / "x.tar", members))
    assert found["alt_text"].to_pylist() == ["café", "bom \x00"]
    assert found["note"].to_pylist() == ["the .txt is not valid UTF-8, read as Windows-1252", None]


def test_a_sample_without_an_image_is_a_row(tmp_path: Path) -> None:
    members = [("a.txt", b"alone"), ("b.jpg", b"x"), special("c.jpg", tarfile.SYMTYPE, "/etc/passwd"), ("c.txt", b"t")]
    found = rows_of(write_tar(tmp_path / "x.tar", members))
    assert found["fault"].to_pylist() == ["file_missing", None, "file_missing"]
    assert found["note"].to_pylist() == ["a: no image among its members: txt", None, "c: .jpg is a link or device"]
    assert found["local_file"].to_pylist()[::2] == [None, None]


def test_a_name_that_comes_twice_begins_a_new_sample(tmp_path: Path) -> None:
    members = [("a.jpg", b"1"), ("a.txt", b"one"), ("a.jpg", b"2"), ("a.txt", b"two"), ("b.jpg", b"3"), ("a.jpg", b"4")]
    path = write_tar(tmp_path / "x.tar", members)
    assert rows_of(path)["alt_text"].to_pylist() == ["one", "two", "", ""]
    assert [pixels(path, i) for i in range(4)] == [b"1", b"2", b"3", b"4"]


def test_names_devices_and_links_reach_nothing_on_disk(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    members = [
        ("../outside/a.jpg", b"1"),
        (f"{outside}/b.jpg", b"2"),
        special("fifo.jpg", tarfile.FIFOTYPE),
        special("zero.jpg", tarfile.CHRTYPE),
        special("hard.jpg", tarfile.LNKTYPE, "../outside/a.jpg"),
        special("folder.jpg", tarfile.DIRTYPE),
        ("no-extension", b"x"),
        (".hidden.jpg", b"x"),
        ("n" * 300 + ".jpg", b"3"),
    ]
    path = write_tar(tmp_path / "in" / "x.tar", members)
    assert rows_of(path)["fault"].to_pylist() == [None, None, *["file_missing"] * 3, None]
    assert pixels(path, 5) == b"3"
    assert list(outside.iterdir()) == []


def test_a_sparse_member_has_no_plain_pixels(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.jpg")
    info.pax_headers = {"GNU.sparse.map": "0,512", "GNU.sparse.size": "1024"}
    info.size = 512
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar, (tmp_path / "data").open("wb+") as data:
        data.write(b"x" * 512)
        data.seek(0)
        tar.addfile(info, data)
    assert rows_of(path)["note"].to_pylist() == ["a: .jpg is a sparse file"]


def test_truncation_anywhere_is_an_error_that_names_the_offset(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", img2dataset_members(items(4), lambda i: b"p" * 700))
    whole = path.read_bytes()
    end = whole.rstrip(b"\0")
    for length in (512, 1000, 1024, 1536, 2048, len(end) // 2, len(end) // 512 * 512 + 512):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match=r"no whole tar: at byte \d+.*fetch it again"):
            list(only(path).read())


def test_the_good_part_comes_before_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.sources.sidecars.BATCH", 2)
    path = write_tar(tmp_path / "x.tar", [(f"{i}.jpg", b"x" * 600) for i in range(9)])
    path.write_bytes(path.read_bytes()[: 1536 * 6 + 100])
    found: list[pa.Table] = []
    with pytest.raises(SourceError, match="at byte 9216"):
        found.extend(only(path).read())
    # The sixth sample is not known to be whole before the seventh begins.
    assert sum(t.num_rows for t in found) == 4


@pytest.mark.parametrize("at", [512 * 3, 512 * 4])
def test_garbage_between_members_is_an_error_and_not_the_end(at: int, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", [(f"{i}.jpg", b"x") for i in range(9)])
    data = bytearray(path.read_bytes())
    data[at : at + 512] = b"\x07" * 512
    path.write_bytes(data)
    if at % 1024:
        assert rows_of(path).num_rows == 9  # only pixels differ
    else:
        with pytest.raises(SourceError, match=f"at byte {at}"):
            list(only(path).read())


def test_joined_tars_are_refused_rather_than_half_read(tmp_path: Path) -> None:
    one = write_tar(tmp_path / "1.tar", [("a.jpg", b"x")]).read_bytes()
    two = write_tar(tmp_path / "2.tar", [("b.jpg", b"x")]).read_bytes()
    both = tmp_path / "both.tar"
    both.write_bytes(one + two)
    with pytest.raises(SourceError, match="must not be joined"):
        list(only(both).read())


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tgz", "x.tar"])
def test_a_compressed_tar_is_refused_by_name_or_content(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(write_tar(tmp_path / "plain", [("a.jpg", b"x")]).read_bytes()))
    with pytest.raises(SourceError, match="unpack it to a plain"):
        list(only(path).read())


def test_an_endless_sidecar_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "LONGEST_SIDECAR", 1000)
    path = write_tar(tmp_path / "x.tar", [("a.jpg", b"1"), ("a.txt", b"x" * 1001), ("b.jpg", b"2"), ("b.txt", b"y")])
    found = rows_of(path)
    assert found["alt_text"].to_pylist() == ["", "y"]
    assert found["note"][0].as_py() == ".txt has 1001 bytes; at most 1000 are read"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(st.tuples(st.integers(0, 6000), st.binary(min_size=1, max_size=20)), min_size=1, max_size=4),
    cut=st.integers(0, 10_240),
)
def test_any_damage_ends_in_rows_or_a_source_error(damage: list[tuple[int, bytes]], cut: int, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", img2dataset_members(items(2), lambda i: b"p" * 300))
    data = bytearray(path.read_bytes())
    for at, junk in damage:
        data[at : at + len(junk)] = junk
    path.write_bytes(data[:cut])
    try:
        for table in tars.read_tar(path.as_uri()):
            for offset, size in zip(table["local_offset"].to_pylist(), table["local_size"].to_pylist(), strict=True):
                assert offset is None or offset + size <= cut
    except SourceError as error:
        assert "x.tar" in str(error)
