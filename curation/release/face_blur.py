"""Blurs the faces of released pictures; what the root stores stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import pyarrow as pa

from curation.core.store import Store
from curation.core.verdict import Annotation, Annotations
from schemas.arrays import strings
from schemas.recipe import Download, ReleaseForm

KEY = "faces_blurred"
"""The key of a sample's .json that says how many faces were blurred in its picture."""

Blur = Callable[[bytes], tuple[bytes, int]]
"""The bytes of a picture without its faces, and how many these were; without any, the same bytes."""


@dataclass(frozen=True)
class BlurredFaces:
    """How many faces are blurred in how many of a release's pictures."""

    faces: int = 0
    blurred: int = 0
    pictures: int = 0

    @classmethod
    def of_release(cls, store: Store, files: Iterable[str]) -> Self:
        """Adds up what the metadata say, which are as the .json of each sample; ``files`` are those of ``release/``."""
        counts = [_counted(store.read_parquet(f"release/{n}", ["annotations"])) for n in files if _is_metadata(n)]
        return cls(*(sum(column) for column in zip(*counts, strict=True)))


def _is_metadata(name: str) -> bool:
    return name.startswith("metadata/") and name.endswith(".parquet")


def _counted(metadata: pa.Table) -> tuple[int, int, int]:
    faces = [int(json.loads(told).get(KEY, 0)) for told in strings(metadata["annotations"])]
    return sum(faces), sum(map(bool, faces)), len(faces)


def blurs(form: object) -> bool:
    """Whether a release of this form has blurred faces."""
    return isinstance(form, ReleaseForm) and form.blur_faces and form.images


def faces_section(form: ReleaseForm, found: BlurredFaces) -> str:
    """The card's section on blurred faces; empty where none are."""
    if not blurs(form):
        return ""
    return (
        f"## Faces\n\n{found.faces:,} faces, in {found.blurred:,} of {found.pictures:,} pictures, were found by a "
        f"detector (MTCNN) and are blurred in this release; `{KEY}` in each `.json` says how many. It finds upright "
        "faces of 24 pixels and more, seen from the front or half from the side; others are still to be seen. `phash` "
        "is that of the picture before."
    )


@dataclass(frozen=True)
class FaceBlur:
    """How faces are found and what a picture is encoded as once they are blurred; in the digest of the export."""

    version: int = 1  # raise it when the same faces give other pixels
    download: tuple[tuple[str, Any], ...] = ()
    weights: str = ""  # which; ``ready`` fills it in

    annotations: ClassVar[Annotations] = Annotations("", (), (Annotation(KEY, "", pa.int64()),))

    @classmethod
    def of(cls, form: ReleaseForm, download: Download) -> Self | None:
        """That of a recipe; None where nothing is blurred."""
        if not blurs(form):
            return None
        return cls(download=tuple((key, getattr(download, key)) for key in ("format", "quality", "chroma")))

    def ready(self) -> Self:
        """Raises ``ModelError`` where the extra is not installed."""
        from curation.scores.models.face_finder import weights

        return replace(self, weights=weights("export.blur_faces", "set it to false"))

    @contextmanager
    def open(self) -> Iterator[Blur]:
        import cv2
        import numpy as np

        from curation.images.blur import blurred
        from curation.images.encode import encode
        from curation.images.quiet import quiet_decoders, single_threaded_opencv
        from curation.scores.models.face_finder import FaceFinder

        settings, finder = Download.model_validate(dict(self.download)), FaceFinder()

        def blur(data: bytes) -> tuple[bytes, int]:
            flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
            if pixels is None:
                raise RuntimeError("a stored picture cannot be decoded, so that its faces cannot be found")
            boxes = finder.find(np.asarray(pixels, np.uint8))
            return (encode(blurred(np.asarray(pixels, np.uint8), boxes), settings), len(boxes)) if boxes else (data, 0)

        with single_threaded_opencv(), quiet_decoders():
            yield blur
