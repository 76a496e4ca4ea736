"""Read back by webshart itself: every sample at random, by its index, and in buckets without a look at the images."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
import webshart

from curation.core.errors import RootError
from curation.exports.form import Settings
from tests.support.exported import SETTINGS, exported, release, samples
from tests.support.plain_release import write_sums


def test_webshart_reads_every_sample_with_its_caption(tmp_path: Path) -> None:
    root, out = release(tmp_path / "root"), tmp_path / "out"
    exported(root, "webshart", out)
    wanted = samples(root)
    found = webshart.discover_dataset(source=str(out / "train"))
    loader = webshart.TarDataLoader(found)
    seen = {}
    for shard in range(found.num_shards):
        for number in reversed(range(found.get_shard_sample_count(shard))):
            entry = loader.load_sample(shard, number)
            seen[Path(entry.path).stem] = (bytes(entry.data), entry.captions)
    assert seen == {name: (s.image, s.caption) for name, s in wanted.items()}
    buckets = loader.list_shard_sample_aspect_buckets([0, 1, 2], key="geometry-tuple")
    sizes = [item["filename"] for shard in buckets for entries in shard["buckets"].values() for item in entries]
    assert sorted(Path(name).stem for name in sizes) == sorted(wanted)


def test_tars_are_the_releases_own_and_links_are_the_same_file(tmp_path: Path) -> None:
    root = release(tmp_path / "root")
    exported(root, "webshart", tmp_path / "copy")
    exported(root, "webshart", tmp_path / "link", dataclasses.replace(SETTINGS, link=True))
    sums = dict(line.split("  ")[::-1] for line in (Path(root) / "release/SHA256SUMS").read_text().splitlines())
    for name, sha256 in sums.items():
        assert hashlib.sha256((tmp_path / "copy/train" / name).read_bytes()).hexdigest() == sha256
        assert (tmp_path / "link/train" / name).samefile(Path(root) / "release" / name)
        index = name.replace(".tar", ".json")
        assert (tmp_path / "link/train" / index).read_bytes() == (tmp_path / "copy/train" / index).read_bytes()


def test_offsets_and_sizes_are_those_of_the_members(tmp_path: Path) -> None:
    root, out = release(tmp_path / "root"), tmp_path / "out"
    exported(root, "webshart", out)
    wanted = samples(root)
    for index in (out / "train").glob("*.json"):
        data = index.with_suffix(".tar").read_bytes()
        for name, told in json.loads(index.read_text())["files"].items():
            part = data[told["offset"] : told["offset"] + told["length"]]
            sample = wanted[Path(name).stem]
            assert part == sample.image if name.endswith(".png") else json.loads(part) == sample.annotation


def test_a_tar_that_is_not_what_its_sum_says_is_refused(tmp_path: Path) -> None:
    root = release(tmp_path / "root")
    sums = Path(root) / "release/SHA256SUMS"
    before = sums.read_text()
    tar = Path(root) / "release/train-000001.tar"
    tar.write_bytes(tar.read_bytes() + b"\0" * 10240)
    write_sums(Path(root) / "release")
    assert sums.read_text() != before
    sums.write_text(before)
    with pytest.raises(RootError, match="as its sums say"):
        exported(root, "webshart", tmp_path / "out", Settings())
