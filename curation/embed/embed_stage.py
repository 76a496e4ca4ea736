"""The embed stage: what a CLIP-like model sees in each image that dedupe kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curation.caption.model.chat import UNKNOWN, ModelIdentity
from curation.core.stage import Resources, Shard, Work, setting
from curation.core.store import Store
from curation.images.reading import ImageReader, open_images
from schemas.arrays import Values, strings
from schemas.arrow import Record, schema_of
from schemas.embed import Embed, Embedding
from schemas.records import Duplicate, ImageRow

if TYPE_CHECKING:
    from PIL import Image

    from curation.caption.check.similarity import SimilarityModel
    from curation.core.checkpoints import Device

KEY = "embed"
_PLACE = ("offset", "size")


@dataclass(frozen=True)
class EmbedStage:
    """Writes an ``Embedding`` for every image that dedupe kept, in the order of the images table.

    Batches are cut by row, so that a rerun adds alike. While the model works on a batch, a thread decodes the next.
    Where the recipe's similarity is that of the same checkpoint, it takes the images' side from here: one decode and
    one forward for both.
    """

    name: ClassVar[str] = "embed"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (ImageRow, Duplicate)
    writes: ClassVar[type[Record]] = Embedding

    model: ModelIdentity
    batch: int = 32
    checkpoint: str = setting("", digest=False)  # where it is; ``model`` says which it is
    revision: str = setting("main", digest=False)
    device: Device = setting("auto", digest=False)
    resources: Resources = setting(Resources(), digest=False)

    @classmethod
    def declared(cls, recipe: Embed) -> EmbedStage:
        """The stage before a look at the model; ``ready`` completes it."""
        resources = Resources(gpus=1.0 if recipe.device == "cuda" else 0.0, workers=recipe.workers)
        return cls(UNKNOWN, recipe.batch, recipe.model, recipe.revision, recipe.device, resources)

    @property
    def on(self) -> bool:
        """Whether the recipe names a model."""
        return bool(self.checkpoint)

    def ready(self, store: Store | None) -> EmbedStage:
        """Raises ``ModelError`` for a model that cannot be used."""
        from curation.caption.check.similarity import identify

        return replace(self, model=identify(self.checkpoint, self.revision, KEY))

    @contextmanager
    def open(self) -> Iterator[Work]:
        from curation.caption.check.similarity import SimilarityModel

        model = SimilarityModel(self.checkpoint, self.revision, self.device, key=KEY, half=True)
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="embed") as ahead:
                yield partial(_embed_shard, self, model, ahead)
        finally:
            model.close()


def _embed_shard(stage: EmbedStage, model: SimilarityModel, ahead: ThreadPoolExecutor, shard: Shard) -> pa.Table:
    """The embeddings of one shard, with an open model."""
    duplicates = shard.read(Duplicate)
    kept = duplicates.filter(pc.is_null(duplicates["reason"]))["sample_id"].combine_chunks()
    images = shard.read(ImageRow).select(["sample_id", "offset", "size"])
    there = pc.and_(pc.is_in(images["sample_id"], value_set=kept), pc.is_valid(images["offset"]))
    rows = images.filter(there)
    shard.rows_in = rows.num_rows
    places = [(int(o or 0), int(n or 0)) for o, n in zip(*(rows[c].to_pylist() for c in _PLACE), strict=True)]
    vectors: list[bytes] = []
    with open_images(shard.store, shard.name, whole=True) as read:
        batches = [places[at : at + stage.batch] for at in range(0, len(places), stage.batch)]
        waiting = ahead.submit(_decoded, read, batches[0]) if batches else None
        for number in range(len(batches)):
            assert waiting is not None
            pictures = waiting.result()
            if number + 1 < len(batches):
                waiting = ahead.submit(_decoded, read, batches[number + 1])
            vectors += [row.tobytes() for row in model.embed_pictures(pictures).numpy().astype("<f2")]
    name = f"{stage.model.name}@{stage.model.revision}"
    columns: list[Values] = [
        pa.array(strings(rows["sample_id"])),
        pa.array(vectors, pa.binary()),
        pa.array([name] * len(vectors)),
    ]
    return pa.Table.from_arrays(columns, schema=schema_of(Embedding))


def _decoded(read: ImageReader, places: Sequence[tuple[int, int]]) -> list[Image.Image]:
    from curation.caption.check.similarity import decode

    return [decode(read(offset, size)) for offset, size in places]
