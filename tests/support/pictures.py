"""Roots of made-up images whose hashes are chosen: what the dedupe stage's laws are tried on."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, fields

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from curation.core.store import Store
from curation.dedupe.search.colours import COLOUR_WORDS
from curation.dedupe.search.thumbnails import THUMBNAIL_WORDS
from curation.images.chroma import block_colours
from curation.images.thumbnail import thumbnail
from schemas.arrow import R, rows_of, table_of
from schemas.manifest import ShardEntry
from schemas.reasons import Reason
from schemas.records import Colours, Duplicate, ImageRow, SourceRow, Thumbnail
from tests.support.images import natural
from tests.support.recoloured import shirt


@dataclass(frozen=True)
class Picture:
    """An image to be; equal ``phash`` and ``copy`` mean equal bytes."""

    id: str
    phash: int
    side: int = 100
    aesthetic: float | None = None
    copy: int = 0
    missing: bool = False
    look: int | None = None
    colours: bytes | None = None
    thumbnail: bytes | None = None


World = dict[str, list[Picture]]


def source_row(picture: Picture, number: int) -> SourceRow:
    nothing = dict.fromkeys(f.name for f in fields(SourceRow))
    settings = {"sample_id": picture.id, "source_file": "a.parquet", "source_row": number, "alt_text": "a cat"}
    return SourceRow(**{**nothing, **settings, "aesthetic": picture.aesthetic})  # type: ignore[arg-type]


def image_row(picture: Picture) -> ImageRow:
    nothing = dict.fromkeys(f.name for f in fields(ImageRow))
    if picture.missing:
        return ImageRow(**{**nothing, "sample_id": picture.id, "reason": Reason.HTTP_404})  # type: ignore[arg-type]
    sha = hashlib.sha256(f"{picture.phash} {picture.copy}".encode()).hexdigest()
    settings = {"sample_id": picture.id, "sha256": sha, "phash": picture.phash}
    settings["phash256"] = None if picture.look is None else picture.look.to_bytes(32, "big")
    return ImageRow(**{**nothing, **settings, "width": picture.side, "height": picture.side})  # type: ignore[arg-type]


def put(store: Store, record: type[R], shard: str, rows: list[R], pictures: list[Picture] | None = None) -> None:
    """``pictures`` are what the rows of images show: colours and thumbnails are tables beside those."""
    sha, size = store.write_table(record, shard, table_of(record, rows))
    written = {store.table_file(record.table, shard): sha}
    if pictures is not None:
        for look, known in ((Colours, colours_of(pictures)), (Thumbnail, thumbnails_of(pictures))):
            beside = store.table_file(look.table, shard)
            if known:
                written[beside] = store.write_table(look, shard, table_of(look, known))[0]
            else:
                store.remove(beside)
    store.commit(ShardEntry(record.table, shard, "", {}, written, len(rows), len(rows), size, 0.0, "test"))


def build(world: World, store: Store | None = None) -> Store:
    store = store or Store(f"memory://{uuid.uuid4().hex}")
    for shard, pictures in world.items():
        put(store, SourceRow, shard, [source_row(p, n) for n, p in enumerate(pictures)])
        put(store, ImageRow, shard, [image_row(p) for p in pictures], pictures)
    return store


def colours_of(pictures: list[Picture]) -> list[Colours]:
    """None at all for a shard that is older than colours."""
    return [Colours(p.id, p.colours) for p in pictures if p.colours is not None and not p.missing]


def thumbnails_of(pictures: list[Picture]) -> list[Thumbnail]:
    """None at all for a shard that is older than thumbnails."""
    return [Thumbnail(p.id, p.thumbnail) for p in pictures if p.thumbnail is not None and not p.missing]


def search_row(picture: Picture) -> NDArray[np.uint64]:
    """A picture as a search sees it: hashes, colours and thumbnail, zeros for what is not known."""
    look = np.frombuffer((picture.look or 0).to_bytes(32, "big"), np.uint64)
    beside = (picture.colours or bytes(8 * COLOUR_WORDS)) + (picture.thumbnail or bytes(8 * THUMBNAIL_WORDS))
    return np.concatenate([np.array([picture.phash], np.uint64), look, np.frombuffer(beside, np.uint64)])


def decisions(store: Store) -> dict[str, Duplicate]:
    tables = [store.read_table(Duplicate, shard) for shard in sorted(store.entries("duplicates"))]
    return {d.sample_id: d for t in tables for d in rows_of(Duplicate, t)}


def written(store: Store) -> dict[str, bytes]:
    return {s: store.read(store.table_file("duplicates", s)) for s in store.entries("duplicates")}


def pictures_of(world: World) -> dict[str, Picture]:
    return {p.id: p for pictures in world.values() for p in pictures if not p.missing}


def _shirt(colour: tuple[int, int, int]) -> bytes:
    return block_colours(np.asarray(shirt(colour)))


# A red, a blue and a grey one that may be the red one's copy; and a picture without colours.
PALETTE = (_shirt((220, 20, 30)), _shirt((20, 40, 220)), _shirt((80, 80, 80)), None)
_SHOWN = [natural(240, 240, seed=seed) for seed in (1, 2)]
# Two pictures, crops of each, a flat one, and a picture whose thumbnail is not known.
THUMBNAILS = (
    *(thumbnail(np.ascontiguousarray(shown[edge:, edge:])) for shown in _SHOWN for edge in (0, 4, 12)),
    thumbnail(np.full((64, 64, 3), 90, np.uint8)),
    None,
)


@st.composite
def worlds(
    draw: st.DrawFn, prefix: str = "s", looked: bool = False, coloured: bool = False, pictured: bool = False
) -> World:
    """Up to four shards of pictures around three centres, with sizes, scores, copies, looks, colours, thumbnails."""
    # The prefix is part of the seed: two worlds of one root that draw the same number have other ids all the same.
    random = np.random.default_rng([draw(st.integers(0, 2**32)), *prefix.encode()])
    centres = [int(c) for c in np.random.default_rng(5).integers(0, 2**64, 3, dtype=np.uint64)]
    looks = [None, int("5" * 64, 16), int("5" * 60 + "0000", 16)]
    if pictured:
        looks[0] = int("5" * 24 + "a" * 20 + "5" * 20, 16)  # 80 bits from the others: thumbnails have to confirm it
    world: World = {}
    for shard in range(draw(st.integers(0, 4))):
        pictures = []
        for _ in range(draw(st.integers(0, 25))):
            phash = centres[random.integers(3)]
            for bit in random.integers(0, 64, random.integers(0, 6)):
                phash ^= 1 << int(bit)
            score = [None, float("nan"), 1.0, 5.5][random.integers(4)]
            pictures.append(
                Picture(
                    id=random.bytes(16).hex(),
                    phash=phash,
                    side=int(random.choice([64, 128])),
                    aesthetic=score,
                    copy=int(random.integers(2)),
                    missing=bool(random.random() < 0.1),
                    look=looks[random.integers(3)] if looked else None,
                    colours=PALETTE[random.integers(4)] if coloured else None,
                    thumbnail=THUMBNAILS[random.integers(len(THUMBNAILS))] if pictured else None,
                )
            )
        world[f"{prefix}-{shard}"] = pictures
    return world
