"""Read back as SimpleTuner's Parquet backend does: the whole file by pandas, rows by a name relative to the folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd

from tests.support.exported import SETTINGS, exported, release, samples


def test_every_image_of_the_backend_has_its_row(tmp_path: Path) -> None:
    root, out = release(tmp_path / "root"), tmp_path / "out"
    exported(root, "simpletuner", out, dataclasses.replace(SETTINGS, seen_as=str(out)))
    images, texts = json.loads((out / "multidatabackend.json").read_text())
    assert (texts["dataset_type"], texts["default"]) == ("text_embeds", True)
    assert (images["caption_strategy"], images["metadata_backend"]) == ("parquet", "parquet")
    told = images["parquet"]
    table = pd.read_parquet(told["path"], engine="pyarrow").set_index(told["filename_column"])
    folder = Path(images["instance_data_dir"])
    found = sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".jpg", ".webp"))
    wanted = samples(root)
    assert len(found) == len(table) == len(wanted)
    for file in found:
        assert told["identifier_includes_extension"]
        row = table.loc[str(file).replace(str(folder), "").lstrip("/")]
        sample = wanted[file.stem]
        assert file.read_bytes() == sample.image
        assert row[told["caption_column"]] == sample.caption
        assert (row[told["width_column"]], row[told["height_column"]]) == (sample.width, sample.height)
    assert (images["resolution"], images["resolution_type"]) == (64, "pixel_area")
