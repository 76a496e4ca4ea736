"""Folders as sd-scripts (kohya) has them: captions beside the images, or in one file for all."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from curation.core.errors import SourceError
from curation.sources.discover import open_source
from curation.sources.options import PLAIN, Options
from schemas.recipe import Source
from tests.support.images import jpeg, smooth

PIXELS = jpeg(smooth(40, 30))
TODAY = Options.of(Source())


def fill(folder: Path, files: dict[str, bytes | str | dict[str, Any]]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
        )
    return folder


def rows_of(source: Path, how: Options = TODAY) -> list[dict[str, Any]]:
    files = open_source([str(source)], how).files
    return [row for f in files for t in f.read(kept=True) for row in t.to_pylist()]


IMAGES: dict[str, bytes | str | dict[str, Any]] = {"10_cat/0.jpg": PIXELS, "10_cat/1.png": PIXELS}


@pytest.mark.parametrize(
    "keys",
    [
        ("0", "1"),
        ("0.jpg", "1.png"),
        ("10_cat/0", "10_cat/1"),
        ("/home/me/train/10_cat/0.jpg", "/home/me/train/10_cat/1.png"),
        ("C:\\train\\10_cat\\0.jpg", "C:\\train\\10_cat\\1.png"),
    ],
)
@pytest.mark.parametrize("name", ["meta_cap.json", "meta_lat.json", "meta_clean.json", "10_cat/meta_cap.json"])
def test_captions_come_from_the_file_of_the_folder(keys: tuple[str, str], name: str, tmp_path: Path) -> None:
    about = {k: {"caption": f"cat {i}", "tags": "1girl, cat", "train_resolution": [64, 64]} for i, k in enumerate(keys)}
    source = fill(tmp_path, {**IMAGES, name: about})
    rows = rows_of(source)
    assert [(r["alt_text"], r["note"]) for r in rows] == [("cat 0", None), ("cat 1", None)]
    assert json.loads(rows[0]["columns"]) == {"file_name": "10_cat/0.jpg", "tags": "1girl, cat"}
    assert open_source([str(source)], TODAY).notes == ()


def test_tags_stand_in_for_a_caption(tmp_path: Path) -> None:
    rows = rows_of(fill(tmp_path, {**IMAGES, "meta_cap.json": {"0": {"tags": "cat, mat"}, "1": {"caption": "a cat"}}}))
    assert [r["alt_text"] for r in rows] == ["cat, mat", "a cat"]


def test_a_text_of_its_own_wins_and_the_last_file_of_the_tools_counts(tmp_path: Path) -> None:
    files = {f"meta_{n}.json": {"0": {"caption": n}, "1": {"caption": n}} for n in ("cap", "lat", "cap_dd")}
    source = fill(tmp_path, {**IMAGES, **files, "10_cat/0.caption": "its own\n"})
    assert [r["alt_text"] for r in rows_of(source)] == ["its own", "lat"]
    (note,) = open_source([str(source)], TODAY).notes
    assert "2 files are not read: meta_cap.json, meta_cap_dd.json" in note


def test_an_entry_is_given_to_the_image_whose_path_it_shares(tmp_path: Path) -> None:
    files = {"a/0.jpg": PIXELS, "b/0.jpg": PIXELS, "c/0.jpg": PIXELS}
    source = fill(tmp_path, {**files, "meta_cap.json": {"/x/a/0": {"caption": "a"}, "/x/b/0": {"caption": "b"}}})
    rows = {r["local_file"][-7:]: (r["alt_text"], r["note"]) for r in rows_of(source)}
    assert rows == {
        "a/0.jpg": ("a", None),
        "b/0.jpg": ("b", None),
        "c/0.jpg": ("", "meta_cap.json has 2 entries that may be of it"),
    }


def test_entries_without_an_image_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    about = {"0": {"caption": "x"}, "gone": {"caption": "y"}}
    with caplog.at_level(logging.WARNING):
        assert [r["alt_text"] for r in rows_of(fill(tmp_path, {**IMAGES, "meta_cap.json": about}))] == ["x", ""]
    assert "1 entries are of no image in its folder: gone" in caplog.text


@pytest.mark.parametrize("data", ["[1]", '{"a": 1}', "{}", '{"0": {"width": 3}}'])
def test_another_json_is_named_as_unread(data: str, tmp_path: Path) -> None:
    source = fill(tmp_path, {**IMAGES, "meta_other.json": data})
    assert [r["alt_text"] for r in rows_of(source)] == ["", ""]
    assert "1 file is not read: meta_other.json" in open_source([str(source)], TODAY).notes[0]


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"meta_cap\.json is no JSON"):
        rows_of(fill(tmp_path, {**IMAGES, "meta_cap.json": "{broken"}))


def test_roots_that_are_older_read_none_of_it(tmp_path: Path) -> None:
    source = fill(tmp_path, {**IMAGES, "meta_cap.json": {"0": {"caption": "x"}}, "10_cat/1.json": '{"prompt": "y"}'})
    before = open_source([str(source)]).files[0].fingerprint
    assert [r["alt_text"] for r in rows_of(source, PLAIN)] == ["", ""]
    (source / "meta_cap.json").unlink()
    assert open_source([str(source)]).files[0].fingerprint == before


@pytest.mark.parametrize("key", ["prompt", "description", "title", "alt", "Prompt"])
def test_the_only_usual_key_of_a_json_is_its_text(key: str, tmp_path: Path) -> None:
    rows = rows_of(fill(tmp_path, {"0.jpg": PIXELS, "0.json": {key: "a cat", "steps": 20}}))
    assert [(r["alt_text"], r["note"]) for r in rows] == [("a cat", None)]
    two = fill(tmp_path / "two", {"0.jpg": PIXELS, "0.json": {"prompt": "a", "description": "b"}})
    (row,) = rows_of(two)
    assert row["alt_text"] == "" and "its 'prompt' is not read" in row["note"]
    named = Options.of(Source(columns={"text": "description"}))
    assert [r["alt_text"] for r in rows_of(two, named)] == ["b"]


def test_columns_of_a_metadata_file_may_be_named_and_are_kept(tmp_path: Path) -> None:
    listed = {"file_name": "0.jpg", "en": "a dog", "de": "ein Hund", "license": "cc0", "n": 3}
    source = fill(tmp_path, {"0.jpg": PIXELS, "metadata.jsonl": json.dumps(listed) + "\n"})
    (row,) = rows_of(source, Options.of(Source(columns={"text": "de"})))
    assert (row["alt_text"], row["license"]) == ("ein Hund", "cc0")
    assert json.loads(row["columns"]) == {"file_name": "0.jpg", "en": "a dog", "license": "cc0", "n": 3}
