"""Data sets for ``flows.dedupe``: folders, tars and roots of rendered scenes; and its command without Prefect."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from curation.core.engines.local import LocalEngine
from curation.core.pipeline import run_reduce, run_segment
from curation.core.store import Store
from curation.demo.near import transformed
from curation.demo.render import render
from curation.demo.world import scene
from curation.fetch.download_stage import DownloadStage
from curation.sources.discover import open_source
from curation.sources.planner import plan
from curation.sources.repeats_stage import RepeatReduce
from flows import dedupe as flow
from schemas.recipe import Download, Source


def jpeg(number: int, change: str | None = None) -> bytes:
    pixels = render(scene(5, number))
    if change:
        return transformed(pixels, change)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=92)
    return out.getvalue()


def folder_of(path: Path, images: dict[str, tuple[bytes, str]]) -> str:
    path.mkdir(parents=True)
    for name, (data, text) in images.items():
        (path / f"{name}.jpg").write_bytes(data)
        (path / f"{name}.txt").write_text(text)
    return str(path)


def tars_of(path: Path, images: dict[str, tuple[bytes, str]]) -> str:
    """One tar as img2dataset writes it, with its Parquet left out and its statistics beside it."""
    path.mkdir(parents=True)
    with tarfile.open(path / "00000.tar", "w") as tar:
        for name, (data, text) in images.items():
            found = json.dumps({"url": f"http://x.example/{name}.jpg", "caption": text, "key": name}).encode()
            for ending, member in (("jpg", data), ("txt", text.encode()), ("json", found)):
                info = tarfile.TarInfo(f"{name}.{ending}")
                info.size = len(member)
                tar.addfile(info, io.BytesIO(member))
    return f"{path}/*.tar"


def root_of(path: Path, source: str) -> str:
    """A root of ours up to its images."""
    store = Store(str(path))
    shards = plan(store, open_source([source]), Source(min_side=1, max_aspect=0), lambda _: None)
    run_reduce(store, RepeatReduce(0), lambda _: None)
    run_segment(store, LocalEngine(), [DownloadStage(Download())], shards, lambda _: None)
    return store.url


def removed(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / "report/removed.csv").read_text())))


def plain_command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command without Prefect's server: steps run one after the other."""

    def plain(**found: object) -> object:
        prepared = flow.prepare(flow.Request(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}))  # type: ignore[arg-type]
        for step in prepared.steps():
            step.run(prepared.store, prepared.engine, lambda _: None)
        return None

    monkeypatch.setattr(flow, "dedupe", plain)
    return lambda *words: flow.main([str(w) for w in (*words, "--engine", "local")])
