"""Read back by the library datasets itself, which finds the columns' types in the Parquet."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.exports import release as form
from tests.support.exported import MIXED, exported, release, samples


def test_load_dataset_gives_decoded_images_with_their_captions(tmp_path: Path) -> None:
    import datasets

    root, out = release(tmp_path / "root"), tmp_path / "out"
    exported(root, "datasets", out)
    found = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(found.features["image"], datasets.Image)
    wanted = samples(root, MIXED)
    assert len(found) == len(wanted)
    for row in found:
        sample = wanted[row["sample_id"]]
        assert (row["caption"], row["caption_kind"]) == (sample.caption, sample.kind)
        assert row["image"].size == (row["width"], row["height"]) == (sample.width, sample.height)
        assert np.array_equal(np.asarray(row["image"]), np.asarray(Image.open(io.BytesIO(sample.image))))


def test_a_file_on_its_own_still_knows_its_types(tmp_path: Path) -> None:
    import datasets

    exported(release(tmp_path / "root"), "datasets", tmp_path / "out")
    file = tmp_path / "out/data/train-000001.parquet"
    found = datasets.load_dataset(
        "parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"), streaming=True
    )
    assert isinstance(found.features["image"], datasets.Image)
    assert [row["sample_id"] for row in found] == ["1-0", "1-1"]


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = release(tmp_path / "root")
    monkeypatch.setattr(form, "_GROUP", 3)
    exported(root, "datasets", tmp_path / "rows")
    groups = pq.ParquetFile(tmp_path / "rows/data/train-000000.parquet").metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [3, 1]
    monkeypatch.setattr(form, "_GROUP_BYTES", 1)
    exported(root, "datasets", tmp_path / "bytes")
    assert pq.ParquetFile(tmp_path / "bytes/data/train-000000.parquet").metadata.num_row_groups == 4
