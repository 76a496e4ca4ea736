"""Finds the generated images of prompts: ``<item>_<n>.png``, or grids called ``<item>.png``."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from curation.core.errors import SourceError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
_NUMBERED = re.compile(r"(.+)_(\d{1,9})")


@dataclass(frozen=True, order=True)
class Picture:
    """One generated image of a prompt. ``tile`` is its place in a grid of ``grid`` rows and columns, row by row."""

    item_id: str
    number: int
    path: Path
    tile: int = 0
    grid: int = 1

    def read(self) -> bytes:
        """The image's bytes as they are in the file; of a grid, the tile as PNG. Raises ``SourceError``."""
        try:
            if self.grid == 1:
                return self.path.read_bytes()
            with Image.open(self.path) as image:
                width, height = image.width // self.grid, image.height // self.grid
                row, column = divmod(self.tile, self.grid)
                box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
                out = io.BytesIO()
                image.convert("RGB").crop(box).save(out, "PNG")
                return out.getvalue()
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise SourceError(f"cannot read the image {self.path}: {error}; make it anew or take it away") from error


def find_pictures(folder: Path, items: Collection[str], grid: int) -> tuple[list[Picture], list[str]]:
    """The pictures of these prompts in order, and the names of image files that belong to none.

    Two files that claim one number of a prompt are refused. Raises ``SourceError``, also where there is no folder.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder; name the folder of generated images in --images")
    found: dict[tuple[str, int], Picture] = {}
    strange: list[str] = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and p.is_file()):
        pictures = list(_pictures(path, items, grid))
        if not pictures:
            strange.append(path.name)
        for picture in pictures:
            key = picture.item_id, picture.number
            if key in found:
                raise SourceError(
                    f"{found[key].path.name} and {path.name} are both image {picture.number} of {picture.item_id}; "
                    "take one away"
                )
            found[key] = picture
    return sorted(found.values()), strange


def _pictures(path: Path, items: Collection[str], grid: int) -> Iterator[Picture]:
    if path.stem in items:
        for tile in range(grid * grid):
            yield Picture(path.stem, tile, path, tile, grid)
    elif (m := _NUMBERED.fullmatch(path.stem)) and m[1] in items:
        yield Picture(m[1], int(m[2]), path)
