"""Writes small source files in every dialect, as the public lists have them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Item:
    """What a test wants a source row to say; each dialect says as much of it as it can."""

    url: str | None
    text: str | None
    width: int | None = 640
    height: int | None = 480
    similarity: float | None = 0.3
    aesthetic: float | None = 6.0
    punsafe: float | None = 0.01
    pwatermark: float | None = 0.02


def items(count: int, start: int = 0) -> list[Item]:
    """Distinct rows that pass the default filters."""
    return [Item(f"http://example.com/{i}.jpg", f"a picture of thing number {i}") for i in range(start, start + count)]


def _laion_400m(rows: Sequence[Item]) -> dict[str, Any]:
    return {
        "SAMPLE_ID": pa.array(range(len(rows)), pa.int64()),
        "URL": _strings(r.url for r in rows),
        "TEXT": _strings(r.text for r in rows),
        "HEIGHT": pa.array([r.height for r in rows], pa.int32()),
        "WIDTH": pa.array([r.width for r in rows], pa.int32()),
        "LICENSE": _strings("?" for _ in rows),
        "NSFW": _strings(("UNLIKELY", "UNSURE", "NSFW")[i % 3] for i in range(len(rows))),
        "similarity": pa.array([r.similarity for r in rows], pa.float64()),
    }


def _laion_2b(rows: Sequence[Item]) -> dict[str, Any]:
    return {
        "URL": _strings(r.url for r in rows),
        "TEXT": _strings(r.text for r in rows),
        "WIDTH": pa.array([r.width for r in rows], pa.int64()),
        "HEIGHT": pa.array([r.height for r in rows], pa.int64()),
        "similarity": pa.array([r.similarity for r in rows], pa.float64()),
        "hash": pa.array([hash((r.url, r.text)) for r in rows], pa.int64()),
        "punsafe": pa.array([r.punsafe for r in rows], pa.float32()),
        "pwatermark": pa.array([r.pwatermark for r in rows], pa.float32()),
    }


def _laion_aesthetics(rows: Sequence[Item]) -> dict[str, Any]:
    columns = _laion_2b(rows)
    # The derivative with float sizes, where an unknown one is NaN.
    columns["WIDTH"] = pa.array([float("nan") if r.width is None else float(r.width) for r in rows], pa.float64())
    columns["HEIGHT"] = pa.array([float("nan") if r.height is None else float(r.height) for r in rows], pa.float64())
    columns["AESTHETIC_SCORE"] = pa.array([r.aesthetic for r in rows], pa.float32())
    return columns


def _re_laion(rows: Sequence[Item]) -> dict[str, Any]:
    return {
        "url": _strings(r.url for r in rows),
        "caption": _strings(r.text for r in rows),
        "similarity": pa.array([r.similarity for r in rows], pa.float64()),
        "width": pa.array([r.width for r in rows], pa.int64()),
        "height": pa.array([r.height for r in rows], pa.int64()),
        "status": _strings("success" for _ in rows),
        "key": pa.array(range(len(rows)), pa.int64()),
        "punsafe": pa.array([r.punsafe for r in rows], pa.float64()),
        "pwatermark": pa.array([r.pwatermark for r in rows], pa.float64()),
    }


def _datacomp(rows: Sequence[Item]) -> dict[str, Any]:
    return {
        "uid": _strings(f"{i:032x}" for i in range(len(rows))),
        "url": _strings(r.url for r in rows),
        "text": _strings(r.text for r in rows),
        "original_width": pa.array([r.width for r in rows], pa.int64()),
        "original_height": pa.array([r.height for r in rows], pa.int64()),
        "clip_b32_similarity_score": pa.array([r.similarity for r in rows], pa.float32()),
        "clip_l14_similarity_score": pa.array([0.11] * len(rows), pa.float32()),
        "face_bboxes": pa.array([[[0.1, 0.2, 0.3, 0.4]]] * len(rows), pa.list_(pa.list_(pa.float64()))),
        "sha256": _strings(f"{i:064x}" for i in range(len(rows))),
    }


def _coyo(rows: Sequence[Item]) -> dict[str, Any]:
    return {
        "id": pa.array(range(len(rows)), pa.int64()),
        "url": _strings(r.url for r in rows),
        "text": _strings(r.text for r in rows),
        "width": pa.array([r.width for r in rows], pa.int32()),
        "height": pa.array([r.height for r in rows], pa.int32()),
        "image_phash": _strings("a" * 16 for _ in rows),
        "text_length": pa.array([len(r.text or "") for r in rows], pa.int32()),
        "word_count": pa.array([len((r.text or "").split()) for r in rows], pa.int32()),
        "num_tokens_bert": pa.array([9] * len(rows), pa.int32()),
        "num_faces": pa.array([0] * len(rows), pa.int32()),
        "clip_similarity_vitb32": pa.array([r.similarity for r in rows], pa.float32()),
        "clip_similarity_vitl14": pa.array([0.11] * len(rows), pa.float32()),
        "nsfw_score_opennsfw2": pa.array([r.punsafe for r in rows], pa.float32()),
        "nsfw_score_gantman": pa.array([0.9] * len(rows), pa.float32()),
        "watermark_score": pa.array([r.pwatermark for r in rows], pa.float32()),
        "aesthetic_score_laion_v2": pa.array([r.aesthetic for r in rows], pa.float32()),
    }


def _img2dataset(rows: Sequence[Item]) -> dict[str, Any]:
    return {
        "url": _strings(r.url for r in rows),
        "caption": _strings(r.text for r in rows),
        "key": _strings(f"{i:09d}" for i in range(len(rows))),
        "status": _strings("success" for _ in rows),
        "error_message": pa.nulls(len(rows), pa.string()),
        "width": pa.array([256] * len(rows), pa.int64()),
        "height": pa.array([256] * len(rows), pa.int64()),
        "original_width": pa.array([r.width for r in rows], pa.int64()),
        "original_height": pa.array([r.height for r in rows], pa.int64()),
        "exif": _strings("{}" for _ in rows),
        "sha256": _strings(f"{i:064x}" for i in range(len(rows))),
    }


DIALECTS: dict[str, Callable[[Sequence[Item]], dict[str, Any]]] = {
    "laion-400m": _laion_400m,
    "laion-2b": _laion_2b,
    "laion-aesthetics": _laion_aesthetics,
    "re-laion": _re_laion,
    "datacomp": _datacomp,
    "coyo-700m": _coyo,
    "img2dataset": _img2dataset,
}


def write_parquet(path: Path, rows: Sequence[Item], dialect: str = "laion-2b", group: int = 1 << 20) -> Path:
    """A Parquet list in a dialect, in row groups of ``group`` rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(DIALECTS[dialect](rows)), path, row_group_size=group)
    return path


def write_cc12m(path: Path, rows: Sequence[Item]) -> Path:
    """A headerless TSV of url and caption, nothing quoted."""
    lines = (f"{r.url}\t{r.text}\n" for r in rows)
    path.write_bytes("".join(lines).encode())
    return path


def write_tar(path: Path, members: Sequence[tuple[str, bytes] | tarfile.TarInfo]) -> Path:
    """A tar of these members in this order; a TarInfo alone stands for a link, device or folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return path


def img2dataset_members(rows: Sequence[Item], pixels: Callable[[int], bytes]) -> list[tuple[str, bytes]]:
    """The members that img2dataset's WebDataset writer gives each sample."""
    members = []
    for i, row in enumerate(rows):
        key = f"{i:09d}"
        fields: Mapping[str, Any] = {"caption": row.text, "url": row.url, "key": key, "status": "success", "width": 256}
        members += [
            (f"{key}.jpg", pixels(i)),
            (f"{key}.json", json.dumps(fields).encode()),
            (f"{key}.txt", (row.text or "").encode()),
        ]
    return members


def _strings(values: Any) -> pa.Array:
    return pa.array(list(values), pa.string())
