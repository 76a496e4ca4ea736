"""News layouts as they were published: recognised by themselves, streamed, and never left by a path."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curation.core.errors import SourceError
from curation.core.job import Outcome
from curation.core.store import Store
from curation.sources.news_files import read_items, shape_of
from curation.sources.news_source import open_news
from curation.sources.options import Options
from curation.sources.planner import plan
from schemas.anchor import NewsSource
from schemas.ids import content_url
from schemas.records import SourceColumns


def picture(path: Path, colour: str = "red") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), colour).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def visualnews(folder: Path, records: list[Any]) -> Path:
    (folder / "origin").mkdir(parents=True, exist_ok=True)
    (folder / "origin" / "data.json").write_text(json.dumps(records))
    return folder


def rows(folder: Path) -> list[dict[str, Any]]:
    sources = open_news([str(folder)])
    return [row for file in sources.files for table in file.read() for row in table.to_pylist()]


def record(number: int = 1, **more: Any) -> dict[str, Any]:
    fields = {
        "id": number,
        "caption": f"Caption {number}",
        "topic": "sport",
        "source": "bbc",
        "image_path": f"./bbc/images/0001/{number}.jpg",
        "article_path": f"./bbc/articles/{number}.txt",
    }
    return {**fields, **more}


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (["*"], [{"id": 1, "rank": 0.5}, {"byline": "A. B."}, {"article": "Words.", "seen": 3}]),
        ([], [{}, {}, {}]),
        (["rank", "parsed_section.order"], [{"rank": 0.5}, {"parsed_section.order": 2}, {}]),
        (["images.credit", "SEEN", "tags"], [{"tags": '["x"]'}, {}, {"images.credit": "C. D.", "seen": 3}]),
    ],
)
def test_further_values_of_records_are_kept_as_the_recipe_asks(
    keep: list[str], expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    section = {"type": "caption", "text": "First", "hash": "ab12", "order": 2}
    nytimes = {"_id": "5f0", "parsed_section": [section], "byline": "A. B.", "headline": {"main": "A headline"}}
    image = {"caption": "A caption", "url": "https://img.example/1.jpg", "credit": "C. D."}
    (tmp_path / "visualnews").mkdir()
    (tmp_path / "visualnews/1.json").write_text(json.dumps([record(rank=0.5, tags=["x"])]))
    (tmp_path / "visualnews/2.jsonl").write_text(json.dumps(nytimes) + "\n")
    (tmp_path / "visualnews/3.json").write_text(
        json.dumps({"a1": {"article": "Words.", "seen": 3, "images": {"0": image}}})
    )
    options = Options(keep=tuple(keep))
    files = open_news([str(tmp_path / "visualnews")], options=options).files
    assert [f.dialect for f in files] == ["visualnews", "nytimes800k", "goodnews"]
    found = [row["columns"] for file in files for table in file.read(kept=True) for row in table.to_pylist()]
    assert [json.loads(columns or "{}") for columns in found] == expected
    assert all(t["columns"].null_count == t.num_rows for f in files for t in f.read())


def test_planned_news_keep_what_they_have_and_new_records_bring_their_further_values(tmp_path: Path) -> None:
    recipe = NewsSource(min_side=0, keep_columns=["*"])
    store, outcomes = Store(str(tmp_path / "root")), list[Outcome]()

    def planned(*records: Any) -> list[str | None]:
        if records:
            visualnews(tmp_path / "news", list(records))
        sources = open_news([str(tmp_path / "news")], options=Options.of(recipe))
        names = plan(store, sources, recipe, outcomes.append)
        found = [
            store.read_table(SourceColumns, s) for s in names if store.exists(store.table_file("source_columns", s))
        ]
        return [value for table in found for value in table["columns"].to_pylist()]

    assert planned(record(1, rank=0.5)) == ['{"id": 1, "rank": 0.5}']
    for shard in store.shards("source_columns"):  # as roots had them that are older
        store.retire("source_columns", shard)
        store.remove(store.table_file("source_columns", shard))
    outcomes.clear()
    assert planned() == []
    assert {o.status for o in outcomes} == {"skipped"}
    assert planned(record(1, rank=0.5), record(2, rank=0.7))[-1] == '{"id": 2, "rank": 0.7}'


def test_visualnews_is_known_by_itself_and_tells_all_that_it_has(tmp_path: Path) -> None:
    sha = picture(tmp_path / "origin/bbc/images/0001/1.jpg")
    (row,) = rows(visualnews(tmp_path, [record()]))
    assert row["alt_text"] == "Caption 1" and row["content"] == content_url(sha) and row["fault"] is None
    assert row["local_file"].endswith("origin/bbc/images/0001/1.jpg") and row["local_offset"] == 0
    assert (row["outlet"], row["topic"]) == ("bbc", "sport")
    assert row["article_id"] == "bbc:bbc/articles/1.txt" and row["article_url"] == "./bbc/articles/1.txt"


def test_nytimes_gives_a_row_for_every_caption_among_its_sections(tmp_path: Path) -> None:
    picture(tmp_path / "images_processed/ab12.jpg")
    document = {
        "_id": {"$oid": "5f0"},
        "split": "test",
        "web_url": "https://nyt.example/a",
        "headline": {"main": "A headline"},
        "pub_date": {"$date": "2019-05-04T10:00:00Z"},
        "parsed_section": [
            {"type": "paragraph", "text": "Words."},
            {"type": "caption", "text": "First", "hash": "ab12"},
            {"type": "caption", "text": "Second", "hash": "cd34"},
        ],
    }
    (tmp_path / "articles.jsonl").write_text(json.dumps(document) + "\n" + json.dumps({"parsed_section": 3}) + "\n")
    first, second, third = rows(tmp_path)
    assert (first["outlet"], first["date"], first["headline"]) == ("nytimes", "2019-05-04", "A headline")
    assert (first["article_id"], first["published_split"], first["fault"]) == ("nytimes:5f0", "test", None)
    assert (second["alt_text"], second["fault"]) == ("Second", "file_missing")
    assert third["fault"] == "malformed_row"


def test_goodnews_takes_images_by_article_and_number_and_the_day_from_the_address(tmp_path: Path) -> None:
    picture(tmp_path / "resized/a1_0.jpg")
    fields = {
        "a1": {
            "article_url": "https://www.nyt.example/2016/02/03/sports/x.html",
            "article": "Text",
            "images": {"0": "A caption", "1": {"caption": "Another", "url": "https://img.example/1.jpg"}},
        },
        "a2": {"images": "none"},
    }
    (tmp_path / "captioning_dataset.json").write_text(json.dumps(fields))
    first, second, third = rows(tmp_path)
    assert (first["alt_text"], first["date"], first["article_id"]) == ("A caption", "2016-02-03", "goodnews:a1")
    assert (second["url"], second["local_file"], second["fault"]) == ("https://img.example/1.jpg", None, None)
    assert third["fault"] == "malformed_row"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"caption": None}, "no_alt_text"),
        ({"caption": "  "}, "no_alt_text"),
        ({"caption": 7.5}, "no_alt_text"),
        ({"image_path": None}, "no_url"),
        ({"image_path": "."}, "no_url"),
        ({"image_path": " ./"}, "no_url"),
        ({"image_path": "./bbc/none.jpg"}, "file_missing"),
    ],
)
def test_a_record_that_misses_something_is_a_fate(change: dict[str, Any], fault: str, tmp_path: Path) -> None:
    picture(tmp_path / "origin/bbc/images/0001/1.jpg")
    found = rows(visualnews(tmp_path, [record(), record(**change), "nonsense", None]))
    assert [r["fault"] for r in found] == [None, fault, "malformed_row", "malformed_row"]


@pytest.mark.parametrize(
    "path", ["../secret.jpg", "/etc/passwd", "./bbc/../../x.jpg", "file:///etc/passwd", "a\\..\\b"]
)
def test_a_path_that_climbs_out_is_an_error_and_nothing_is_read(path: str, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    folder = visualnews(tmp_path / "news", [record(image_path=path)])
    with pytest.raises(SourceError, match="leads out of the source"):
        rows(folder)


def test_a_link_that_leads_out_is_an_error(tmp_path: Path) -> None:
    picture(tmp_path / "outside.jpg")
    place = tmp_path / "news/origin/bbc/images/0001"
    place.mkdir(parents=True)
    (place / "1.jpg").symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(SourceError, match="a link that leads out"):
        rows(visualnews(tmp_path / "news", [record()]))


def test_a_hash_of_nytimes_is_no_path(tmp_path: Path) -> None:
    fields = {"parsed_section": [{"type": "caption", "text": "x", "hash": "../../etc/passwd"}]}
    (tmp_path / "articles.jsonl").write_text(json.dumps(fields))
    with pytest.raises(SourceError, match="leads out of the source"):
        rows(tmp_path)


def test_half_written_json_is_an_error_with_the_number_of_the_item(tmp_path: Path) -> None:
    whole = json.dumps([record(n) for n in range(5)])
    folder = visualnews(tmp_path, [])
    (folder / "origin/data.json").write_text(whole[:-40])
    with pytest.raises(SourceError, match="no whole JSON behind record 4"):
        rows(folder)


def test_what_is_no_news_layout_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('[{"url": "x", "text": "y"}]')
    with pytest.raises(SourceError, match=r"looked into data.json. Looked for visualnews: .* goodnews: "):
        open_news([str(tmp_path)])
    (tmp_path / "data.json").unlink()
    with pytest.raises(SourceError, match=r"no .json or .jsonl file was found"):
        open_news([str(tmp_path)])


def test_a_layout_that_is_named_is_the_only_one_taken(tmp_path: Path) -> None:
    folder = visualnews(tmp_path, [record()])
    assert open_news([str(folder)], "visualnews").files[0].dialect == "visualnews"
    with pytest.raises(SourceError, match="in no news layout"):
        open_news([str(folder)], "goodnews")


def test_an_empty_list_has_no_rows_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(SourceError):
        open_news([str(tmp_path)])


def test_a_packed_list_is_read_as_it_is(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "articles.jsonl.gz", "wt") as file:
        file.write(json.dumps({"parsed_section": [{"type": "caption", "text": "x", "image_url": "http://a/b"}]}) + "\n")
    (row,) = rows(tmp_path)
    assert (row["url"], row["alt_text"]) == ("http://a/b", "x")


def test_reading_on_from_a_row_gives_the_same_rows(tmp_path: Path) -> None:
    (file,) = open_news([str(visualnews(tmp_path, [record(n) for n in range(9)]))]).files
    whole = [r for t in file.read() for r in t.to_pylist()]
    assert [r for t in file.read(3, 7) for r in t.to_pylist()] == whole[3:7]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


class Drip(io.BytesIO):
    """Hands out a few bytes at a time, so that items straddle what was read."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(3 if size else 0)


@settings(max_examples=150, deadline=None)
@given(st.lists(_JSON, max_size=5), st.sampled_from([None, 1]))
def test_streaming_a_list_gives_what_json_loads_gives(values: list[Any], indent: int | None) -> None:
    text = json.dumps(values, indent=indent)
    assert [v for _, v in read_items(Drip(text.encode()), "list", "x")] == values


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=5), _JSON, max_size=5))
def test_streaming_an_object_gives_its_members_in_order(values: dict[str, Any]) -> None:
    assert list(read_items(Drip(json.dumps(values).encode()), "object", "x")) == list(values.items())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2), min_size=1, max_size=3), st.data())
def test_whatever_is_cut_off_is_an_error(values: list[Any], data: st.DataObject) -> None:
    text = json.dumps(values)
    cut = data.draw(st.integers(1, len(text) - 1))
    with pytest.raises(SourceError, match="no whole JSON"):
        list(read_items(io.BytesIO(text[:cut].encode()), "list", "x"))


def test_shapes_are_recognised_by_their_beginning() -> None:
    assert shape_of("\ufeff [ {".encode()) == "list"
    assert shape_of(b'{"a": {"images"') == "object"
    assert shape_of(b'{"a": 1}\n{"a": 2}\n') == "lines"
    assert shape_of(b"hello") is None


@pytest.mark.parametrize("start", ["", "\ufeff", " \n\ufeff \n" + " " * 200_000])
@pytest.mark.parametrize(("shape", "text"), [("list", "[1, 2]"), ("object", '{"a": 1, "b": 2}'), ("lines", "1\n2\n")])
def test_a_byte_order_mark_and_blanks_in_front_are_no_part_of_the_json(start: str, shape: Any, text: str) -> None:
    assert [v for _, v in read_items(io.BytesIO((start + text).encode()), shape, "x")] == [1, 2]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" + '{"a":[' * 300 + "]}" * 300 + "]"])
def test_a_value_nested_deep_is_an_error_at_little_cost(text: str) -> None:
    """A parser that spells out the path of each value would take gigabytes here."""
    with pytest.raises(SourceError, match="nested deeper than"):
        list(read_items(io.BytesIO(text.encode()), "list" if text.startswith("[") else "object", "x"))


def test_an_item_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.sources.json_members.LONGEST", 200_000)
    items = json.dumps(["a" * 60_000] * 9)
    assert len(list(read_items(io.BytesIO(items.encode()), "list", "x"))) == 9
    with pytest.raises(SourceError, match="no end within 200000 bytes"):
        list(read_items(io.BytesIO(json.dumps(["a" * 600_000]).encode()), "list", "x"))


@pytest.mark.parametrize("text", ["[1] x", "[1", "[1,]", "[1 2]", "{}", '"a"', "", '["caf\\x"]', '["\x00"]'])
def test_what_is_no_list_is_an_error(text: str) -> None:
    with pytest.raises(SourceError, match="no whole JSON"):
        list(read_items(io.BytesIO(text.encode()), "list", "x"))


@pytest.mark.parametrize("start", ['{"a":', "[", '{"images":'])
def test_a_list_nested_too_deep_is_in_no_news_layout(start: str, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(start + "[" * 100_000)
    with pytest.raises(SourceError, match="in no news layout"):
        open_news([str(tmp_path)])


_MEMORY = """
import json, resource, sys
from curation.sources.news_files import read_items
with open(sys.argv[1], "rb") as file:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(1 for _ in read_items(file, "list", "x"))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_long_list_is_never_in_memory(tmp_path: Path) -> None:
    item = json.dumps(record(caption="x" * 400))
    path = tmp_path / "data.json"
    with path.open("w") as file:
        file.write("[" + ",".join([item] * 160_000) + "]")
    assert path.stat().st_size > 80_000_000
    read = subprocess.run([sys.executable, "-c", _MEMORY, str(path)], capture_output=True, text=True, check=True)
    count, kilobytes = map(int, read.stdout.split())
    assert count == 160_000 and kilobytes < 40_000
