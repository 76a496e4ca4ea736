"""Read back by a reader of its own, written from how streaming's MDS reader finds a sample in a shard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.exports import mds
from tests.support.exported import exported, release, samples

DECODERS: dict[str, Any] = {
    "str": lambda data: data.decode(),
    "bytes": lambda data: data,
    "int": lambda data: int(np.frombuffer(data, "<i8")[0]),
}


def read(split: Path) -> Iterator[dict[str, Any]]:
    """The samples of an index by random access, the last of each shard first."""
    index = json.loads((split / "index.json").read_text())
    assert index["version"] == 2
    for shard in index["shards"]:
        assert (shard["version"], shard["format"], shard["compression"]) == (2, "mds", None)
        data = (split / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        assert int(np.frombuffer(data[:4], "<u4")[0]) == shard["samples"]
        for number in reversed(range(shard["samples"])):
            begin, end = np.frombuffer(data[4 * (1 + number) : 4 * (3 + number)], "<u4")
            yield _sample(data[begin:end], shard)


def _sample(data: bytes, shard: dict[str, Any]) -> dict[str, Any]:
    assert shard["column_names"] == sorted(shard["column_names"])
    sizes, at = [], 0
    for size in shard["column_sizes"]:
        if size is None:
            sizes.append(int(np.frombuffer(data[at : at + 4], "<u4")[0]))
            at += 4
        else:
            sizes.append(size)
    found = {}
    for name, encoding, size in zip(shard["column_names"], shard["column_encodings"], sizes, strict=True):
        found[name] = DECODERS[encoding](data[at : at + size])
        at += size
    assert at == len(data)
    return found


def test_every_sample_is_found_by_its_place(tmp_path: Path) -> None:
    root, out = release(tmp_path / "root"), tmp_path / "out"
    exported(root, "mds", out)
    wanted = samples(root)
    found = {row["sample_id"]: row for row in read(out / "train")}
    assert found.keys() == wanted.keys()
    for name, sample in wanted.items():
        told = (sample.image, sample.caption, sample.kind, sample.width, sample.height)
        row = found[name]
        assert (row["image"], row["caption"], row["caption_kind"], row["width"], row["height"]) == told


def test_shards_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, most = release(tmp_path / "root"), 40_000
    monkeypatch.setattr(mds, "_SHARD_BYTES", most)
    exported(root, "mds", tmp_path / "out")
    shards = json.loads((tmp_path / "out/train/index.json").read_text())["shards"]
    assert len(shards) > 3 and all(shard["raw_data"]["bytes"] <= most for shard in shards)
    assert {row["sample_id"] for row in read(tmp_path / "out/train")} == set(samples(root))
