"""Read back by a reader of its own, written from how sd-scripts reads its two styles of data set."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.exported import SETTINGS, exported, release, samples

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@pytest.fixture
def root(tmp_path: Path) -> str:
    return release(tmp_path / "root")


def image_of(folder: str, key: str) -> Path:
    """As sd-scripts finds a key without an ending: any picture of that name in image_dir."""
    (found,) = [Path(folder, key + ending) for ending in ENDINGS if Path(folder, key + ending).exists()]
    return found


def read_fine_tuning(toml: Path) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Each image and its entry, through the dataset TOML, as the fine-tuning style reads them."""
    found = {}
    for dataset in tomllib.loads(toml.read_text())["datasets"]:
        for subset in dataset["subsets"]:
            for key, entry in json.loads(Path(subset["metadata_file"]).read_text("utf-8")).items():
                found[key] = (image_of(subset["image_dir"], key).read_bytes(), entry)
    return found


def read_dreambooth(toml: Path) -> dict[str, tuple[bytes, str]]:
    """Each image and the text beside it, as the DreamBooth style reads them: the first line is the caption."""
    told = tomllib.loads(toml.read_text())
    ending = told["general"]["caption_extension"]
    return {
        image.stem: (image.read_bytes(), image.with_suffix(ending).read_text("utf-8").splitlines()[0])
        for subset in told["datasets"][0]["subsets"]
        for image in sorted(Path(subset["image_dir"]).iterdir())
        if image.suffix in ENDINGS
    }


def test_both_styles_read_every_image_with_its_caption_and_sizes(root: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported(root, "kohya", out, dataclasses.replace(SETTINGS, seen_as=str(out)))
    wanted = samples(root)
    assert read_dreambooth(out / "train.toml") == {k: (s.image, s.line) for k, s in wanted.items()}
    entries = read_fine_tuning(out / "train.toml")
    assert {k: image for k, (image, _) in entries.items()} == {k: s.image for k, s in wanted.items()}
    for name, (_, entry) in entries.items():
        assert entry["caption"] == wanted[name].caption and "tags" not in entry
        assert entry["image_size"] == [wanted[name].width, wanted[name].height]
    resolutions = {tuple(entry["image_size"]): tuple(entry["train_resolution"]) for _, entry in entries.values()}
    assert resolutions == {(96, 48): (80, 48), (40, 80): (48, 80), (64, 64): (64, 64)}


def test_tags_stand_beside_the_caption_that_was_drawn(root: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported(root, "kohya", out, dataclasses.replace(SETTINGS, seen_as=str(out), tags="tags"))
    for name, (_, entry) in read_fine_tuning(out / "train.toml").items():
        assert entry["tags"] == f"tags words of {name}" != entry["caption"]
