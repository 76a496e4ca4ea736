"""Images in any format that the recipe names travel from source to training, and whoever reads them knows them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import datasets
import mlcroissant
import numpy as np
import pytest
import webdataset as wds
from PIL import Image

from curation.core.store import Store
from curation.demo.render import jpeg, render
from curation.demo.world import scene
from curation.images.reading import open_images
from curation.load.loader import load
from schemas.arrow import rows_of
from schemas.recipe import Download
from schemas.records import ImageRow
from tests.support.runs import counted, refine

SETTINGS = ["caption.backend=scripted", "export.val=0", "export.test=0", "download.min_side=1", "download.size=128"]
FORMATS = {"jpeg": ("jpg", "JPEG"), "webp": ("webp", "WEBP"), "png": ("png", "PNG")}
COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several formats with their captions beside them."""
    base = tmp_path_factory.mktemp("pictures")
    for i in range(COUNT):
        path = base / f"{i}.{['jpg', 'png', 'webp'][i % 3]}"
        if path.suffix == ".jpg":
            path.write_bytes(jpeg(scene(29, i)))
        else:
            Image.fromarray(render(scene(29, i))).save(path, **({"quality": 95} if path.suffix == ".webp" else {}))
        path.with_suffix(".txt").write_text(f"picture {i}")
    return base


@pytest.fixture(scope="module", params=FORMATS)
def root(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The format and a finished root in it."""
    path = tmp_path_factory.mktemp("formats") / request.param
    refine(str(path), str(folder), [*SETTINGS, f"download.format={request.param}"])
    assert counted(str(path)).kept == COUNT
    return request.param, path


def test_the_tars_of_images_and_of_the_release_name_the_format(root: tuple[str, Path]) -> None:
    extension, kind = FORMATS[root[0]]
    for folder in ("images", "release"):
        for path in (root[1] / folder).glob("*.tar"):
            with tarfile.open(path) as tar:
                images = [m for m in tar.getmembers() if not m.name.endswith((".txt", ".json"))]
                assert images and all(m.name.endswith(f".{extension}") for m in images)
                for member in images:
                    file = tar.extractfile(member)
                    assert file is not None and Image.open(file).format == kind
    store = Store(str(root[1]))
    for shard in store.shards("images"):
        with open_images(store, shard) as read:
            for row in rows_of(ImageRow, store.read_table(ImageRow, shard)):
                assert row.offset is not None and row.size is not None
                seen = Image.open(io.BytesIO(read(row.offset, row.size)))
                assert (seen.format, *seen.size) == (kind, row.width, row.height)


def test_the_loader_webdataset_and_datasets_read_the_images(root: tuple[str, Path], tmp_path: Path) -> None:
    extension, kind = FORMATS[root[0]]
    release = root[1] / "release"
    ours = list(load(str(root[1]), shuffle=0))
    assert len(ours) == COUNT and all(s["image"].size == (s["json"]["width"], s["json"]["height"]) for s in ours)
    files = [Image.open(io.BytesIO(s["image"])) for s in load(str(root[1]), shuffle=0, decode="bytes")]
    assert {f.format for f in files} == {kind}
    url = str(release / "train-000000.tar")
    theirs = list(wds.WebDataset(url, shardshuffle=False).decode("pil").to_tuple(extension, "json"))
    assert [np.asarray(image).tolist() for image, _ in theirs] == [np.asarray(s["image"]).tolist() for s in ours]
    rows = datasets.load_dataset(str(release), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows.features[extension] == datasets.Image() and len(rows) == COUNT
    assert {row[extension].size for row in rows} == {s["image"].size for s in ours}


def test_card_and_croissant_describe_the_format(root: tuple[str, Path]) -> None:
    extension, _ = FORMATS[root[0]]
    card = (root[1] / "release/README.md").read_text()
    assert f"<sample_id>.{extension}`" in card and f'to_tuple("{extension}", "txt")' in card
    others = {e for e, _ in FORMATS.values()} - {extension}
    assert not any(f"<sample_id>.{other}" in card or f'"{other}"' in card for other in others)
    described = mlcroissant.Dataset(str(root[1] / "release/croissant.json"))
    assert len(list(described.records("samples"))) == COUNT


def test_a_release_in_any_format_is_a_source_again(root: tuple[str, Path], tmp_path: Path) -> None:
    again = [*SETTINGS, f"download.format={root[0]}", "check.min_words={dense=5}"]
    refine(str(tmp_path / "second"), f"{root[1]}/release/*.tar", again)
    assert counted(str(tmp_path / "second")).kept == COUNT
    first, second = ({s["json"]["sha256"] for s in load(str(r))} for r in (root[1], tmp_path / "second"))
    assert first == second, "an image that fits is the same file again"


def test_a_recipe_without_the_new_keys_has_the_digest_it_had() -> None:
    """Roots that were made before there were formats stay finished."""
    assert not {"format", "chroma"} & Download().deciding().keys()
    assert Download(format="png").deciding()["format"] == "png" and Download(chroma=444).deciding()["chroma"] == 444
    assert json.dumps(Download().deciding()) == json.dumps(Download(format="jpeg", chroma=420).deciding())
