"""``--source`` strings name files in one order and under names that stay; nonsense is an error of one line."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pytest

from curation.core.errors import DamagedSource, SourceError
from curation.sources.discover import open_source
from tests.support.sources import img2dataset_members, items, write_cc12m, write_parquet, write_tar


def names(*specs: str | Path) -> list[str]:
    return [f.name for f in open_source([str(s) for s in specs]).files]


def test_files_stand_in_the_order_of_their_names_however_they_are_named(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write_parquet(tmp_path / f"{name}.parquet", items(2))
    expected = ["a.parquet", "b.parquet", "c.parquet"]
    assert names(tmp_path) == expected
    assert names(f"{tmp_path}/*.parquet") == expected
    assert names(tmp_path / "c.parquet", tmp_path / "a.parquet", tmp_path / "b.parquet") == expected
    assert names(tmp_path / "c.parquet", f"{tmp_path}/*.parquet") == expected


def test_growth_renames_nothing(tmp_path: Path) -> None:
    write_parquet(tmp_path / "day" / "1" / "a.parquet", items(2))
    spec = f"{tmp_path}/day/*/*.parquet"
    assert names(spec) == ["1/a.parquet"]
    write_parquet(tmp_path / "day" / "2" / "a.parquet", items(2, 10))
    write_parquet(tmp_path / "day" / "0" / "deep" / "a.parquet", items(2, 20))
    assert names(spec) == ["1/a.parquet", "2/a.parquet"]
    assert names(tmp_path / "day") == ["0/deep/a.parquet", "1/a.parquet", "2/a.parquet"]


def test_a_relative_source_has_the_same_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "l" / "a.parquet", items(2))
    absolute = open_source([f"{tmp_path}/l/*.parquet"])
    monkeypatch.chdir(tmp_path)
    assert open_source(["l/*.parquet"]) == absolute
    monkeypatch.chdir(tmp_path / "l")
    assert open_source(["a.parquet"]) == absolute


def test_a_fingerprint_changes_with_the_file_and_with_nothing_else(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", items(2))
    os.utime(path, ns=(0, 1_000_000_001))
    first = open_source([str(path)]).files[0].fingerprint
    assert open_source([str(path)]).files[0].fingerprint == first
    os.utime(path, ns=(0, 9_000_000_001))
    assert open_source([str(path)]).files[0].fingerprint != first


def test_dialects_may_mix_between_files(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", items(2), "re-laion")
    write_parquet(tmp_path / "b.parquet", items(3), "coyo-700m")
    write_cc12m(tmp_path / "c.tsv", items(4))
    source = open_source([str(tmp_path)])
    assert [f.dialect for f in source.files] == ["re-laion", "coyo-700m", "url-caption"]
    assert [f.rows() for f in source.files] == [2, 3, None]
    assert source.rows() is None
    assert [sum(t.num_rows for t in f.read()) for f in source.files] == [2, 3, 4]


def test_img2dataset_metadata_is_a_list_unless_the_pixels_stand_beside_it(tmp_path: Path) -> None:
    write_parquet(tmp_path / "00000.parquet", items(3), "img2dataset")
    (tmp_path / "00000_stats.json").write_text("{}")
    (alone,) = open_source([str(tmp_path)]).files
    assert alone.dialect == "img2dataset"
    write_tar(tmp_path / "00000.tar", img2dataset_members(items(3), lambda i: b"x"))
    (beside,) = open_source([str(tmp_path)]).files
    assert (beside.name, beside.dialect) == ("00000.tar", "webdataset")
    (asked,) = open_source([f"{tmp_path}/*.parquet"]).files
    assert asked.name == "00000.parquet"


def test_img2dataset_folders_of_files_are_images(tmp_path: Path) -> None:
    write_parquet(tmp_path / "00000.parquet", items(2), "img2dataset")
    (tmp_path / "00000").mkdir()
    for name, data in img2dataset_members(items(2), lambda i: b"x"):
        (tmp_path / "00000" / name).write_bytes(data)
    (found,) = open_source([str(tmp_path)]).files
    assert (found.name, found.dialect, found.rows()) == ("00000", "images", 2)
    assert pa.concat_tables(found.read())["url"].to_pylist() == [r.url for r in items(2)]


def test_a_list_without_an_ending_is_known_by_its_content(tmp_path: Path) -> None:
    write_parquet(tmp_path / "part-00000", items(2))
    assert names(tmp_path) == ["part-00000"]


@pytest.mark.parametrize("name", ["cc12m.tsv.parquet", "x.csv.parquet", "x.csv.pq", "tsv", "part.tsv/00000"])
def test_a_list_is_what_its_last_ending_says(name: str, tmp_path: Path) -> None:
    write_parquet(tmp_path / name, items(3))
    (found,) = open_source([str(tmp_path)]).files
    assert (found.name, found.rows()) == (name, 3)


@pytest.mark.parametrize("name", ["a.parquet.tsv", "a.csv.tsv", "a.parquet.tsv.gz", "a.csv.tsv.gz", "A.TSV"])
def test_lines_are_what_their_last_ending_says(name: str, tmp_path: Path) -> None:
    plain = write_cc12m(tmp_path / "plain.tsv", items(3))
    data = plain.read_bytes()
    plain.unlink()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    (found,) = open_source([str(tmp_path)]).files
    assert found.dialect == "url-caption" and sum(t.num_rows for t in found.read()) == 3


def test_a_linked_list_is_read(tmp_path: Path) -> None:
    write_parquet(tmp_path / "blobs" / "0123", items(2))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.parquet").symlink_to("../blobs/0123")
    assert open_source([f"{tmp_path}/lists"]).rows() == 2
    (tmp_path / "lists" / "b.parquet").symlink_to("../blobs/none")
    linked, broken = open_source([f"{tmp_path}/lists"]).files
    assert linked.rows() == 2
    with pytest.raises(DamagedSource, match="a broken link"):
        broken.read()


def test_what_cannot_be_meant_is_an_error_of_one_line(tmp_path: Path) -> None:
    write_parquet(tmp_path / "mixed" / "a.parquet", items(2))
    (tmp_path / "mixed" / "x.jpg").write_bytes(b"x")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "data.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "zero.tsv").touch()
    (tmp_path / "junk.parquet").write_text("not parquet")
    write_parquet(tmp_path / "one" / "a.parquet", items(2))
    write_parquet(tmp_path / "two" / "a.parquet", items(2))
    write_parquet(tmp_path / "none.parquet", [])
    write_tar(tmp_path / "none.tar", [])
    cases = {
        "no source is named": [],
        "does not exist: .* holds no 'missing.parquet'$": ["missing.parquet"],
        "does not exist: .* holds no 'jnk.parquet'; did you mean 'junk.parquet'": ["jnk.parquet"],
        "does not exist: .* holds no 'two2'; did you mean 'two'": ["two2/a/b.parquet"],
        "names no file: .*mixed holds names that end in: 1 .parquet, 1 .jpg": ["mixed/*.tsv"],
        "empty holds nothing": ["empty"],
        "mixes 1 lists .a.parquet. and 1 images .x.jpg.; name one kind": ["mixed"],
        "holds nothing that can be read: data.json. Expected Parquet": ["notes"],
        "no whole Parquet file": ["junk.parquet"],
        "has no rows: .*name one that has": ["none.parquet", "zero.tsv", "none.tar"],
        "would both be called 'a.parquet'": ["one/a.parquet", "two/a.parquet"],
        "is named twice, as 'a.parquet' and 'one/a.parquet'": ["one/*.parquet", "*/a.parquet"],
    }
    for message, specs in cases.items():
        if "named twice" in message:
            (tmp_path / "mixed" / "a.parquet").unlink()
            (tmp_path / "two" / "a.parquet").unlink()
        with pytest.raises(SourceError, match=message) as raised:
            open_source([f"{tmp_path}/{s}" for s in specs])
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("spec", ["nosuch://bucket/x.parquet", "memory+nosuch://x"])
def test_an_unknown_filesystem_is_a_source_error(spec: str) -> None:
    with pytest.raises(SourceError, match="expected a file, a pattern, a folder or an fsspec URL"):
        open_source([spec])


def test_pixels_that_were_moved_are_planned_anew_and_lists_are_not(tmp_path: Path) -> None:
    def fingerprints() -> dict[str, str]:
        kinds = ("*.parquet", "*.tar", "pictures")
        return {k: open_source([f"{tmp_path}/{place}/{k}"]).files[0].fingerprint for k in kinds}

    place = "here"
    write_parquet(tmp_path / place / "a.parquet", items(2))
    write_tar(tmp_path / place / "x.tar", [("a.jpg", b"x")])
    (tmp_path / place / "pictures").mkdir()
    (tmp_path / place / "pictures" / "a.jpg").write_bytes(b"x")
    before = fingerprints()
    place = "there"
    (tmp_path / "here").rename(tmp_path / "there")
    after = fingerprints()
    assert [before[k] == after[k] for k in before] == [True, False, False]


def test_a_name_that_is_no_utf8_is_an_error_of_one_line(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", items(2)).rename(tmp_path / os.fsdecode(b"caf\xe9.parquet"))
    with pytest.raises(SourceError, match="not valid UTF-8; rename") as raised:
        open_source([str(tmp_path)])
    str(raised.value).encode()
