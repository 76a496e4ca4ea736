"""A source may lie in any store that can list and read, even one that can do nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from curation.core.errors import SourceError
from curation.sources.discover import open_source
from curation.sources.news_source import open_news
from curation.sources.source_file import SourceFile
from tests.support.plain_store import PlainStore
from tests.support.sources import img2dataset_members, items, write_cc12m, write_parquet, write_tar


@pytest.fixture
def files() -> Iterator[dict[str, bytes]]:
    PlainStore.files.clear()
    yield PlainStore.files
    PlainStore.files.clear()


def only(spec: str) -> SourceFile:
    (file,) = open_source([spec]).files
    return file


@pytest.mark.parametrize("spec", ["plain://b/lists/a?[1].parquet", "plain://b/lists", "plain://b/lists/*.parquet"])
def test_parquet(spec: str, files: dict[str, bytes], tmp_path: Path) -> None:
    rows = items(30_000)
    files["b/lists/a?[1].parquet"] = write_parquet(tmp_path / "a.parquet", rows, group=5000).read_bytes()
    file = only(spec)
    assert file.name == "a?[1].parquet"
    assert pa.concat_tables(file.read(7))["url"].to_pylist() == [r.url for r in rows[7:]]


def test_lines(files: dict[str, bytes], tmp_path: Path) -> None:
    files["b/a.tsv"] = write_cc12m(tmp_path / "a.tsv", items(500)).read_bytes()
    assert pa.concat_tables(only("plain://b/a.tsv").read())["url"].to_pylist() == [r.url for r in items(500)]


def test_json_and_news(files: dict[str, bytes]) -> None:
    records = [{"url": r.url, "text": r.text} for r in items(500)]
    files["b/a.jsonl"] = "".join(json.dumps(r) + "\n" for r in records).encode()
    files["b/b.json"] = json.dumps({"rows": records}).encode()
    for name in ("a.jsonl", "b.json"):
        assert pa.concat_tables(only(f"plain://b/{name}").read())["url"].to_pylist() == [r.url for r in items(500)]
    section = {"type": "caption", "text": "a bridge", "image_url": "http://a/1.jpg"}
    files["n/articles.jsonl"] = (json.dumps({"parsed_section": [section]}) + "\n").encode() * 500
    (news,) = open_news(["plain://n"]).files
    assert pa.concat_tables(news.read())["url"].to_pylist() == ["http://a/1.jpg"] * 500


def test_tars_and_images(files: dict[str, bytes], tmp_path: Path) -> None:
    members = img2dataset_members(items(3), lambda i: b"%d" % i * 900)
    files["b/x.tar"] = write_tar(tmp_path / "x.tar", members).read_bytes()
    files |= {f"b/images/{name}": data for name, data in members}
    tar = pa.concat_tables(only("plain://b/*.tar").read())
    folder = pa.concat_tables(only("plain://b/images").read())
    assert tar["url"].to_pylist() == folder["url"].to_pylist() == [r.url for r in items(3)]
    assert set(tar["local_file"].to_pylist()) == {"plain://b/x.tar"}
    assert folder["local_file"][1].as_py() == "plain://b/images/000000001.jpg"


def test_a_changed_file_has_another_fingerprint_however_it_is_named(files: dict[str, bytes], tmp_path: Path) -> None:
    for spec in ("plain://b/a.tsv", "plain://b/*.tsv", "plain://b"):
        files["b/a.tsv"] = b"http://a/1\tone\n"
        before = only(spec).fingerprint
        files["b/a.tsv"] = b"http://a/1\ttwo\n"
        assert only(spec).fingerprint != before


def test_a_store_that_fails_in_its_own_way_is_a_source_error(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise RuntimeError("403 Forbidden")

    monkeypatch.setattr(PlainStore, "info", forbidden)
    monkeypatch.setattr(PlainStore, "ls", forbidden)
    with pytest.raises(SourceError, match="403 Forbidden"):
        open_source(["plain://b/*.tsv"])
