"""A release of images of given sizes, written by hand: tars of PNG or JPEG, and the metadata that a loader reads."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Paint = Callable[[int, int, int], bytes]
"""The file of an image, by width, height and a number."""


def noise(width: int, height: int, number: int) -> bytes:
    """A PNG."""
    sink = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def plain_release(
    folder: Path,
    sizes: Sequence[Sequence[tuple[int, int]]],
    paint: Paint = noise,
    *,
    extension: str = "png",
    metadata: bool = True,
) -> str:
    """The URL of a root whose tars have images of these sizes (width, height); sample k of tar n is ``n-k``."""
    release = folder / "release"
    (release / "metadata").mkdir(parents=True)
    for number, of_tar in enumerate(sizes):
        with tarfile.open(release / f"train-{number:06d}.tar", "w") as tar:
            for at, (width, height) in enumerate(of_tar):
                name = f"{number}-{at}"
                told = {"sample_id": name, "caption": f"a {name}", "caption_kind": "dense", "alt_text": ""}
                _add(tar, f"{name}.{extension}", paint(width, height, 1000 * number + at))
                _add(tar, f"{name}.txt", f"a {name}".encode())
                _add(
                    tar, f"{name}.json", json.dumps(told | {"captions": {}, "width": width, "height": height}).encode()
                )
        if metadata:
            columns = {"width": [w for w, _ in of_tar], "height": [h for _, h in of_tar]}
            pq.write_table(pa.table(columns), release / "metadata" / f"train-{number:06d}.parquet")
    return str(folder)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
