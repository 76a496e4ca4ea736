"""Writes release shards: image (``.jpg``, ``.webp``, ``.png``), ``.txt`` and ``.json`` of each sample, and metadata."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice, repeat
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import pyarrow as pa
import pyarrow.parquet as pq

from curation.core.errors import LapidaryError, StoreError
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.core.tar import TarWriter
from curation.images.reading import ImageReader, open_images
from curation.images.sniff import extension
from curation.release.face_blur import KEY, Blur, FaceBlur
from curation.release.members import annotation_bytes, metadata_table
from schemas.arrow import Record, rows_of, table_of
from schemas.recipe import Download, ReleaseForm
from schemas.records import Placement, Released

_OPEN_TARS = 64
_AHEAD = 16  # images in flight between reading and writing


@dataclass(frozen=True)
class ExportStage:
    """One release shard from one shard of placements; every image's sha256 is verified on the way.

    Without ``images`` the tars hold annotations and urls only. With ``blur`` a picture that shows faces is encoded anew
    without them, and its sha256 and size are those of what is released; its pHash stays that of the stored one.
    """

    name: ClassVar[str] = "export"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Placement,)
    writes: ClassVar[type[Record]] = Released

    images: bool = True
    blur: FaceBlur | None = setting(None, digest=True, later=True)
    resources: Resources = setting(Resources(), digest=False)

    @classmethod
    def of(cls, form: ReleaseForm, download: Download) -> Self:
        """The export of a recipe."""
        return cls(form.images, FaceBlur.of(form, download))

    @property
    def adds(self) -> tuple[object, ...]:
        """What declares the keys that it adds to a sample's .json."""
        return () if self.blur is None else (self.blur,)

    def ready(self, store: Store | None) -> Self:
        """Raises ``ModelError`` where faces are to be blurred and nothing is installed that finds them."""
        return self if self.blur is None else replace(self, blur=self.blur.ready())

    @contextmanager
    def open(self) -> Iterator[Work]:
        with _Pixels() as pixels, self.blur.open() if self.blur is not None else nullcontext() as blur:
            yield lambda shard: self._export(shard, pixels, blur)

    def _export(self, shard: Shard, pixels: _Pixels, blur: Blur | None) -> pa.Table:
        placements = shard.read(Placement)
        samples = list(rows_of(Placement, placements))
        shard.rows_in = len(samples)
        path = shard.scratch(f"release/{shard.name}.tar")
        try:
            sha256, offsets, sizes = self._write(path, shard.store, samples, pixels, blur)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        shard.publish(f"release/{shard.name}.tar", path, sha256)
        if blur is not None:
            placements = table_of(Placement, samples)
        path = shard.scratch(f"release/metadata/{shard.name}.parquet")
        pq.write_table(metadata_table(placements, offsets, sizes), path, compression="zstd")
        shard.publish(f"release/metadata/{shard.name}.parquet", path)
        return table_of(
            Released,
            [
                Released(s.sample_id, s.split, shard.name, offset, size)
                for s, offset, size in zip(samples, offsets, sizes, strict=True)
            ],
        )

    def _write(
        self, path: Path, store: Store, samples: list[Placement], pixels: _Pixels, blur: Blur | None
    ) -> tuple[str, list[int], list[int]]:
        """Writes the tar; returns its sha256, and each image's offset in it and size.

        With ``blur`` the samples become those of the pictures that are released.
        """
        images: Iterable[bytes | None] = pixels.stream(store, samples) if self.images else repeat(None)
        offsets, sizes = [], []
        with TarWriter(path, hashed=True) as tar:
            for at, image in enumerate(islice(images, len(samples))):
                if blur is not None and image is not None:
                    samples[at], image = _without_faces(samples[at], image, blur)
                sample = samples[at]
                offsets.append(0 if image is None else tar.add(f"{sample.sample_id}.{extension(image)}", image))
                sizes.append(0 if image is None else len(image))
                tar.add(f"{sample.sample_id}.txt", sample.caption.encode())
                tar.add(f"{sample.sample_id}.json", annotation_bytes(sample))
        return tar.sha256, offsets, sizes


def _without_faces(sample: Placement, image: bytes, blur: Blur) -> tuple[Placement, bytes]:
    data, faces = blur(image)
    annotations = json.dumps(json.loads(sample.annotations) | {KEY: faces}, ensure_ascii=False)
    sha256 = hashlib.sha256(data).hexdigest() if faces else sample.sha256
    return replace(sample, annotations=annotations, sha256=sha256, size=len(data)), data


class _Pixels:
    """Reads and verifies images a few ahead of the writer; keeps the tars that it reads from open, within bounds."""

    def __init__(self) -> None:
        self._readers: OrderedDict[tuple[str, str], ImageReader] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="export-pixels")

    def stream(self, store: Store, samples: Sequence[Placement]) -> Iterator[bytes]:
        """The samples' images in order. Raises ``LapidaryError`` naming the file where the pixels are others."""
        ahead: deque[Future[bytes]] = deque()
        try:
            for sample in samples:
                ahead.append(self._thread.submit(self._read, store, sample))
                if len(ahead) > _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

    def _read(self, store: Store, sample: Placement) -> bytes:
        try:
            data = self._reader(store, sample.source_shard)(sample.offset, sample.size)
        except StoreError as error:
            # Pixels that are gone concern the shards that want them, not the run.
            raise LapidaryError(str(error)) from error
        found = hashlib.sha256(data).hexdigest()
        if found != sample.sha256:
            raise LapidaryError(
                f"{store.path(store.images_file(sample.source_shard))} holds other pixels than were placed: "
                f"sha256 {found} instead of {sample.sha256} at byte {sample.offset} (sample {sample.sample_id}). "
                f"Restore it from a copy, or {store.how_to_redo('images', sample.source_shard)} and run again to redo "
                "that shard"
            )
        return data

    def _reader(self, store: Store, shard: str) -> ImageReader:
        key = (store.url, shard)
        if key not in self._readers:
            self._readers[key] = open_images(store, shard)
            if len(self._readers) > _OPEN_TARS:
                self._readers.popitem(last=False)[1].close()
        self._readers.move_to_end(key)
        return self._readers[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)
        for reader in self._readers.values():
            reader.close()
