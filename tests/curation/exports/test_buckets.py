"""Read back by webdataset itself, bucket by bucket, as the manifest names the tars."""

from __future__ import annotations

import json
from pathlib import Path

import webdataset as wds

from tests.support.exported import SQUARE, TALL, WIDE, exported, release, samples

BUCKETS = {"48x80": TALL, "64x64": SQUARE, "80x48": WIDE}


def test_each_bucket_has_the_images_of_its_aspect_and_none_is_lost(tmp_path: Path) -> None:
    root, out = release(tmp_path / "root"), tmp_path / "out"
    exported(root, "buckets", out)
    wanted = samples(root)
    manifest = json.loads((out / "manifest.json").read_text())["splits"]["train"]
    assert [bucket["bucket"] for bucket in manifest] == list(BUCKETS)
    seen = []
    for bucket in manifest:
        tars = [f"{out}/{tar['path']}" for tar in bucket["tars"]]
        found = list(wds.WebDataset(tars, shardshuffle=False))
        assert len(found) == bucket["samples"] == sum(tar["samples"] for tar in bucket["tars"])
        for sample in found:
            told, known = json.loads(sample["json"]), wanted[sample["__key__"]]
            assert (told["width"], told["height"]) == BUCKETS[bucket["bucket"]]
            assert told["bucket"] == [bucket["width"], bucket["height"]]
            assert (sample["png"], sample["txt"].decode()) == (known.image, known.caption)
            assert (told["caption"], told["caption_kind"]) == (known.caption, known.kind)
            seen.append(sample["__key__"])
    assert sorted(seen) == sorted(wanted)
    files = {p.relative_to(out).as_posix() for p in out.rglob("*.tar")}
    assert files == {tar["path"] for bucket in manifest for tar in bucket["tars"]}
