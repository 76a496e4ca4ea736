"""Whole runs on lists as they are: further columns travel, releases are sources, older roots stay as they were."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w
import webdataset as wds

from curation.catalog import connect
from curation.core.recipes import from_toml
from curation.core.store import Store
from curation.demo.render import jpeg
from curation.demo.world import scene
from schemas.ids import content_url, sample_id
from schemas.refine import RefineLaion
from tests.support.runs import RESULT, counted, refine
from tests.support.toy import fingerprint

QUICK = ["caption.backend=scripted", "source.shard_rows=4", "export.shard_size=5", "export.val=0", "export.test=0"]
QUICK += ["dedupe.enabled=false"]
PICTURES = [jpeg(scene(23, i)) for i in range(8)]
FURTHER: dict[str, list[Any]] = {
    "similarity": [0.25 + i / 64 for i in range(8)],
    "licence": ["cc0", None] * 4,
    "page_url": [f"http://p/{i}" for i in range(8)],
    "votes": [None, *range(7)],
    "big": pa.array([2**64 - 1] * 8, pa.uint64()),
    "sound": [True, False] * 4,
    "caption": [f"not the text {i}" for i in range(8)],
    "sha256 ": ["x"] * 8,
    "a\"b'c": ["quote\" ' \\ \x00 \x1b[0m \u202e \n"] * 8,
    "long": ["x" * 20_000] * 8,
    "embedding": [[0.5] * 4] * 8,
}


def released(root: Path) -> dict[str, dict[str, Any]]:
    """Every released sample's .json by its alt text."""
    tars = sorted((root / "release").glob("*.tar"))
    found = [json.loads(s["json"]) for tar in tars for s in wds.WebDataset(str(tar), shardshuffle=False)]
    return {sample["alt_text"]: sample for sample in found}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of embedded images with many further columns."""
    base = tmp_path_factory.mktemp("hub")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": p, "path": None} for p in PICTURES], kind)
    columns = {"image": images, "text": [f"picture {i}" for i in range(8)], **FURTHER}
    pq.write_table(pa.table(columns), base / "train.parquet", row_group_size=3)
    refine(str(base / "root"), str(base / "train.parquet"), QUICK)
    return base / "root"


def test_embedded_images_and_all_further_columns_reach_the_release(first: Path) -> None:
    assert counted(str(first)).kept == 8
    found = released(first)
    for i in range(8):
        sample = found[f"picture {i}"]
        assert sample["caption"] != f"not the text {i}" and len(sample["sha256"]) == 64, "no column takes a key's place"
        source = sample["source"]
        for name in ("similarity", "licence", "page_url", "votes", "sound", "caption", "sha256 ", "a\"b'c"):
            assert source.get(name) == FURTHER[name][i], name
        assert source["big"] == str(2**64 - 1), "readers take integers for 64 bits with a sign"
        assert source["long"].startswith("x" * 10_000) and source["long"].endswith("… (10000 more characters)")
        assert "embedding" not in source and "image" not in source and "text" not in source
    with connect(str(first)) as catalog:
        query = """
            SELECT count(*) FROM samples JOIN source_columns USING (source_file, source_row)
            WHERE fate = 'kept' AND columns->>'page_url' LIKE 'http://p/%' AND (columns->>'similarity')::DOUBLE < 1"""
        assert catalog.execute(query).fetchone() == (8,)


def test_the_card_declares_the_types_of_further_columns(first: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(first / "release"), split="train", cache_dir=str(tmp_path))
    types = {name: feature.dtype for name, feature in loaded.features["json"]["source"].items()}
    wanted = {"similarity": "float64", "votes": "int64", "sound": "bool", "licence": "string", "big": "string"}
    assert wanted.items() <= types.items()
    by_text = {row["alt_text"]: row["source"] for row in loaded["json"]}
    for i in range(8):
        for name in wanted.keys() - {"big"}:
            assert by_text[f"picture {i}"][name] == FURTHER[name][i]


def test_the_card_says_where_the_images_come_from(first: Path) -> None:
    for name in ("README.md", "croissant.json"):
        text = (first / "release" / name).read_text()
        assert "image-text pairs from local files" in text and "from the web" not in text
        assert "Refined image-text pairs" in text and "LAION" not in text, "what it is called claims no source"
    card = (first / "release" / "README.md").read_text()
    assert "\n# Refined image-text pairs\n" in card and "They come from `train.parquet`." in card


def test_columns_are_kept_by_name_and_pattern(first: Path, tmp_path: Path) -> None:
    keep = 'source.keep_columns=["page_*", "VOTES", "embedding"]'
    refine(str(tmp_path / "root"), str(first.parent / "train.parquet"), [*QUICK, keep])
    found = released(tmp_path / "root")
    assert found["picture 3"]["source"] == {"page_url": "http://p/3", "votes": 2, "embedding": "[0.5, 0.5, 0.5, 0.5]"}


@pytest.mark.parametrize("spec", ["", "release", "release/*.tar"])
def test_a_release_is_a_source_with_the_same_samples(spec: str, first: Path, tmp_path: Path) -> None:
    """Alt texts, ids and further columns stay; the captions of the first release are further columns of the second."""
    refine(str(tmp_path / "second"), f"{first}/{spec}" if spec else str(first), QUICK)
    before, after = released(first), released(tmp_path / "second")
    assert before.keys() == after.keys()
    for text, sample in before.items():
        assert after[text]["sample_id"] == sample["sample_id"]
        assert after[text]["sha256"] == sample["sha256"]
        assert after[text]["source"]["page_url"] == sample["source"]["page_url"]
        assert after[text]["source"]["model"] == sample["model"]


def test_names_of_pictures_travel_and_texts_end_without_their_line_end(tmp_path: Path) -> None:
    source = tmp_path / "pictures"
    (source / "sub").mkdir(parents=True)
    for i in range(4):
        (source / "sub" / f"{i}.jpg").write_bytes(PICTURES[i])
        (source / "sub" / f"{i}.txt").write_bytes(f" picture {i}\r\n".encode())
    refine(str(tmp_path / "root"), str(source), QUICK)
    found = released(tmp_path / "root")
    assert {text: sample["source"] for text, sample in found.items()} == {
        f"picture {i}": {"file_name": f"sub/{i}.jpg"} for i in range(4)
    }
    # The id is that of the text as it was found, as in roots that were made before.
    shas = {f"picture {i}": hashlib.sha256(PICTURES[i]).hexdigest() for i in range(4)}
    assert {t: s["sample_id"] for t, s in found.items()} == {
        text: sample_id(content_url(sha), f" {text}\r\n") for text, sha in shas.items()
    }


def test_a_root_that_is_older_than_the_keys_stays_as_it_was(first: Path, tmp_path: Path) -> None:
    source = tmp_path / "pictures"
    source.mkdir()
    for i in range(4):
        (source / f"{i}.jpg").write_bytes(PICTURES[i])
        (source / f"{i}.txt").write_text(f"picture {i}\n")
    former = ["source.keep_columns=[]", "source.tidy_sidecars=false"]
    root = tmp_path / "root"
    refine(str(root), str(source), [*QUICK, *former])
    before = fingerprint(Store(str(root)), *RESULT)
    recipe = from_toml(RefineLaion, (root / "recipe.toml").read_bytes(), "root")
    data = recipe.model_dump(mode="json", exclude_none=True)
    for key in ("keep_columns", "tidy_sidecars", "columns", "image_folder"):
        del data["source"][key]
    (root / "recipe.toml").write_bytes(tomli_w.dumps(data).encode())
    for settings in ((), ("caption.batch=8",)):
        outcomes = refine(str(root), str(source), settings)
        assert [o for o in outcomes if o.status != "skipped"] == []
    assert fingerprint(Store(str(root)), *RESULT) == before
    assert released(root).keys() == {f"picture {i}\n" for i in range(4)}
    assert all("source" not in sample for sample in released(root).values())
