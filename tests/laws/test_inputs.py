"""Whole runs on other inputs: collections already on disk, texts by strangers, chained prompts, scores."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset as wds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.catalog import connect
from curation.core.store import Store
from curation.demo.render import jpeg
from curation.demo.world import scene
from schemas.ids import sample_id
from tests.support.runs import RESULT, counted, refine
from tests.support.tiny_clip import make_tiny_clip
from tests.support.toy import fingerprint
from tests.support.web import Reply, Web

QUICK = ["caption.backend=scripted", "source.shard_rows=4", "export.shard_size=5", "export.val=0", "export.test=0"]


def released(root: Path) -> dict[str, dict[str, object]]:
    """Every released sample's .json by its alt text."""
    found: dict[str, dict[str, object]] = {}
    for tar in sorted((root / "release").glob("*.tar")):
        for sample in wds.WebDataset(str(tar), shardshuffle=False):
            fields = json.loads(sample["json"])
            found[fields["alt_text"]] = {**fields, "txt": sample["txt"].decode(), "jpg": sample["jpg"]}
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine pictures in two folders, with .txt or .json beside them."""
    base = tmp_path_factory.mktemp("pictures")
    for i in range(9):
        place = base / ("a" if i < 6 else "b/c")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.jpg").write_bytes(jpeg(scene(21, i)))
        if i % 2:
            (place / f"{i}.txt").write_text(f"picture {i}")
        else:
            (place / f"{i}.json").write_text(json.dumps({"caption": f"picture {i}"}))
    return base


def test_a_folder_of_images_is_refined_without_fetching(folder: Path, tmp_path: Path) -> None:
    refine(str(tmp_path / "root"), str(folder), QUICK)
    assert counted(str(tmp_path / "root")).kept == 9
    found = released(tmp_path / "root")
    assert found.keys() == {f"picture {i}" for i in range(9)}
    for i in range(9):
        assert found[f"picture {i}"]["jpg"] == jpeg(scene(21, i)), "a JPEG that needs no change keeps its bytes"


def test_a_release_can_be_refined_again(folder: Path, tmp_path: Path) -> None:
    """Our own tars are WebDataset shards, and those are a source."""
    refine(str(tmp_path / "first"), str(folder), QUICK)
    refine(str(tmp_path / "second"), f"{tmp_path}/first/release/*.tar", [*QUICK, "check.min_words={dense=5}"])
    assert counted(str(tmp_path / "second")).kept == 9
    first, second = released(tmp_path / "first"), released(tmp_path / "second")
    assert {s["sha256"] for s in second.values()} == {s["sha256"] for s in first.values()}


odd = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.text("\x00\x01\x1b\u200f\u202e\ufeff\u0301/\\..\n\r\t\"'`$<|>", max_size=30),
)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(odd, min_size=1, max_size=6, unique=True))
def test_alt_texts_by_strangers_pass_through_unharmed(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    texts = list(dict.fromkeys([*texts, "x" * 100_000, "../../etc/passwd", "שלום עולם", "a\x00b"]))
    folder = tmp_path_factory.mktemp("texts")
    with Web({f"/{i}.jpg": Reply(jpeg(scene(22, i))) for i in range(len(texts))}) as web:
        urls = [web.url(f"/{i}.jpg") for i in range(len(texts))]
        pq.write_table(pa.table({"url": urls, "text": texts}), folder / "list.parquet")
        host = web.url("/").split("/")[2]
        refine(
            str(folder / "root"),
            f"{folder}/list.parquet",
            [*QUICK, f'download.allow_private_hosts=["{host}"]', "source.max_text_repeats=0", "check.names=ignore"],
        )
    with connect(str(folder / "root")) as catalog:
        rows = catalog.execute("SELECT sample_id, alt_text FROM samples").fetchall()
    assert dict(rows) == {sample_id(u, t): t for u, t in zip(urls, texts, strict=True)}
    found = released(folder / "root")
    assert found.keys() <= set(texts) and len(found) >= len(texts) - 3
    counted(str(folder / "root"))


def test_a_later_prompt_uses_an_earlier_text(folder: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "both.md"
    prompt.write_text("---\nname: both\nversion: 1\nabout: uses short\n---\nExtend: {caption:short}\n\n{alt_text}\n")
    kinds = f'caption.kinds=[{{kind="short", prompt="short", max_tokens=60}}, {{kind="dense", prompt="{prompt}"}}]'
    refine(str(tmp_path / "root"), str(folder), [*QUICK, kinds])
    with connect(str(tmp_path / "root")) as catalog:
        counts = dict(catalog.execute("SELECT kind, count(*) FROM captions GROUP BY kind").fetchall())
    assert counts == {"short": 9, "dense": 9}
    for found in released(tmp_path / "root").values():
        captions = found["captions"]
        assert isinstance(captions, dict) and captions.keys() == {"short", "dense"}
        assert found["txt"] == captions["dense"]


def test_scores_are_a_stage_that_the_recipe_switches_on(folder: Path, tmp_path: Path) -> None:
    make_tiny_clip(tmp_path / "clip")
    scored = [*QUICK, f"scores.model={tmp_path}/clip"]
    refine(str(tmp_path / "root"), str(folder), scored)
    with connect(str(tmp_path / "root")) as catalog:
        scores = catalog.execute(
            "SELECT kind, count(*), min(similarity), max(similarity) FROM scores GROUP BY ALL"
        ).fetchall()
        by_caption = catalog.execute("SELECT similarity FROM scores WHERE kind = 'dense' ORDER BY 1").fetchall()
    assert {kind: n for kind, n, *_ in scores} == {"alt_text": 9, "dense": 9}
    assert all(-1 <= low <= high <= 1 for *_, low, high in scores)
    limit = (by_caption[3][0] + by_caption[4][0]) / 2
    before = fingerprint(Store(str(tmp_path / "root")), "tables/scores", "tables/captions")
    refine(str(tmp_path / "root"), str(folder), [*scored, f"scores.min_caption_similarity={limit}"])
    assert fingerprint(Store(str(tmp_path / "root")), "tables/scores", "tables/captions") == before
    counts = counted(str(tmp_path / "root"))
    assert counts.kept == 5
    with connect(str(tmp_path / "root")) as catalog:
        (reason,) = catalog.execute(
            "SELECT DISTINCT stage || ':' || reason FROM samples WHERE fate = 'rejected'"
        ).fetchall()
    assert reason == ("scores:low_image_text_similarity",)


def test_identical_input_gives_identical_sums(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        refine(str(tmp_path / name), str(folder), QUICK)
    sums = [(tmp_path / name / "release" / "SHA256SUMS").read_bytes() for name in ("one", "two")]
    assert sums[0] == sums[1]
    assert fingerprint(Store(str(tmp_path / "one")), *RESULT) == fingerprint(Store(str(tmp_path / "two")), *RESULT)
