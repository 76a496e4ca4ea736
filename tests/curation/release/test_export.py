"""Export: a release shard holds what was kept, byte for byte, or it is not there."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import curation.release.export_stage as export
from curation.catalog import connect, conservation
from curation.core.engines.local import LocalEngine
from curation.core.pipeline import run_reduce, run_segment
from curation.images.reading import open_images
from curation.release.export_stage import ExportStage
from schemas.arrow import rows_of
from schemas.records import Placement, Released
from tests.support.release_steps import pack_reduce
from tests.support.roots import Row, World, every_ending, make_world, recipe, release


def members(world: World, shard: str) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(world.store.read(f"release/{shard}.tar"))) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar.getmembers()]  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(str(tmp_path_factory.mktemp("export") / "root"))
    release(made)
    return made


def test_a_samples_members_stand_beside_each_other_in_order(world: World) -> None:
    for shard in world.store.shards("placements"):
        ids = [p.sample_id for p in rows_of(Placement, world.store.read_table(Placement, shard))]
        expected = [f"{i}.{ending}" for i in ids for ending in ("jpg", "txt", "json")]
        assert [name for name, _ in members(world, shard)] == expected


def test_pixels_captions_and_annotations_are_those_of_the_tables(world: World) -> None:
    for shard in world.store.shards("placements"):
        found = dict(members(world, shard))
        for p in rows_of(Placement, world.store.read_table(Placement, shard)):
            image = found[f"{p.sample_id}.jpg"]
            with open_images(world.store, p.source_shard) as read:
                assert image == read(p.offset, p.size)
            assert hashlib.sha256(image).hexdigest() == p.sha256
            assert found[f"{p.sample_id}.txt"].decode() == p.caption
            fields = json.loads(found[f"{p.sample_id}.json"])
            assert (fields["alt_text"], fields["url"], fields["sha256"]) == (p.alt_text, p.url, p.sha256)
            assert (fields["source_file"], fields["source_row"]) == (p.source_file, p.source_row)
            assert fields.get("captions", {}) == json.loads(p.captions)
            assert int(fields["phash"], 16) == p.phash and len(fields["phash"]) == 16
            assert fields["similarity"] == pytest.approx(p.similarity)
            assert None not in fields.values() and list(fields) == sorted(fields)


def test_released_offsets_point_at_the_images(world: World) -> None:
    for shard in world.store.shards("released"):
        tar = world.store.read(f"release/{shard}.tar")
        images = {n.removesuffix(".jpg"): d for n, d in members(world, shard) if n.endswith(".jpg")}
        for row in rows_of(Released, world.store.read_table(Released, shard)):
            assert tar[row.offset : row.offset + row.size] == images[row.sample_id]
        metadata = pq.read_table(io.BytesIO(world.store.read(f"release/metadata/{shard}.parquet"))).to_pylist()
        assert [tar[m["offset"] : m["offset"] + m["size"]] for m in metadata] == list(images.values())
        assert not {"source_shard", "position"} & set(metadata[0])


def test_identical_input_gives_identical_releases(world: World, tmp_path: Path) -> None:
    again = make_world(str(tmp_path / "elsewhere"))
    release(again)
    assert again.store.read("release/SHA256SUMS") == world.store.read("release/SHA256SUMS")


def test_without_images_there_are_annotations_and_urls_only(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), recipe(images=False), [[Row()] * 5])
    for name in made.store.names("images"):
        made.store.remove(f"images/{name}")  # not even looked at
    release(made)
    names = [n for s in made.store.shards("released") for n, _ in members(made, s)]
    assert len(names) == 10 and {n.rsplit(".", 1)[1] for n in names} == {"txt", "json"}
    assert conservation(made.store).ok and conservation(made.store).kept == 5


def test_changed_pixels_cost_their_shard_and_name_the_file(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), shards=[every_ending(), every_ending()])
    run_reduce(made.store, pack_reduce(made.recipe), lambda _: None)
    shards = made.store.shards("placements")
    victim = next(rows_of(Placement, made.store.read_table(Placement, shards[0])))
    path = Path(made.store.path(made.store.images_file(victim.source_shard)))
    data = bytearray(path.read_bytes())
    data[victim.offset + 100] ^= 1
    path.write_bytes(data)
    totals = run_segment(made.store, LocalEngine(), [ExportStage()], shards, lambda _: None)
    assert [f.shard for f in totals.failed] == [shards[0]] and totals.done == len(shards) - 1
    assert path.name in totals.failed[0].error and victim.sha256 in totals.failed[0].error
    assert not made.store.exists(f"release/{shards[0]}.tar")
    query = "SELECT DISTINCT fate, stage, reason, shard FROM samples WHERE stage = 'release' AND fate = 'failed'"
    assert connect(made.store.url).execute(query).fetchall() == [("failed", "release", "shard_failed", shards[0])]
    assert conservation(made.store).ok
    assert not list(Path(made.store.path("release")).glob(".tmp-*"))


def test_missing_pixels_cost_their_shards_only(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), recipe(shard_size=1), [[Row()] * 3, [Row()] * 3])
    run_reduce(made.store, pack_reduce(made.recipe), lambda _: None)
    gone = made.store.names("images")[0]
    made.store.remove(f"images/{gone}")
    totals = run_segment(made.store, LocalEngine(), [ExportStage()], made.store.shards("placements"), lambda _: None)
    assert len(totals.failed) == 3 and totals.done == 3
    assert all(gone in f.error for f in totals.failed)


def test_the_number_of_open_tars_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_OPEN_TARS", 2)
    made = make_world(str(tmp_path / "root"), shards=[[Row()] for _ in range(8)])
    run_reduce(made.store, pack_reduce(made.recipe), lambda _: None)
    images = Path(made.store.path("images"))

    def open_tars() -> int:
        links = (str(f.readlink()) for f in Path("/proc/self/fd").iterdir() if f.is_symlink())
        return sum(link.startswith(str(images)) for link in links)

    seen: list[int] = []
    with ExportStage().open() as work:
        from curation.core.stage import Shard

        for shard in made.store.shards("placements"):
            work(Shard(shard, made.store))
            seen.append(open_tars())
    assert max(seen) == 2 and open_tars() == 0


HOSTILE = [
    "\x00\x01\x1b[31m\x7f",
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd",
    "../../etc/passwd",
    "a.jpg\nb.json",
    "x" * 100_000,
    "\U0001f3f4\u200d\u2620\ufe0f \ufeff \u2028 \ud7ff",
    "'; DROP TABLE rows; --",
    '{"json": "\\u0000"}',
    "\r\n\t ",
]
texts = st.one_of(st.text(max_size=300), st.sampled_from(HOSTILE))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts, min_size=1, max_size=20))
@example(HOSTILE)
def test_any_alt_text_comes_through_catalog_and_release_unharmed(
    tmp_path_factory: pytest.TempPathFactory, alt_texts: list[str]
) -> None:
    made = make_world(str(tmp_path_factory.mktemp("alt") / "root"), shards=[[Row(alt_text=t) for t in alt_texts]])
    release(made)
    found = connect(made.store.url).execute("SELECT source_row, alt_text FROM samples ORDER BY 1").fetchall()
    assert [text for _, text in found] == alt_texts
    fields = [json.loads(d) for s in made.store.shards("released") for n, d in members(made, s) if n.endswith(".json")]
    assert {t["source_row"]: t["alt_text"] for t in fields} == dict(enumerate(alt_texts))
    metadata = [m for n in made.store.names("release/metadata") for m in
                pq.read_table(io.BytesIO(made.store.read(f"release/metadata/{n}"))).to_pylist()]  # fmt: skip
    assert {m["source_row"]: m["alt_text"] for m in metadata} == dict(enumerate(alt_texts))
    assert conservation(made.store).ok
