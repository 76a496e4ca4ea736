"""Whole runs whose releases have features: of captions, of news, and on Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.core.engines.ray import RayEngine
from curation.core.store import Store
from curation.demo.render import jpeg
from curation.demo.world import scene
from curation.load.loader import load
from curation.sources.discover import open_source
from tests.support.featured import sums_of
from tests.support.news import anchor, newsroom
from tests.support.runs import counted, refine
from tests.support.tiny_encoders import tiny_llama, tiny_t5

QUICK = ["caption.backend=scripted", "source.shard_rows=4", "export.shard_size=5", "export.val=0", "export.test=0"]


def settings() -> list[str]:
    return [*QUICK, f"features.model={tiny_t5()}", 'features.prefix="pre "', 'features.kinds=["dense", "alt_text"]']


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("pictures")
    for i in range(9):
        (base / f"{i}.jpg").write_bytes(jpeg(scene(21, i)))
        (base / f"{i}.txt").write_text(f"picture {i}")
    return base


@pytest.fixture(scope="module")
def root(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("featured") / "root"
    refine(str(made), str(folder), settings())
    return made


def test_every_kind_that_the_loader_draws_has_its_states(root: Path) -> None:
    assert counted(str(root)).kept == 9
    kinds = {}
    for epoch in range(4):
        for sample in load(str(root), captions={"dense": 0.5, "alt_text": 0.5}, epoch=epoch, features="valid"):
            kinds[sample["caption_kind"]] = sample["features"].shape
    assert kinds.keys() == {"dense", "alt_text"} and all(width == 32 for _, width in kinds.values())
    assert "behind the prefix `pre`" in (root / "release/README.md").read_text()


def test_a_second_run_finds_nothing_to_do(root: Path, folder: Path) -> None:
    before = sums_of(Store(str(root)))
    assert {o.status for o in refine(str(root), str(folder), settings())} == {"skipped"}
    assert sums_of(Store(str(root))) == before


def test_a_release_with_features_is_a_source_as_before(root: Path) -> None:
    found = open_source([str(root / "release")])
    assert [file.name for file in found.files] == ["train-000000.tar", "train-000001.tar"] and not found.notes


@pytest.mark.ray
def test_ray_gives_the_same_bytes(root: Path, folder: Path, ray_engine: RayEngine, tmp_path: Path) -> None:
    refine(str(tmp_path / "root"), str(folder), settings(), ray_engine)
    assert sums_of(Store(str(tmp_path / "root"))) == sums_of(Store(str(root)))


def test_news_have_features_of_their_cleaned_captions(tmp_path: Path) -> None:
    source = newsroom(tmp_path / "newsroom")
    anchor(str(tmp_path / "root"), source, [f"features.model={tiny_llama()}", "features.layer=1"])
    samples = list(load(str(tmp_path / "root"), features=True))
    assert samples and all(s["features"].shape == (256, 64) and s["features_mask"].sum() > 3 for s in samples)
    card = (tmp_path / "root/release/README.md").read_text()
    assert "## Features" in card and "| `news` |" in card
    sums = (tmp_path / "root/release/SHA256SUMS").read_text()
    assert "  features/train-000000.safetensors\n" in sums
