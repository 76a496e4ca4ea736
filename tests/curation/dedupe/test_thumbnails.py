"""Thumbnails confirm and refute near duplicates; older roots get them from their stored pixels."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from curation.core.engines.local import LocalEngine
from curation.core.store import Store
from curation.dedupe.decide import rule_for
from curation.dedupe.search.colours import COLOUR_WORDS, LOOK_WORDS
from curation.dedupe.search.kernels import Rule, near
from curation.dedupe.search.thumbnails import CLOSE, LOOSE, YES, of_view, same_picture
from curation.dedupe.thumbnails_stage import ThumbnailStep
from curation.demo.render import encode
from curation.fetch.process_row import HashedRow, publish_looks
from curation.images.thumbnail import THUMBNAIL_BYTES, thumbnail
from schemas.arrow import rows_of
from schemas.manifest import ShardEntry
from schemas.recipe import Dedupe
from schemas.records import ImageRow, Thumbnail
from tests.support import near_photographs as copies
from tests.support.images import natural
from tests.support.keepers import SHARD, root_with_keepers
from tests.support.near_measure import search_rows_of
from tests.support.near_photographs import Pixels, part
from tests.support.photographs import in_wheel

RULE = rule_for(Dedupe())._replace(colours=LOOK_WORDS)


def row(data: bytes, rule: Rule = RULE) -> np.ndarray:
    return search_rows_of([data], rule)[0]


def _digests(store: Store) -> dict[str, str]:
    """What the entry of the table of images vouches for."""
    name = store.table_file(ImageRow.table, SHARD)
    return {name: hashlib.sha256(store.read(name)).hexdigest()}


def words(pixels: Pixels) -> np.ndarray:
    return np.frombuffer(thumbnail(pixels), np.uint64)


def test_a_thumbnail_holds_the_mean_luma_of_each_part_in_either_order_of_channels() -> None:
    pixels = natural(160, 96, seed=4)
    luma = np.round(pixels @ np.array([0.299, 0.587, 0.114])).reshape(16, 6, 16, 10).mean(axis=(1, 3))
    told = np.frombuffer(thumbnail(pixels), np.uint8)
    assert len(told) == THUMBNAIL_BYTES and told[0] == 1 and not told[1:8].any()
    assert np.abs(told[8:].reshape(16, 16) - luma).max() <= 1
    assert thumbnail(np.ascontiguousarray(pixels[:, :, ::-1]), "bgr") == thumbnail(pixels)


@pytest.mark.parametrize("name", [*copies.MEANT, *copies.CENTRED])
def test_copies_of_photographs_are_near_their_originals_whichever_comes_first(name: str) -> None:
    change = {**copies.MEANT, **copies.CENTRED}[name]
    pictures = [copies.shown(p) for p in in_wheel() if p.name in ("chelsea.png", "coffee.png", "rocket.jpg")]
    for pixels in [*pictures, natural(640, 480, seed=11)]:
        original, copy = row(encode(pixels, 92)), row(change(pixels))
        assert near(original, copy, RULE) and near(copy, original, RULE)


@pytest.mark.parametrize("kind", [copies.flat, copies.sky, copies.sand])
@pytest.mark.parametrize("mark", [*copies.WATERMARKS])
def test_smooth_pictures_under_one_watermark_are_not_the_same(kind: object, mark: str) -> None:
    assert callable(kind)
    rows = [row(encode(copies.WATERMARKS[mark](kind(number)), 90)) for number in range(8)]
    assert not [(a, b) for a, b in itertools.combinations(range(8), 2) if near(rows[a], rows[b], RULE)]


def test_a_thumbnail_fits_its_crops_and_its_turned_crops_and_no_other_picture() -> None:
    pixels, other = natural(640, 480, seed=1), natural(640, 480, seed=2)
    whole = words(pixels)
    for share, across, down in ((0.05, 0.5, 0.5), (0.05, 0.0, 1.0), (0.08, 0.3, 0.6)):
        assert same_picture(words(part(pixels, share, across, down)), whole, CLOSE) == YES
        assert same_picture(whole, words(part(pixels, share, across, down)), CLOSE) == YES
        assert same_picture(words(part(other, share, across, down)), whole, LOOSE) != YES
    corner = part(pixels, 0.15, 0.0, 0.0)  # window 10 of ``WINDOWS``
    assert same_picture(words(corner), of_view(whole, 10, 0), CLOSE) == YES
    assert same_picture(words(np.ascontiguousarray(corner[:, ::-1])), of_view(whole, 10, 1), CLOSE) == YES
    assert same_picture(words(np.ascontiguousarray(corner[::-1])), of_view(whole, 10, 2), CLOSE) == YES
    assert same_picture(words(np.ascontiguousarray(corner.swapaxes(0, 1))), of_view(whole, 10, 4), CLOSE) == YES
    assert same_picture(words(part(pixels, 0.15, 1.0, 1.0)), of_view(whole, 10, 0), CLOSE) != YES


def test_without_thumbnails_on_both_sides_hashes_and_colours_decide() -> None:
    pixels = natural(640, 480, seed=1)
    original, copy = row(encode(pixels, 92)), row(encode(pixels, 50))
    bare = copy.copy()
    bare[5 + COLOUR_WORDS :] = 0
    assert near(original, bare, RULE) and near(bare, original, RULE)


def test_an_older_root_gets_thumbnails_from_its_stored_pixels_and_a_newer_one_does_nothing(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    root_with_keepers(store, ["a", "b", "c"], rejected=[1])
    images = store.read_table(ImageRow, SHARD)
    files = _digests(store)
    done: list[str] = []

    def fill() -> None:
        ThumbnailStep().run(store, LocalEngine(), lambda outcome: done.append(outcome.status))

    for beside in ({store.table_file(Thumbnail.table, SHARD): "1"}, {}):
        store.commit(ShardEntry(ImageRow.table, SHARD, "", {}, files | beside, 3, 3, 1, 0.0, "test"))
        fill()
        assert done == ([] if beside else ["done"])
    fill()
    assert done == ["done", "skipped"]
    told = store.read_table(Thumbnail, SHARD)
    pixels = images.filter(pc.field("reason").is_null())
    assert told.column("sample_id") == pixels.column("sample_id") and told.num_rows == 2
    assert {len(luma) for luma in told.column("luma").to_pylist()} == {THUMBNAIL_BYTES}


def test_a_shard_of_an_older_root_that_is_redone_gets_thumbnails_of_all_its_images(tmp_path: Path) -> None:
    """What was stored before there were thumbnails knows none; new rows beside it do."""
    store = Store(str(tmp_path))
    shard = root_with_keepers(store, ["a", "b", "c"])
    rows = rows_of(ImageRow, store.read_table(ImageRow, SHARD))
    known = [HashedRow(**asdict(row), thumbnail=bytes([1, *[9] * 263])) for row in rows]
    name = store.table_file(Thumbnail.table, SHARD)
    for stored in (known, [replace(known[0], thumbnail=None), *known[1:]]):
        shard.writes.clear()
        publish_looks(shard, stored)
        assert (name in shard.writes) == (stored is known)
        writes = {**shard.writes, **_digests(store)}
        store.commit(ShardEntry(ImageRow.table, SHARD, "", {}, writes, 3, 3, 1, 0.0, "test"))
        ThumbnailStep().run(store, LocalEngine(), lambda outcome: None)
        told = store.read_table(Thumbnail, SHARD)
        assert told["sample_id"].to_pylist() == [row.sample_id for row in known]
        assert (bytes([1, *[9] * 263]) in told["luma"].to_pylist()) == (stored is known)
