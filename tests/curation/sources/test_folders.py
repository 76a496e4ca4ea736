"""A folder of images is read in name order, each with what stands beside it, and nothing outside of it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from urllib.parse import unquote, urlparse

import fsspec
import pyarrow as pa

from curation.sources.discover import open_source
from curation.sources.source_file import SourceSet


def fill(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def claims(source: SourceSet) -> dict[str, pa.Table]:
    return {f.name: pa.concat_tables(f.read()) for f in source.files}


def test_sub_folders_are_source_files_and_images_their_rows(tmp_path: Path) -> None:
    files = {"b.jpg": "2", "a.PNG": "1", "a.txt": "first", "sub/c.webp": "3", "sub/c.json": '{"caption": "third"}'}
    fill(tmp_path, {**files, "README.md": "no image", "sub/.hidden.jpg": "4", ".git/x.jpg": "5"})
    found = claims(open_source([str(tmp_path)]))
    assert sorted(found) == [".", "sub"]
    assert found["."]["alt_text"].to_pylist() == ["first", ""]
    assert found["sub"]["alt_text"].to_pylist() == ["third"]
    assert found["."]["content"].to_pylist() == [f"sha256:{hashlib.sha256(b).hexdigest()}" for b in (b"1", b"2")]
    assert found["sub"]["local_file"].to_pylist() == [f"file://{tmp_path}/sub/c.webp"]
    assert (found["sub"]["local_offset"].to_pylist(), found["sub"]["local_size"].to_pylist()) == ([0], [1])


def test_a_sub_folder_that_is_added_changes_no_other(tmp_path: Path) -> None:
    fill(tmp_path, {"a/1.jpg": "1", "c/2.jpg": "2"})
    before = {f.name: f.fingerprint for f in open_source([str(tmp_path)]).files}
    fill(tmp_path, {"b/3.jpg": "3"})
    after = {f.name: f.fingerprint for f in open_source([str(tmp_path)]).files}
    assert before.items() <= after.items()
    fill(tmp_path, {"a/1.txt": "now with a text"})
    changed = {f.name: f.fingerprint for f in open_source([str(tmp_path)]).files}
    assert changed["a"] != after["a"]
    assert {n: p for n, p in changed.items() if n != "a"} == {n: p for n, p in after.items() if n != "a"}


def test_a_pattern_of_images_takes_the_texts_beside_them(tmp_path: Path) -> None:
    fill(tmp_path, {"a/1.jpg": "1", "a/1.txt": "one", "b/2.jpg": "2", "b/2.json": '{"text": "two"}', "b/3.png": "3"})
    found = claims(open_source([f"{tmp_path}/*/*.jpg"]))
    assert {n: t["alt_text"].to_pylist() for n, t in found.items()} == {"a": ["one"], "b": ["two"]}
    found = claims(open_source([f"{tmp_path}/a/1.jpg"]))
    assert found["."]["alt_text"].to_pylist() == ["one"]


def test_links_that_leave_the_folder_are_rows_but_not_followed(tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", {"secret.jpg": "secret", "secret.txt": "secret text"})
    inside = fill(tmp_path / "inside", {"a.jpg": "1", "b.jpg": "2"})
    (inside / "inner.jpg").symlink_to("a.jpg")
    (inside / "leaves.jpg").symlink_to(outside / "secret.jpg")
    (inside / "broken.jpg").symlink_to("nowhere.jpg")
    (inside / "b.txt").symlink_to(outside / "secret.txt")
    (inside / "way").symlink_to(outside, target_is_directory=True)
    os.mkfifo(inside / "pipe.jpg")
    found = claims(open_source([str(inside)]))
    assert list(found) == ["."]
    rows = found["."].to_pylist()
    by_note = {r["note"]: r["fault"] for r in rows if r["note"]}
    assert [r["fault"] for r in rows] == [None, None, "file_missing", None, "file_missing", "file_missing"]
    assert "leaves.jpg: a link that leads out of the source" in by_note
    assert any(n.startswith("broken.jpg: a broken link") for n in by_note)
    assert "secret" not in json.dumps(rows).replace("secret.jpg", "")


def test_what_cannot_be_read_beside_an_image_is_noted(tmp_path: Path) -> None:
    fill(tmp_path, {"a.jpg": "1", "a.json": "{broken", "b.jpg": "2", "b.json": '{"text": "no"}', "b.txt": "yes"})
    found = claims(open_source([str(tmp_path)]))["."]
    assert found["fault"].null_count == 2
    assert found["alt_text"].to_pylist() == ["", "yes"]
    assert "cannot be read" in found["note"][0].as_py()
    assert found["note"][1].as_py() is None


def test_an_image_that_is_gone_by_now_is_a_row(tmp_path: Path) -> None:
    fill(tmp_path, {"a.jpg": "1", "b.jpg": "2"})
    source = open_source([str(tmp_path)])
    (tmp_path / "a.jpg").unlink()
    found = claims(source)["."]
    assert found["fault"].to_pylist() == ["file_missing", None]
    assert found["note"][0].as_py() == "a.jpg: No such file or directory"


def test_odd_names_lead_to_their_pixels(tmp_path: Path) -> None:
    names = ["a b.jpg", "ü#?%20.jpg", "[x].jpg", "two.dots.jpg"]
    fill(tmp_path, {n: n for n in names} | {"two.dots.txt": "text"})
    (tmp_path / os.fsdecode(b"latin\xe9.jpg")).write_bytes(b"x")
    found = claims(open_source([str(tmp_path)]))["."].to_pylist()
    for row in found:
        if row["fault"] is None:
            with fsspec.open(row["local_file"], "rb") as file:
                assert f"sha256:{hashlib.sha256(file.read()).hexdigest()}" == row["content"]
    assert sum(r["fault"] is None for r in found) == 4
    assert [r["note"] for r in found if r["fault"]] == ["latin\ufffd.jpg: its name is not valid UTF-8; rename it"]
    assert [r["alt_text"] for r in found].count("text") == 1


def test_a_folder_on_any_fsspec_url_is_a_source() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/pictures/x/1.jpg": b"1", "/pictures/x/1.txt": b"one"})
    try:
        found = claims(open_source(["memory://pictures"]))
        assert found["x"]["alt_text"].to_pylist() == ["one"]
        assert urlparse(unquote(found["x"]["local_file"][0].as_py())).scheme == "memory"
    finally:
        memory.rm("/pictures", recursive=True)
