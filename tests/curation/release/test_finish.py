"""A finished release is vouched for, described for people and for machines, and finished only once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import mlcroissant
import pytest
import yaml
from huggingface_hub import DatasetCard

from curation.catalog import connect
from curation.core.pipeline import run_reduce, run_segment
from curation.release.export_stage import ExportStage
from curation.release.funnel import read_funnel, total
from schemas.records import Placement, Released
from tests.support.listing_store import Elsewhere, another_client
from tests.support.release_steps import finish_release, pack_reduce
from tests.support.roots import Row, World, add_shard, every_ending, make_world, recipe, release


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(str(tmp_path_factory.mktemp("finish") / "a root's [release]"))
    release(made)
    return made


def folder(world: World) -> Path:
    return Path(world.store.path("release"))


def test_sha256sum_checks_every_file(world: World) -> None:
    sums = folder(world) / "SHA256SUMS"
    done = subprocess.run(["sha256sum", "--check", "--strict", sums.name], cwd=folder(world), capture_output=True)
    assert done.returncode == 0, done.stderr
    listed = [line.split("  ", 1)[1] for line in sums.read_text().splitlines()]
    there = [str(p.relative_to(folder(world))) for p in folder(world).rglob("*") if p.is_file()]
    assert listed == sorted(listed) and set(listed) == set(there) - {"SHA256SUMS"}


def test_finishing_again_touches_nothing(world: World) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in folder(world).rglob("*")}

    before = state()
    finish_release(world.store, world.recipe)
    assert state() == before


def test_a_lost_card_is_written_again(world: World) -> None:
    card = folder(world) / "README.md"
    text = card.read_bytes()
    card.unlink()
    finish_release(world.store, world.recipe)
    assert card.read_bytes() == text


def test_another_licence_changes_the_card_and_no_shard(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), shards=[[Row()] * 5])
    release(made)
    tars = {p.name: p.stat().st_mtime_ns for p in folder(made).glob("*.tar")}
    export = made.recipe.export.model_copy(update={"license": "cc-by-4.0", "license_note": "Take it."})
    made.recipe = made.recipe.model_copy(update={"export": export})
    release(made)
    assert {p.name: p.stat().st_mtime_ns for p in folder(made).glob("*.tar")} == tars
    text = (folder(made) / "README.md").read_text()
    assert yaml.safe_load(text.split("---")[1])["license"] == "cc-by-4.0" and "Take it." in text
    assert hashlib.sha256(text.encode()).hexdigest() in (folder(made) / "SHA256SUMS").read_text()


def test_an_export_that_was_killed_on_an_object_store_keeps_every_tar_when_resumed(tmp_path: Path) -> None:
    made = make_world(f"listing://{tmp_path.name}/root", shards=[[Row()] * 20])
    run_reduce(made.store, pack_reduce(made.recipe), lambda _: None)
    stage, shards = ExportStage(images=made.recipe.export.images), made.store.shards("placements")
    run_segment(made.store, Elsewhere(), [stage], shards[:2], lambda _: None)
    resumed = another_client(made.store)
    run_segment(resumed, Elsewhere(), [stage], shards, lambda _: None)
    finish_release(resumed, made.recipe)
    assert resumed.names("release", ".tar") == [f"{shard}.tar" for shard in shards]
    sums = resumed.read("release/SHA256SUMS").decode()
    assert len(shards) > 2 and all(f"{shard}.tar\n" in sums for shard in shards)


def test_shards_of_a_larger_release_are_removed(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), shards=[[Row()] * 20])
    release(made)
    many = {p.name for p in folder(made).glob("*.tar")}
    export = made.recipe.export.model_copy(update={"shard_size": 50})
    made.recipe = made.recipe.model_copy(update={"export": export})
    (folder(made) / "train-000099.tar").write_bytes(b"left behind")
    release(made)
    left = {p.name for p in folder(made).glob("*.tar")}
    assert left < many and left == {f"{s}.tar" for s in made.store.shards(Placement.table)}
    assert {p.stem for p in folder(made).glob("metadata/*")} == {n.removesuffix(".tar") for n in left}
    assert made.store.shards(Released.table) == made.store.shards(Placement.table)


def test_the_card_is_one_that_hubs_read(world: World) -> None:
    card = DatasetCard((folder(world) / "README.md").read_text())
    found = card.data.to_dict()
    assert found["license"] == "other" and found["language"] == ["en"] and found["size_categories"] == ["n<1K"]
    assert found["task_categories"] == ["text-to-image", "image-to-text"]
    files = {f["split"]: f["path"] for c in found["configs"] if c["config_name"] == "default" for f in c["data_files"]}
    assert set(files) == {"train", "val", "test"}
    for pattern in files.values():
        assert list(folder(world).glob(pattern))


def test_the_cards_funnel_adds_up(world: World) -> None:
    text = (folder(world) / "README.md").read_text()
    rows = re.findall(r"^\| \w+ \| (?:kept|rejected|failed) \| \w* \| (\d+) \|", text, re.M)
    source = total(read_funnel(connect(world.store.url)))
    assert sum(map(int, rows)) == source == len(world.expected)
    assert f"**{source}**" in text


def test_the_card_tells_models_prompts_limits_and_lengths(world: World) -> None:
    text = (folder(world) / "README.md").read_text()
    for found in ("dense@1", "some/captioner", "clip@1", "opted_out", "`dedupe.distance` | `0`", "beyond CLIP's 77"):
        assert found in text, found
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", text)


def test_hostile_recipe_texts_do_not_break_the_card(tmp_path: Path) -> None:
    found = recipe(name='A "name": [with] #signs\n---', license_note="---\n# not a heading: |")
    made = make_world(str(tmp_path / "root"), found, [[Row()] * 3])
    release(made)
    card = DatasetCard((folder(made) / "README.md").read_text())
    assert card.data.pretty_name == found.export.name
    assert mlcroissant.Dataset(jsonld=str(folder(made) / "croissant.json")).metadata.name == found.export.name


def test_croissant_is_valid_and_its_records_can_be_read_offline(world: World) -> None:
    dataset = mlcroissant.Dataset(jsonld=str(folder(world) / "croissant.json"))
    assert not dataset.metadata.issues.errors
    assert dataset.metadata.ctx.is_v1_1()
    records = list(dataset.records("samples"))
    assert {r["samples/sample_id"].decode() for r in records} == world.kept_ids()
    assert len(records) == len(world.kept_ids())
    splits = {r["splits/name"]: r["splits/samples"] for r in dataset.records("splits")}
    assert sum(splits.values()) == len(records)


_READ_PAIRS = """
import json, sys, mlcroissant
for pair in mlcroissant.Dataset(jsonld=sys.argv[1]).records("pairs"):
    texts = [pair[f"pairs/{name}"].decode() for name in ("sample_id", "caption", "split")]
    print(json.dumps([*texts, *pair["pairs/image"].convert("RGB").size]))
"""


def test_croissant_gives_every_image_decoded_beside_its_caption(world: World, tmp_path: Path) -> None:
    # A process of its own: the library reads the name of its cache, one for all data sets, when it is imported.
    reader = [sys.executable, "-c", _READ_PAIRS, str(folder(world) / "croissant.json")]
    environment = {**os.environ, "CROISSANT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(reader, env=environment, capture_output=True, text=True, check=True)
    pairs = {tuple(json.loads(line)) for line in done.stdout.splitlines()}
    placed = connect(world.store.url).execute("SELECT sample_id, caption, split, width, height FROM placements")
    assert pairs == set(placed.fetchall())
    assert len(pairs) == len(world.kept_ids())


def test_croissant_names_every_tar_with_its_sum(world: World) -> None:
    described = json.loads((folder(world) / "croissant.json").read_text())["distribution"]
    tars = {d["contentUrl"]: d["sha256"] for d in described if d["@type"] == "cr:FileObject"}
    assert tars == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder(world).glob("*.tar")}


def test_a_release_without_images_promises_none(tmp_path: Path) -> None:
    found = recipe(images=False)
    made = make_world(str(tmp_path / "root"), found, [[Row()] * 5])
    release(made)
    dataset = mlcroissant.Dataset(jsonld=str(folder(made) / "croissant.json"))
    assert not dataset.metadata.issues.errors and len(list(dataset.records("samples"))) == len(made.kept_ids())
    assert [r.id for r in dataset.metadata.record_sets] == ["splits", "samples"]


def test_an_empty_release_is_finished_too(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), shards=[[Row("gone"), Row("filtered")]])
    release(made)
    assert "**This release is empty.**" in (folder(made) / "README.md").read_text()
    assert not list(folder(made).glob("*.tar"))
    assert not mlcroissant.Dataset(jsonld=str(folder(made) / "croissant.json")).metadata.issues.errors
    assert (folder(made) / "SHA256SUMS").read_text().count("\n") == 2


def test_a_failed_shard_appears_in_the_cards_funnel_until_it_succeeds(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), shards=[every_ending(3)])
    add_shard(made, "failed.parquet", [Row()] * 3, until="dedupe", error="RuntimeError: gone")
    release(made)
    assert "| recaption | failed | shard_failed | 3 |" in (folder(made) / "README.md").read_text()
    add_shard(made, "failed.parquet", [Row()] * 3)
    release(made)
    assert "shard_failed" not in (folder(made) / "README.md").read_text()
