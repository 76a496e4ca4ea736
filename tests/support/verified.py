"""What laws of verified runs share: plain pictures with numbered texts, and what a request to a model says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

STATEMENT = re.compile(r"<(?:statement|question)>(.*)</(?:statement|question)>")
CAPTION_GIVEN = re.compile(r"<caption>(.*)</caption>")


def source(folder: Path, pictures: int) -> Path:
    """A new folder of so many pictures, each with a text of its number."""
    folder.mkdir()
    for n in range(pictures):
        small = np.random.default_rng(n).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"p{n:02}.png")
        (folder / f"p{n:02}.txt").write_text(f"picture number {n}")
    return folder


def words(body: dict[str, Any]) -> str:
    """The text of a chat request."""
    return " ".join(p["text"] for m in body["messages"] for p in m["content"] if isinstance(p, dict) and "text" in p)
