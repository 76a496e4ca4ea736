"""Lists as people have them: each layout is read with its images, texts and further columns, or refused by name."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.core.errors import SourceError
from curation.core.recipes import parse
from curation.sources.discover import open_source
from curation.sources.options import Options
from schemas.refine import RefineLaion
from tests.support.images import jpeg, smooth
from tests.support.sources import write_tar

PIXELS = [jpeg(smooth(40 + i, 30)) for i in range(2)]
URLS = ["http://a/0.jpg", "http://a/1.jpg"]
TEXTS = ["a red bus on a street", "two dogs, at play"]


def options(**source: Any) -> Options:
    return Options.of(parse(RefineLaion, {"source": source}).source)


def rows_of(source: Path | str, how: Options | None = None) -> list[dict[str, Any]]:
    files = open_source([str(source)], how or options()).files
    return [row for f in files for t in f.read(kept=True) for row in t.to_pylist()]


def pairs(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str | None, str]]:
    return [(r["url"], r["alt_text"] or "") for r in rows]


def kept(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [json.loads(r["columns"] or "{}") for r in rows]


def as_parquet(path: Path, columns: Mapping[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def as_csv(path: Path, columns: Mapping[str, Any]) -> Path:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([list(columns), *zip(*columns.values(), strict=True)])
    path.with_suffix(".csv").write_text(text.getvalue(), newline="")
    return path.with_suffix(".csv")


def as_tsv(path: Path, columns: Mapping[str, Any]) -> Path:
    lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.with_suffix(".tsv").write_text("\n".join(lines) + "\n")
    return path.with_suffix(".tsv")


def records(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def as_jsonl(path: Path, columns: Mapping[str, Any]) -> Path:
    path.with_suffix(".jsonl").write_text("".join(json.dumps(r) + "\n" for r in records(columns)))
    return path.with_suffix(".jsonl")


def as_packed_jsonl(path: Path, columns: Mapping[str, Any]) -> Path:
    plain = as_jsonl(path, columns)
    packed = plain.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    return packed


def as_json(path: Path, columns: Mapping[str, Any]) -> Path:
    path.with_suffix(".json").write_text(json.dumps(records(columns), indent=1))
    return path.with_suffix(".json")


def as_wrapped_json(path: Path, columns: Mapping[str, Any]) -> Path:
    path.with_suffix(".json").write_text(json.dumps({"info": {"year": 2020}, "annotations": records(columns)}))
    return path.with_suffix(".json")


FORMS = [as_parquet, as_csv, as_tsv, as_jsonl, as_packed_jsonl, as_json, as_wrapped_json]


# Columns: guessed, named, or asked about


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("url", "caption"),
        ("URL", "TEXT"),
        ("Image URL", "Alt Text"),
        ("image_url", "caption"),
        ("imageUrl", "altText"),
        ("img_url", "alt"),
        ("image", "description"),
        ("photo_image_url", "prompt"),
        ("src", "title"),
        (" url ", "Caption "),
        ("img", "txt"),
        ("link", "sentence"),
        ("weird", "other"),
    ],
)
def test_usual_names_are_guessed_in_every_form(form: Any, url: str, text: str, tmp_path: Path) -> None:
    path = form(tmp_path / "list", {url: URLS, text: TEXTS, "page_url": ["http://p/0", "http://p/1"], "score": [1, 2]})
    assert pairs(rows_of(path)) == list(zip(URLS, TEXTS, strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_named_columns_count_before_any_guess(form: Any, tmp_path: Path) -> None:
    columns = {"url": ["http://page/0", "http://page/1"], "Photo": URLS, "text": ["x", "y"], "my caption": TEXTS}
    path = form(tmp_path / "list", columns)
    rows = rows_of(path, options(columns={"url": "photo", "text": "my caption"}))
    assert pairs(rows) == list(zip(URLS, TEXTS, strict=True))
    assert [r["url"] for r in kept(rows)] == columns["url"], "what is not used is kept"


@pytest.mark.parametrize("form", FORMS)
def test_of_several_columns_the_first_that_is_not_empty_counts(form: Any, tmp_path: Path) -> None:
    path = form(tmp_path / "list", {"url": URLS, "en": ["", TEXTS[1]], "de": [TEXTS[0], "zwei Hunde"]})
    assert pairs(rows_of(path, options(columns={"text": ["en", "de"]}))) == list(zip(URLS, TEXTS, strict=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"url": URLS, "title": TEXTS, "description": TEXTS}, "may hold the text: title, description"),
        ({"url": URLS, "en": TEXTS, "de": TEXTS}, "may hold the text: en, de"),
        ({"src": URLS, "image_url": URLS, "text": TEXTS}, "may hold the url: src, image_url"),
        ({"file_name": ["a.jpg", "b.jpg"], "path": ["c.jpg", "d.jpg"], "text": TEXTS}, "may hold the path: file_name"),
    ],
)
def test_what_is_not_clear_is_asked_about(form: Any, columns: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=named) as raised:
        rows_of(form(tmp_path / "list", columns))
    assert "--set source.columns." in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("form", FORMS)
def test_a_list_without_images_is_refused_by_its_columns(form: Any, tmp_path: Path) -> None:
    path = form(tmp_path / "list", {"name": ["Ann Lee", "Bo Hill"], "age": [3, 4]})
    with pytest.raises(SourceError, match=r"no column looks like .*Columns found: name, age.*source\.columns\.url="):
        rows_of(path)


def test_a_named_column_that_is_not_there_is_an_error_with_those_that_are(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "list", {"url": URLS, "text": TEXTS})
    with pytest.raises(SourceError, match=r"no column 'caption', which source\.columns\.text names.*found: url, text"):
        rows_of(path, options(columns={"text": "caption"}))


@pytest.mark.parametrize("form", FORMS)
def test_a_list_may_have_no_text(form: Any, tmp_path: Path) -> None:
    path = form(tmp_path / "list", {"url": URLS, "width": [640, 480]})
    assert pairs(rows_of(path)) == [(url, "") for url in URLS]
    titled = form(tmp_path / "titled", {"url": URLS, "title": TEXTS, "description": TEXTS})
    assert pairs(rows_of(titled, options(columns={"text": ""}))) == [(url, "") for url in URLS]


# Public layouts


WIT = {
    "language": ["en", "en"],
    "page_url": ["http://w/0", "http://w/1"],
    "image_url": URLS,
    "page_title": ["Bus", "Dog"],
    "caption_reference_description": [TEXTS[0], ""],
    "caption_attribution_description": ["English: x", "English: y"],
    "caption_alt_text_description": ["", TEXTS[1]],
    "mime_type": ["image/jpeg"] * 2,
    "original_height": [480, 481],
    "original_width": [640, 641],
}
REDCAPS = {
    "image_id": ["x1", "x2"],
    "author": ["ann", "bo"],
    "url": URLS,
    "raw_caption": ["A Red Bus", "Dogs!"],
    "caption": TEXTS,
    "subreddit": ["pics", "dogs"],
    "score": [3, 4],
}
PUBLIC: dict[str, tuple[Any, dict[str, Any], str]] = {
    "wit": (as_tsv, WIT, "page_title"),
    "redcaps": (as_wrapped_json, REDCAPS, "subreddit"),
    "unsplash": (as_tsv, {"photo_id": ["a", "b"], "photo_image_url": URLS, "ai_description": TEXTS}, "photo_id"),
    "fastdup": (as_csv, {"index": [0, 1], "img_url": URLS, "caption": TEXTS, "is_valid": [1, 0]}, "is_valid"),
    "cc3m on the hub": (as_parquet, {"image_url": URLS, "caption": TEXTS}, ""),
    "webdataset exported": (as_jsonl, {"__key__": ["0", "1"], "url": URLS, "txt": TEXTS}, "__key__"),
    "laion-coco": (as_parquet, {"URL": URLS, "TEXT": TEXTS, "top_caption": ["x y", "z w"]}, "top_caption"),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_lists_are_read_as_they_are(name: str, tmp_path: Path) -> None:
    form, columns, further = PUBLIC[name]
    rows = rows_of(form(tmp_path / "list", columns))
    assert pairs(rows) == list(zip(URLS, TEXTS, strict=True))
    if further:
        assert [str(r[further]) for r in kept(rows)] == [str(v) for v in columns[further]]


def test_a_value_within_an_object_is_a_column_by_its_path(tmp_path: Path) -> None:
    nested = [
        {"id": i, "image": {"url": URLS[i], "size": {"width": 640}}, "meta": {"caption": TEXTS[i], "tags": ["x"]}}
        for i in range(2)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in nested))
    pq.write_table(pa.Table.from_pylist(nested), tmp_path / "b.parquet")
    for path in (tmp_path / "a.jsonl", tmp_path / "b.parquet"):
        assert pairs(rows_of(path)) == list(zip(URLS, TEXTS, strict=True))
        named = options(columns={"url": "image.url", "text": "meta.caption", "width": "image.size.width"})
        rows = rows_of(path, named)
        assert pairs(rows) == list(zip(URLS, TEXTS, strict=True))
        assert [r["width"] for r in rows] == [640, 640]
    rows = rows_of(tmp_path / "a.jsonl", options(keep_columns=["id", "meta.tags", "image.size.width"]))
    assert kept(rows)[0] == {"id": 0, "meta.tags": '["x"]', "image.size.width": 640}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_that_is_no_object_is_a_row_with_a_fault(end: str, tmp_path: Path) -> None:
    lines = ['{"url": "http://a/0.jpg", "text": "x"}', "{broken", "", "[1]", '{"url": "http://a/1.jpg", "text": null}']
    (tmp_path / "l.jsonl").write_text("\ufeff" + end.join(lines), newline="")
    rows = rows_of(tmp_path)
    assert [r["fault"] for r in rows] == [None, "malformed_row", "malformed_row", None]
    assert [r["url"] for r in rows] == [URLS[0], None, None, URLS[1]]
    assert "no JSON" in rows[1]["note"] and rows[2]["note"] == "a list; an object was expected"


def test_a_json_list_that_is_cut_off_gives_its_rows_and_an_error(tmp_path: Path) -> None:
    path = as_json(tmp_path / "list", {"url": [f"http://a/{i}" for i in range(500)], "text": ["t"] * 500})
    path.write_text(path.read_text()[:-40])
    with pytest.raises(SourceError, match=r"no whole JSON behind record 49\d"):
        rows_of(path)


def test_several_lists_in_one_object_are_refused_by_their_names(tmp_path: Path) -> None:
    boxes = coco([{"id": 1}], [{"image_id": 1, "bbox": [0, 0, 9, 9]}])
    (tmp_path / "instances.json").write_text(json.dumps(boxes))
    with pytest.raises(SourceError, match=r"several lists of objects \(licenses, images, annotations\)"):
        rows_of(tmp_path)


# COCO's captions


def coco(images: Sequence[Any], annotations: Sequence[Any]) -> dict[str, Any]:
    return {
        "info": {"year": 2017, "contributor": "somebody"},
        "licenses": [{"id": 1, "name": "Attribution", "url": "http://by"}, {"id": 7, "name": "none known"}],
        "images": images,
        "annotations": annotations,
        "type": "captions",
    }


def coco_image(number: int, **more: Any) -> dict[str, Any]:
    place = {"file_name": f"{number}.jpg", "coco_url": f"http://a/{number}.jpg", "flickr_url": f"http://b/{number}.jpg"}
    return {"id": number, "license": 1, **place, "height": 480, "width": 640, "date_captured": "2013-11-14", **more}


def said(number: Any, *captions: Any) -> list[dict[str, Any]]:
    return [{"image_id": number, "id": 100 + at, "caption": text} for at, text in enumerate(captions)]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("indent", [None, 2])
def test_captions_of_coco_are_joined_to_their_images(order: int, indent: int | None, tmp_path: Path) -> None:
    images = [coco_image(0), coco_image(1, license=7), coco_image(2, license=99)]
    notes = [*said(1, *TEXTS), *said(0, "a", " ", "b"), *said(1, "c")]
    lists = dict(list(coco(images, notes).items())[::order])
    (tmp_path / "captions.json").write_text(json.dumps(lists, indent=indent))
    (file,) = open_source([str(tmp_path)]).files
    assert file.dialect == "coco"
    rows = rows_of(tmp_path)
    assert pairs(rows) == [("http://a/0.jpg", "a"), ("http://a/1.jpg", TEXTS[0]), ("http://a/2.jpg", "")]
    assert [r["note"] for r in rows] == ["the first of 2 texts", "the first of 3 texts", None]
    assert [r["license"] for r in rows] == ["http://by", "none known", "99"]
    assert [(r["width"], r["height"]) for r in rows] == [(640, 480)] * 3
    assert kept(rows)[0]["flickr_url"] == "http://b/0.jpg" and "captions" not in kept(rows)[0]
    whole = rows_of(tmp_path, options(keep_columns=["captions"]))
    assert [json.loads(k["captions"]) for k in kept(whole)[:2]] == [["a", "b"], [*TEXTS, "c"]]
    assert [t["url"][0].as_py() for t in file.read(1, 2)] == ["http://a/1.jpg"]


def test_images_of_coco_may_lie_beside_the_list(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "val").mkdir()
    (tmp_path / "val/0.jpg").write_bytes(PIXELS[0])
    lists = coco([coco_image(0), coco_image(1)], said(0, "a") + said(1, "b"))
    (tmp_path / "annotations/captions.json").write_text(json.dumps(lists))
    named = options(columns={"path": "file_name"}, image_folder=str(tmp_path / "val"))
    rows = rows_of(tmp_path / "annotations", named)
    assert [(r["url"], r["local_size"]) for r in rows] == [("http://a/0.jpg", len(PIXELS[0])), ("http://a/1.jpg", None)]


def test_what_cannot_be_joined_is_a_row_with_a_fault(tmp_path: Path) -> None:
    images = [coco_image(0), "no object", coco_image(1, id="one"), coco_image(2, id=None), coco_image(3, id="\ud800")]
    notes = [*said(0, None, 7), *said("0", "read alike"), *said("one", "b"), *said(9, "x", "y"), *said([1], "z"), 3, {}]
    (tmp_path / "captions.json").write_text(json.dumps(coco(images, notes)))
    rows = rows_of(tmp_path)
    texts = [r["alt_text"] or "" for r in rows]
    assert texts == ["read alike", "", "b", "", "", "", "", ""]
    assert [r["fault"] for r in rows] == [None, "malformed_row", None, None, None, *["malformed_row"] * 3]
    assert [r["note"] for r in rows[5:]] == [
        "2 annotations of image 9, which the list lacks",
        "1 annotations of image [1], which the list lacks",
        "2 annotations which have no image_id",
    ]


def test_a_list_of_coco_that_is_cut_off_gives_no_row(tmp_path: Path) -> None:
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(coco([coco_image(0)], said(0, *TEXTS)))[:-60])
    with pytest.raises(SourceError, match="no whole JSON behind record"):
        rows_of(path)


def test_only_the_captions_of_a_folder_of_coco_are_read(tmp_path: Path) -> None:
    images = [coco_image(0)]
    (tmp_path / "captions_val.json").write_text(json.dumps(coco(images, said(0, "a"))))
    (tmp_path / "instances_val.json").write_text(json.dumps(coco(images, [{"image_id": 0, "bbox": [0, 0, 9, 9]}])))
    sources = open_source([str(tmp_path)])
    assert [f.name for f in sources.files] == ["captions_val.json"]
    assert any("instances_val.json" in note for note in sources.notes)


# Lists of addresses


@pytest.mark.parametrize(
    ("line", "url", "text"),
    [
        ("http://a/0.jpg", "http://a/0.jpg", ""),
        ("  http://a/0.jpg  ", "http://a/0.jpg", ""),
        ("http://a/0.jpg\ta red bus", "http://a/0.jpg", "a red bus"),
        ("http://a/0.jpg a red bus", "http://a/0.jpg", "a red bus"),
        ("http://a/0.jpg | a red bus", "http://a/0.jpg", "a red bus"),
        ("http://a/0.jpg|a red bus", "http://a/0.jpg", "a red bus"),
        ("http://a/0.jpg,a red bus", "http://a/0.jpg", "a red bus"),
        ("http://a/0.jpg; bus", "http://a/0.jpg", "bus"),
        ("http://a/0.jpg,w_300/x.jpg", "http://a/0.jpg,w_300/x.jpg", ""),
        ("http://a/0?size=1,2", "http://a/0?size=1,2", ""),
        ("http://a/0.jpg?s=1,2 a bus, red", "http://a/0.jpg?s=1,2", "a bus, red"),
        ("https://a/photo/12 a red bus", "https://a/photo/12", "a red bus"),
        ("HTTPS://A/0.JPG\tBUS", "HTTPS://A/0.JPG", "BUS"),
    ],
)
@pytest.mark.parametrize("name", ["urls.txt", "urls.txt.gz"])
def test_a_list_of_addresses_is_a_source(line: str, url: str, text: str, name: str, tmp_path: Path) -> None:
    data = f"# addresses\n\n{line}\r\n{line}".encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert pairs(rows_of(tmp_path)) == [(url, text)] * 2


@pytest.mark.parametrize("name", ["urls.csv", "urls.tsv"])
def test_addresses_alone_need_no_header(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("\n".join(URLS))
    assert pairs(rows_of(tmp_path)) == [(url, "") for url in URLS]
    (tmp_path / name).write_text("\n".join(["url", *URLS]))
    assert pairs(rows_of(tmp_path)) == [(url, "") for url in URLS]


def test_a_text_that_is_no_list_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Remember the milk.\nAnd http://a/ too.\n")
    with pytest.raises(SourceError, match=r"nothing that can be read: notes\.txt\. Expected .*addresses"):
        rows_of(tmp_path)


# Embedded images


def embedded(form: str, pixels: Sequence[bytes | None]) -> pa.Array:
    if form == "struct":
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        return pa.array([{"bytes": p, "path": f"{i}.jpg"} for i, p in enumerate(pixels)], kind)
    return pa.array(pixels, {"binary": pa.binary(), "large": pa.large_binary()}[form])


@pytest.mark.parametrize("form", ["struct", "binary", "large"])
@pytest.mark.parametrize("column", ["image", "jpg", "picture_data"])
def test_embedded_images_are_read_in_place(form: str, column: str, tmp_path: Path) -> None:
    import hashlib

    from curation.sources.embedded import read_embedded

    pixels = [jpeg(smooth(40 + i, 30)) for i in range(70)]
    table = pa.table({column: embedded(form, pixels), "text": [f"text {i}" for i in range(70)], "label": range(70)})
    pq.write_table(table, tmp_path / "hub.parquet", row_group_size=25)
    rows = rows_of(tmp_path)
    assert [r["content"] for r in rows] == [f"sha256:{hashlib.sha256(p).hexdigest()}" for p in pixels]
    assert [r["alt_text"] for r in rows] == [f"text {i}" for i in range(70)]
    assert [r["label"] for r in kept(rows)] == list(range(70))
    for at in (0, 1, 69, 24, 25, 26, 3, 24, 25, 49, 50, *range(70)):
        assert read_embedded(rows[at]["local_file"], rows[at]["local_offset"]) == pixels[at]
        assert rows[at]["local_size"] == len(pixels[at])
    assert read_embedded(rows[0]["local_file"], 70) is None


def test_an_embedded_image_with_a_url_is_known_by_it(tmp_path: Path) -> None:
    """img2dataset's Parquet output; a row whose download failed has no pixels."""
    columns = {"url": URLS, "caption": TEXTS, "key": ["0", "1"], "status": ["success", "failed"]}
    columns["error_message"] = [None, "404"]
    pq.write_table(pa.table({**columns, "jpg": pa.array([PIXELS[0], None])}), tmp_path / "00000.parquet")
    rows = rows_of(tmp_path)
    assert [(r["url"], r["content"], r["local_size"]) for r in rows] == [
        (URLS[0], None, len(PIXELS[0])),
        (URLS[1], None, None),
    ]


def test_the_hub_s_form_may_have_paths_instead_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(PIXELS[0])
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = pa.array([{"bytes": None, "path": "0.jpg"}, {"bytes": None, "path": "../../1.jpg"}], kind)
    pq.write_table(pa.table({"image": values, "text": TEXTS}), tmp_path / "a.parquet")
    first, second = rows_of(tmp_path / "a.parquet")
    assert first["local_file"] == f"file://{tmp_path}/0.jpg"
    assert second["fault"] == "bad_url" and "leads out of" in second["note"]


# Paths of local images


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("column", ["file_name", "image_path", "image", "filename", "url", "img"])
def test_paths_are_relative_to_the_list(form: Any, column: str, tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    for i, data in enumerate(PIXELS):
        (tmp_path / "pics" / f"{i}.jpg").write_bytes(data)
    paths = ["pics/0.jpg", f"file://{tmp_path}/pics/1.jpg"]
    rows = rows_of(form(tmp_path / "list", {column: paths, "caption": TEXTS}))
    assert [r["local_file"] for r in rows] == [f"file://{tmp_path}/pics/{i}.jpg" for i in range(2)]
    assert [r["local_size"] for r in rows] == [len(p) for p in PIXELS]
    assert [(r["url"], r["alt_text"], r["fault"]) for r in rows] == [(None, text, None) for text in TEXTS]
    assert all(r["content"].startswith("sha256:") for r in rows)
    if column != "url":
        assert [r[column] for r in kept(rows)] == paths


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("../secret.jpg", "bad_url"),
        ("a/../../secret.jpg", "bad_url"),
        ("SECRET", "bad_url"),
        ("file://SECRET", "bad_url"),
        ("file://elsewhere/secret.jpg", "bad_url"),
        ("link.jpg", "bad_url"),
        ("s3://bucket/secret.jpg", "bad_url"),
        ("..\\secret.jpg", "bad_url"),
        ("%2e%2e/secret.jpg", "file_missing"),
        ("nowhere.jpg", "file_missing"),
        ("folder.jpg", "file_missing"),
        ("pipe.jpg", "file_missing"),
        ("a\x00b.jpg", "bad_url"),
    ],
)
@pytest.mark.parametrize("column", ["path", "url"])
def test_a_path_that_leads_out_of_the_folder_is_not_read(path: str, fault: str, column: str, tmp_path: Path) -> None:
    import os

    (tmp_path / "secret.jpg").write_bytes(PIXELS[0])
    home = tmp_path / "home"
    (home / "folder.jpg").mkdir(parents=True)
    (home / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    os.mkfifo(home / "pipe.jpg")
    name = path.replace("SECRET", str(tmp_path / "secret.jpg"))
    (home / "list.jsonl").write_text(json.dumps({column: name, "text": "x"}) + "\n")
    (row,) = rows_of(home / "list.jsonl", options(columns={column: column}))
    assert row["local_file"] is None
    # The download stage rejects an address that is none.
    assert row["fault"] == (fault if column == "path" else None)
    assert column == "path" or row["url"] == name
    if fault == "bad_url" and column == "path" and "\x00" not in path and "elsewhere" not in path:
        assert "source.image_folder names the images' folder" in row["note"]


def test_another_folder_may_be_declared(tmp_path: Path) -> None:
    (tmp_path / "pics" / "a").mkdir(parents=True)
    (tmp_path / "pics" / "a" / "0.jpg").write_bytes(PIXELS[0])
    (tmp_path / "lists").mkdir()
    columns = {"file": ["a/0.jpg", f"{tmp_path}/pics/a/0.jpg", "../lists/list.csv"], "text": ["x", "y", "z"]}
    rows = rows_of(as_csv(tmp_path / "lists" / "list", columns), options(image_folder=str(tmp_path / "pics")))
    assert [r["local_size"] for r in rows] == [len(PIXELS[0])] * 2 + [None]
    assert [r["fault"] for r in rows] == [None, None, "bad_url"]


def test_a_path_beside_an_address_saves_the_download(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(PIXELS[0])
    path = as_csv(tmp_path / "list", {"url": URLS, "text": TEXTS, "file": ["0.jpg", "1.jpg"]})
    rows = rows_of(path, options(columns={"path": "file"}))
    assert [(r["url"], r["local_size"], r["fault"]) for r in rows] == [
        (URLS[0], len(PIXELS[0]), None),
        (URLS[1], None, None),
    ]


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        ("0.jpg\n1.jpg\n", ["", ""]),
        ("0.jpg|a red bus\n1.jpg|two dogs\n", ["a red bus", "two dogs"]),
        ("0.jpg\ta red bus\n1.jpg\ttwo dogs\n", ["a red bus", "two dogs"]),
        ("0.jpg, a red bus\n1.jpg, two dogs\n", ["a red bus", "two dogs"]),
        ("0.jpg#0\ta red bus\n0.jpg#1\ta bus\n", ["a red bus", "a bus"]),  # Flickr8k
    ],
)
def test_a_list_of_paths_is_a_source_when_it_is_named(lines: str, texts: list[str], tmp_path: Path) -> None:
    for i, data in enumerate(PIXELS):
        (tmp_path / f"{i}.jpg").write_bytes(data)
    (tmp_path / "list.txt").write_text(lines)
    rows = rows_of(tmp_path / "list.txt")
    assert [(r["alt_text"], r["fault"]) for r in rows] == [(text, None) for text in texts]


def test_a_list_beside_its_images_says_how_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(PIXELS[0])
    as_csv(tmp_path / "captions", {"file": ["0.jpg"], "text": ["x"]})
    with pytest.raises(SourceError, match=r"mixes .*finds them when it is named alone"):
        rows_of(tmp_path)
    assert [r["local_size"] for r in rows_of(tmp_path / "captions.csv")] == [len(PIXELS[0])]


# Tars with keys


def test_a_tar_keeps_the_key_and_the_json_of_a_sample(tmp_path: Path) -> None:
    about = {"url": URLS[0], "caption": "x", "key": "000", "similarity": 0.5, "exif": {"a": 1}, "nsfw": None}
    members = [("a/000.jpg", PIXELS[0]), ("a/000.json", json.dumps(about).encode()), ("a/001.png", PIXELS[1])]
    rows = rows_of(write_tar(tmp_path / "x.tar", members))
    assert kept(rows) == [{"key": "000", "caption": "x", "similarity": 0.5}, {"key": "a/001"}]
