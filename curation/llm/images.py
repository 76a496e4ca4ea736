"""A shard's pixels on their way into requests."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from PIL import Image

from curation.errors import StoreError
from curation.store import Store


class ShardImages:
    """Reads images of one shard's tar by offset and size; opens it at the first read.

    On an object store the tar is fetched once, whole: a request an image would starve the model.
    """

    def __init__(self, store: Store, shard: str) -> None:
        self._store = store
        self._name = store.images_file(shard)
        self._file: BinaryIO | None = None
        self._folder: Path | None = None

    def read(self, offset: int, size: int) -> bytes:
        """The bytes of an image. Raises ``StoreError`` when the tar is not there or too short."""
        path = self._store.path(self._name)
        try:
            if self._file is None:
                self._file = self._open(path)
            self._file.seek(offset)
            data = self._file.read(size)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error}") from error
        if len(data) < size:
            raise StoreError(
                f"{path} ends before byte {offset + size}; delete it and its manifest entry, and run again"
            )
        return data

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, path: str) -> BinaryIO:
        if self._store.is_local:
            return Path(path).open("rb")
        self._folder = Path(tempfile.mkdtemp(prefix="lapidary-images-"))
        local = self._folder / "images.tar"
        self._store.filesystem.get_file(path, str(local))
        return local.open("rb")


def fit(data: bytes, side: int) -> bytes:
    """The image with its longer side brought down to ``side`` pixels, as JPEG; untouched when it fits, or
    when it is no image (the model then says so). ``side`` 0 leaves every image as it is.
    """
    if side == 0:
        return data
    try:
        with Image.open(io.BytesIO(data)) as image:
            if max(image.size) <= side:
                return data
            scale = side / max(image.size)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image.draft("RGB", size)  # a JPEG decodes at the smallest scale that still is large enough
            small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    except (OSError, ValueError, Image.DecompressionBombError):
        return data
    out = io.BytesIO()
    small.save(out, "JPEG", quality=95)
    return out.getvalue()
