"""A release of images of given sizes, written by hand: tars of PNG or JPEG, and the metadata that a loader reads."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
    kinds: Sequence[str] = (),
) -> str:
    """The URL of a root whose tars have images of these sizes (width, height); sample k of tar n is ``n-k``.

    ``kinds`` are further captions that each of them has.
    """
    release = folder / "release"
    (release / "metadata").mkdir(parents=True)
    for number, of_tar in enumerate(sizes):
        with tarfile.open(release / f"train-{number:06d}.tar", "w") as tar:
            for at, (width, height) in enumerate(of_tar):
                name = f"{number}-{at}"
                told: dict[str, Any] = {
                    "sample_id": name,
                    "caption": f"a {name}",
                    "caption_kind": "dense",
                    "alt_text": "",
                }
                _add(tar, f"{name}.{extension}", paint(width, height, 1000 * number + at))
                _add(tar, f"{name}.txt", f"a {name}".encode())
                captions = {kind: f"{kind} words of {name}" for kind in kinds}
                told |= {"alt_text": "", "captions": captions, "width": width, "height": height}
                _add(tar, f"{name}.json", json.dumps(told).encode())
        if metadata:
            columns = {"width": [w for w, _ in of_tar], "height": [h for _, h in of_tar]}
            pq.write_table(pa.table(columns), release / "metadata" / f"train-{number:06d}.parquet")
    write_sums(release)
    return str(folder)


def write_sums(release: Path) -> None:
    """The release's SHA256SUMS, of the tars that there are."""
    sums = (f"{hashlib.sha256(tar.read_bytes()).hexdigest()}  {tar.name}\n" for tar in sorted(release.glob("*.tar")))
    (release / "SHA256SUMS").write_text("".join(sums))


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
