"""Nothing in a source is left out without a message: what is not read is named, in a row or in a note."""

from __future__ import annotations

import io
import json
import logging
import tarfile
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.core.errors import SourceError
from curation.sources.discover import open_source
from curation.sources.encodings import decode
from tests.support.images import encoded, jpeg, smooth
from tests.support.sources import items, write_parquet, write_tar

PIXELS = jpeg(smooth(40, 30))


def fill(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def rows_of(source: Path | str) -> list[dict[str, Any]]:
    return [row for f in open_source([str(source)]).files for t in f.read() for row in t.to_pylist()]


def notes(source: Path | str) -> str:
    return "\n".join(open_source([str(source)]).notes)


# Metadata files


def jsonl(*records: Any) -> str:
    return "".join(json.dumps(r) + "\n" for r in records)


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


NAMED = [{"file_name": f"{i}.jpg", "text": f"by hand {i}"} for i in range(2)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("metadata.jsonl", jsonl(*NAMED)),
        ("metadata.jsonl", "\ufeff" + jsonl(*NAMED) + "\n\n"),
        ("metadata.jsonl", jsonl(*NAMED).encode("utf-16")),
        ("METADATA.JSONL", jsonl(*NAMED)),
        ("metadata.csv", "file_name,text\n0.jpg,by hand 0\n1.jpg,by hand 1\n"),
        ("metadata.csv", '\ufefftext,file_name\r\n"by hand 0",0.jpg\r\n"by hand 1",1.jpg\r\n'),
        ("metadata.parquet", parquet(file_name=["0.jpg", "1.jpg"], text=["by hand 0", "by hand 1"], n=[[1.0], [2.0]])),
        ("metadata.jsonl", jsonl(*({"image_file_name": f"./{i}.jpg", "caption": f"by hand {i}"} for i in range(2)))),
        (
            "metadata.jsonl",
            jsonl(*({"file_name": f"{i}.jpg", "prompt": f"by hand {i}", "style": "x"} for i in range(2))),
        ),
        ("metadata.jsonl", jsonl(*({"file_name": f"{i}.jpg", "en_US": f"by hand {i}", "n": i} for i in range(2)))),
        ("metadata.jsonl", jsonl(*({"file_names": [f"{i}.jpg"], "text": [f"by hand {i}"]} for i in range(2)))),
    ],
)
def test_captions_come_from_the_metadata_file_of_the_folder(name: str, data: bytes | str, tmp_path: Path) -> None:
    source = fill(tmp_path, {"0.jpg": PIXELS, "1.jpg": PIXELS, name: data})
    rows = rows_of(source)
    assert [(r["alt_text"], r["fault"], r["note"]) for r in rows] == [(f"by hand {i}", None, None) for i in range(2)]
    assert notes(source) == ""
    assert [r["alt_text"] for r in rows_of(f"{source}/*.jpg")] == ["by hand 0", "by hand 1"]


def test_the_nearest_metadata_file_counts_and_paths_may_be_nested(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {
            "metadata.jsonl": jsonl(
                {"file_name": "a/1.jpg", "text": "outer a"}, {"file_name": "b\\2.jpg", "text": "outer b"}
            ),
            "b/metadata.csv": "file_name,text\n2.jpg,inner b\nc/3.jpg,inner c\n",
            **dict.fromkeys(("a/1.jpg", "b/2.jpg", "b/c/3.jpg"), PIXELS),
        },
    )
    assert {r["local_file"][-8:]: r["alt_text"] for r in rows_of(tmp_path)} == {
        "/a/1.jpg": "outer a",
        "/b/2.jpg": "inner b",
        "/c/3.jpg": "inner c",
    }


def test_a_file_of_its_own_wins_over_the_metadata_file(tmp_path: Path) -> None:
    listed = jsonl(*({"file_name": f"{i}.jpg", "text": "listed", "license": "cc0"} for i in range(3)))
    fill(tmp_path, {"metadata.jsonl": listed, "0.jpg": PIXELS, "0.txt": "own", "1.jpg": PIXELS, "2.jpg": PIXELS})
    fill(tmp_path, {"1.json": '{"caption": "json", "license": null}'})
    rows = rows_of(tmp_path)
    assert [r["alt_text"] for r in rows] == ["own", "json", "listed"]
    assert [r["license"] for r in rows] == ["cc0"] * 3


def test_an_image_that_is_named_and_not_there_is_a_row(tmp_path: Path) -> None:
    listed = jsonl(*({"file_name": f"{place}.jpg", "text": place} for place in ("a", "b", "sub/c")))
    source = fill(tmp_path, {"metadata.jsonl": listed, "b.jpg": PIXELS})
    rows = rows_of(source)
    assert [(r["alt_text"], r["fault"]) for r in rows] == [
        ("a", "file_missing"),
        ("b", None),
        ("sub/c", "file_missing"),
    ]
    assert rows[0]["note"] == "a.jpg: metadata.jsonl names it, but it is not there"


def test_an_image_without_a_row_has_a_note(tmp_path: Path) -> None:
    rows = rows_of(fill(tmp_path, {"metadata.jsonl": jsonl(NAMED[0]), "0.jpg": PIXELS, "1.jpg": PIXELS}))
    assert [r["note"] for r in rows] == [None, "metadata.jsonl has no row for it"]


def test_several_texts_and_none_called_text_are_noted(tmp_path: Path) -> None:
    listed = jsonl({"file_name": "0.jpg", "en": "a dog", "de": "ein Hund"}, {"file_name": "1.jpg", "text": ["a", "b"]})
    rows = rows_of(fill(tmp_path, {"metadata.jsonl": listed, "0.jpg": PIXELS, "1.jpg": PIXELS}))
    assert [r["alt_text"] for r in rows] == ["", "a"]
    assert "several texts (en, de); call one of them text" in rows[0]["note"]
    assert rows[1]["note"] == "the first of 2 texts"


def test_a_decomposed_file_name_is_the_same_name(tmp_path: Path) -> None:
    name = "caf\u00e9.jpg"
    fill(
        tmp_path,
        {unicodedata.normalize("NFD", name): PIXELS, "metadata.jsonl": jsonl({"file_name": name, "text": "x"})},
    )
    assert [(r["alt_text"], r["fault"]) for r in rows_of(tmp_path)] == [("x", None)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"file_name": "0.jpg", "text": "x"}\n{broken\n', "no JSON on line 2"),
        ('[{"file_name": "0.jpg"}]\n', "an object was expected, found a list"),
        ('{"image": "0.jpg", "text": "x"}\n', r"row 1, has no column file_name \(found image, text\)"),
        ('{"file_name": "../0.jpg", "text": "x"}\n', "expected the path of an image below"),
        ('{"file_name": "/etc/passwd", "text": "x"}\n', "expected the path of an image below"),
    ],
)
def test_a_metadata_file_that_cannot_be_used_is_an_error(data: str, message: str, tmp_path: Path) -> None:
    fill(tmp_path, {"0.jpg": PIXELS, "metadata.jsonl": data})
    with pytest.raises(SourceError, match=message):
        open_source([str(tmp_path)])


def test_a_changed_metadata_file_changes_the_fingerprint(tmp_path: Path) -> None:
    fill(tmp_path, {"0.jpg": PIXELS, "sub/1.jpg": PIXELS})
    before = [f.fingerprint for f in open_source([str(tmp_path)]).files]
    fill(tmp_path, {"metadata.jsonl": jsonl({"file_name": "0.jpg", "text": "x"})})
    after = [f.fingerprint for f in open_source([str(tmp_path)]).files]
    assert all(a != b for a, b in zip(before, after, strict=True))


# Pictures by their bytes, and sidecars under other names


@pytest.mark.parametrize(
    "name", ["photo", "photo.dat", "photo.jpg_large", "photo.php", "photo.JPG!d", "0a1b2c3d", "a.b"]
)
@pytest.mark.parametrize("pixels", [PIXELS, encoded(smooth(40, 30), "PNG"), b"\xff\x0a" + bytes(90)])
def test_a_picture_is_recognised_by_its_bytes(name: str, pixels: bytes, tmp_path: Path) -> None:
    alone = rows_of(fill(tmp_path / "alone", {name: pixels, "README.md": "x"}))
    assert [r["local_size"] for r in alone] == [len(pixels)]
    stem = name.rsplit(".", 1)[0]
    rows = rows_of(
        fill(tmp_path / "mixed", {name: pixels, f"{stem}.txt": "its text", "z.jpg": PIXELS, "x.bin": "data"})
    )
    assert [r["alt_text"] for r in rows] == ["its text", ""]
    assert "x.bin" in notes(tmp_path / "mixed")
    tar = write_tar(tmp_path / "x.tar", [(name, pixels), ("z.jpg", PIXELS)])
    assert [r["local_size"] for r in rows_of(tar)] == [len(pixels), len(PIXELS)]


@pytest.mark.parametrize("name", ["photo.txt", "photo.jpg.txt", "photo.caption", "photo.json", "photo.jpg.json"])
def test_a_sidecar_is_found_under_each_usual_name(name: str, tmp_path: Path) -> None:
    data = '{"caption": "its text"}' if name.endswith("json") else "its text"
    source = fill(tmp_path / "folder", {"photo.jpg": PIXELS, name: data})
    tar = write_tar(tmp_path / "x.tar", [("photo.jpg", PIXELS), (name, data.encode())])
    dotted = [("a.photo.jpg", PIXELS), (f"a.{name}", data.encode()), ("a.b.jpg", PIXELS), ("a.b.txt", b"other")]
    assert [r["alt_text"] for r in rows_of(source)] == ["its text"]
    assert notes(source) == ""
    assert [r["alt_text"] for r in rows_of(tar)] == ["its text"]
    assert [r["alt_text"] for r in rows_of(write_tar(tmp_path / "y.tar", dotted))] == ["its text", "other"]


def test_a_sidecar_that_is_not_read_is_noted(tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", {"a.txt": "secret"})
    source = fill(tmp_path / "source", {f"{n}.jpg": PIXELS for n in "abc"})
    fill(source, {"b.json": '{"prompt": "a dog"}', "c.json": '{"prompt": "a dog", "caption": "a cat"}'})
    (source / "a.txt").symlink_to(outside / "a.txt")
    rows = rows_of(source)
    assert [r["alt_text"] for r in rows] == ["", "", "a cat"]
    assert [r["note"] for r in rows] == [
        "a.txt is a link that leads out of the source",
        "the .json has no key text or caption; its 'prompt' is not read",
        None,
    ]


TEXT = "a café by the sea’s edge"


@pytest.mark.parametrize(
    ("data", "text", "noted"),
    [
        (TEXT.encode(), TEXT, False),
        (TEXT.encode("utf-8-sig"), TEXT, False),
        (TEXT.encode("utf-16"), TEXT, False),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), TEXT, False),
        (TEXT.encode("utf-32"), TEXT, False),
        (TEXT.encode("utf-16-le"), TEXT, True),
        (TEXT.encode("utf-16-be"), TEXT, True),
        (TEXT.encode("cp1252"), TEXT, True),
        (b"\xe9", "\ufffd", True),
        ("собака".encode("cp1251"), "\ufffd" * 6, True),
        ("猫の写真".encode("shift-jis"), None, True),
        ("caf\u00e9 ".encode() + b"\xff\xe9", "café \ufffd\ufffd", True),
        (TEXT.encode("utf-16")[:-1], TEXT[:-1] + "\ufffd", True),
        (b"a\x00b\x00\x00c", "a\x00b\x00\x00c", False),
        (b"", "", False),
    ],
)
def test_a_text_is_decoded_or_noted(data: bytes, text: str | None, noted: bool, tmp_path: Path) -> None:
    found, note = decode(data)
    assert text is None or found == text
    assert (note is not None) == noted
    folder = fill(tmp_path / "folder", {"a.jpg": PIXELS, "a.txt": data})
    tar = write_tar(tmp_path / "x.tar", [("a.jpg", PIXELS), ("a.txt", data)])
    for row in (*rows_of(folder), *rows_of(tar)):
        assert row["alt_text"] == found
        assert (row["note"] is not None) == noted


def test_a_json_in_another_encoding_is_read(tmp_path: Path) -> None:
    for number, encoding in enumerate(("utf-8", "utf-8-sig", "utf-16", "cp1252")):
        text = json.dumps({"caption": TEXT}, ensure_ascii=False)
        fill(tmp_path, {f"{number}.jpg": PIXELS, f"{number}.json": text.encode(encoding)})
    rows = rows_of(tmp_path)
    assert [r["alt_text"] for r in rows] == [TEXT] * 4
    assert [r["note"] is None for r in rows] == [True, True, True, False]


# Members of tars


def shards(*names: str) -> list[tuple[str, bytes]]:
    return [(n, n.encode() if n.endswith(("txt", "json", "cls")) else PIXELS + n.encode()) for n in names]


@pytest.mark.parametrize(
    ("members", "texts"),
    [
        (("www.shop.test_0.jpg", "www.shop.test_0.txt", "www.shop.test_1.jpg", "www.shop.test_1.txt"), [0, 1]),
        (("2.0.jpg", "2.0.txt", "2.1.jpg", "2.1.txt", "2.2.jpg"), [0, 1, ""]),
        (("a.jpg", "a.txt", "a.2.jpg", "a.2.txt"), [0, 1]),
        (("a.1.jpg", "a.2.jpg", "a.3.png"), ["", "", ""]),
        (("d.1/a.b.jpg", "d.1/a.b.txt", "d.1/a.c.jpg", "d.1/a.c.txt"), [0, 1]),
        (("./a.b.jpg", "./a.b.txt", "./a.c.jpg", "./a.c.txt"), [0, 1]),
        (("a.b.jpg", "a.c.jpg", "a.b.txt", "a.c.txt"), [0, 1]),
        (("a.jpg", "a.mask.png", "a.cls", "a.txt"), [0]),  # one sample of WebDataset
        (("a.left.jpg", "a.right.jpg", "a.txt"), [0]),
    ],
)
def test_every_picture_of_a_tar_has_a_row_or_is_named(
    members: tuple[str, ...], texts: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rows = rows_of(write_tar(tmp_path / "x.tar", shards(*members)))
    own = [m for m in members if m.endswith("txt")]
    assert [r["alt_text"] for r in rows] == [own[t] if isinstance(t, int) else t for t in texts]
    named = caplog.text + "".join(r["note"] or "" for r in rows)
    taken = [int(r["local_size"]) for r in rows]
    for name, data in shards(*members):
        if not name.endswith(("txt", "cls")):
            assert len(data) in taken or name.split(".", 1)[1] in named


def test_a_long_run_of_dotted_names_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.sources.tars._LONGEST_RUN", 10)
    names = [n for i in range(100) for n in (f"www.{i}.jpg", f"www.{i}.txt")]
    rows = rows_of(write_tar(tmp_path / "x.tar", shards(*names)))
    assert [r["alt_text"] for r in rows] == [f"www.{i}.txt" for i in range(100)]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("folder", ["", "./", "x/" * 30, "../", "/abs/", "v1.0/", "ü é/"])
def test_each_form_of_name_is_read(form: int, folder: str, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in (
            (f"{folder}a.JPG", PIXELS),
            (f"{folder}a.txt", b"text"),
            (f"{folder}._a.jpg", b"\0\5\x16\7"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        tar.addfile(special(f"{folder}sub.jpg", tarfile.DIRTYPE))
        tar.addfile(special(f"{folder}link.jpg", tarfile.LNKTYPE, f"{folder}a.JPG"))
    rows = rows_of(path)
    assert [(r["alt_text"], r["fault"]) for r in rows] == [("text", None), ("", "file_missing")]
    start = rows[0]["local_offset"]
    assert path.read_bytes()[start : start + len(PIXELS)] == PIXELS


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("garbage", [b"<html>", b"\x07" * 512, b"junk" * 1000, b"\0" * 4096 + b"x", b"\n"])
def test_bytes_behind_the_end_of_a_tar_do_no_harm(
    garbage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_tar(tmp_path / "x.tar", shards("a.jpg", "b.jpg"))
    path.write_bytes(path.read_bytes() + garbage)
    with caplog.at_level(logging.WARNING):
        assert len(rows_of(path)) == 2
    assert "behind the end of the archive are not read" in caplog.text


# Files that are not read


@pytest.mark.parametrize("kind", ["lists", "tars", "images"])
@pytest.mark.parametrize(
    "name",
    [
        "captions.jsonl",
        "train.zip",
        "sub/more.7z",
        "x.arrow",
        "x.feather",
        "data.bin",
        "extra.txt",
        "lost.json",
        "x.tar.zst",
    ],
)
def test_each_file_that_looks_like_data_is_named(
    kind: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    match kind:
        case "lists":
            write_parquet(tmp_path / "a.parquet", items(2))
        case "tars":
            write_tar(tmp_path / "a.tar", shards("a.jpg"))
        case _:
            fill(tmp_path, {"a.jpg": PIXELS, "a.txt": "text"})
    fill(tmp_path, {name: "data", "README.md": "x", "LICENSE": "x", "00000_stats.json": "{}", "SHA256SUMS": "x"})
    if kind == "tars" and name == "x.tar.zst":
        with pytest.raises(SourceError, match=r"x\.tar\.zst: .*unpack it"):
            open_source([str(tmp_path)])
        return
    with caplog.at_level(logging.WARNING):
        (note,) = open_source([str(tmp_path)]).notes
    assert f"1 file is not read: {name}" in note
    assert note in caplog.text


def test_a_linked_folder_is_named_and_not_entered(tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", {"1.jpg": PIXELS})
    source = fill(tmp_path / "source", {"a/2.jpg": PIXELS})
    (source / "linked").symlink_to(outside)
    (source / "loop").symlink_to(source)
    for spec in (source, f"{source}/*/*.jpg"):
        assert len(rows_of(spec)) == 1
        assert "links to folders are not followed: linked, loop" in notes(spec) or "linked" in notes(spec)
    assert len(rows_of(source / "linked")) == 1
    only_links = tmp_path / "only"
    only_links.mkdir()
    (only_links / "linked").symlink_to(outside)
    with pytest.raises(SourceError, match="Links to folders are not followed: linked"):
        open_source([str(only_links)])
