"""Every released caption has its states beside its tar, is encoded once, and ends with the same bytes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from curation.catalog import connect
from curation.core.errors import RecipeError
from curation.core.recipes import load
from curation.core.stage import digest
from curation.core.store import Store
from curation.features.encoder import TextEncoder, Tokens, identify
from curation.features.encoding import batches
from curation.features.expected import size
from curation.features.features_stage import FeaturesStage
from curation.load.features import hash_of
from schemas.anchor import BuildAnchor
from schemas.arrow import rows_of
from schemas.features import CaptionFeatures, Features
from schemas.records import Placement
from schemas.refine import RefineLaion
from tests.support.featured import (
    counted_captions,
    digest_of,
    featured_release,
    features_files,
    ready_step,
    sums_of,
    with_features,
)
from tests.support.kills import every_kill
from tests.support.roots import Row, World, add_shard, make_world, recipe

ROWS = [Row()] * 8 + [Row("kept_by_alt_text"), Row("kept_by_second_kind"), Row("gone")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(
        str(tmp_path_factory.mktemp("features") / "root's [1]"), with_features(recipe(val=0, test=0)), [ROWS]
    )
    featured_release(made)
    return made


def placements(world: World) -> list[Placement]:
    shards = world.store.shards("placements")
    return [p for shard in shards for p in rows_of(Placement, world.store.read_table(Placement, shard))]


def test_every_released_caption_and_the_empty_prompt_have_their_states(world: World) -> None:
    files = features_files(world.store)
    assert set(files) == set(world.store.shards("placements")) and len(files) > 2
    wanted: dict[str, set[bytes]] = {shard: {hash_of("")} for shard in files}
    for sample in placements(world):
        texts = {sample.caption, *json.loads(sample.captions).values()}
        wanted[sample.shard] |= {hash_of(text) for text in texts}
    for shard, file in files.items():
        assert {row.tobytes() for row in file.hashes} == wanted[shard]


def test_states_are_those_of_the_caption_alone(world: World) -> None:
    made = TextEncoder(world.recipe.features, identify(world.recipe.features))
    files = features_files(world.store)
    for sample in placements(world)[:5]:
        number = files[sample.shard].find(hash_of(sample.caption))
        assert number is not None
        found = files[sample.shard].states(number)
        (alone,) = made.encode(made.tokenise([sample.caption]))
        expected = torch.from_numpy(np.array(alone).view(np.int16)).view(torch.float16)
        torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
        assert found.dtype is torch.float16


def test_the_safetensors_library_reads_the_files(world: World) -> None:
    for file in features_files(world.store).values():
        with safe_open(
            Path(world.store.path("release/features")) / file.url.rsplit("/", 1)[1], framework="pt"
        ) as opened:
            assert opened.metadata()["max_tokens"] == "256"
            states, offsets = opened.get_tensor("states"), opened.get_tensor("offsets")
        for number in range(len(file.hashes)):
            assert torch.equal(states[offsets[number] : offsets[number + 1]], file.states(number))


def test_the_catalog_the_sums_and_the_card_tell_of_them(world: World) -> None:
    with connect(world.store.url) as catalog:
        rows, tokens = catalog.execute("SELECT count(*), min(tokens) FROM features").fetchone() or (0, 0)
        kinds = {kind for (kind,) in catalog.execute("SELECT DISTINCT kind FROM features").fetchall()}
    captions = sum(len({(s.caption_kind, s.caption), *json.loads(s.captions).items()}) for s in placements(world))
    assert rows == captions and tokens > 1 and kinds == {"dense", "short", "alt_text"}
    folder = Path(world.store.path("release"))
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    sums = (folder / "SHA256SUMS").read_text()
    assert all(f"  features/{shard}.safetensors\n" in sums for shard in features_files(world.store))
    card = (folder / "README.md").read_text()
    stored = sum(file.stat().st_size for file in (folder / "features").iterdir())
    encoder = identify(world.recipe.features)
    assert f"the hidden states of `{encoder.name}`" in card and "| `short` |" in card
    assert size(stored).split()[1] == "KiB" and " KiB, valid tokens only" in card
    assert '"@id": "features"' in (folder / "croissant.json").read_text()


def test_a_second_run_encodes_nothing_and_writes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sums_of(world.store)
    with counted_captions(monkeypatch) as sizes:
        totals = featured_release(world)
    assert sizes == [] and totals.done == 0 and totals.skipped == len(features_files(world.store))
    assert sums_of(world.store) == before


def test_named_kinds_are_encoded_besides_the_one_that_is_released(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), with_features(recipe(), kinds=["short", "alt_text"]), [ROWS])
    featured_release(made)
    found = {
        (row.sample_id, row.kind, row.caption_sha256)
        for shard in made.store.shards("features")
        for row in rows_of(CaptionFeatures, made.store.read_table(CaptionFeatures, shard))
    }
    expected = set()
    for sample in placements(made):
        captions = json.loads(sample.captions)
        texts = [(sample.caption_kind, sample.caption), ("alt_text", sample.alt_text)]
        texts += [("short", captions["short"])] if "short" in captions else []
        expected |= {(sample.sample_id, kind, hash_of(text).hex()) for kind, text in texts if text.strip()}
    assert found == expected


def test_long_captions_are_cut_and_counted(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), with_features(recipe(), max_tokens=6), [[Row()] * 4])
    featured_release(made)
    query = "SELECT max(tokens), min(cut) > 0, count(*) FILTER (cut > 0), sum(cut) FROM features WHERE kind = 'dense'"
    with connect(made.store.url) as catalog:
        tokens, all_cut, count, left = catalog.execute(query).fetchone() or (0, False, 0, 0)
    assert tokens == 6 and all_cut
    assert f"| `dense` | 4 | 6.0 | 6 | {count} | {left} |" in (Path(made.store.path("release/README.md"))).read_text()


def test_growth_encodes_new_captions_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_world(str(tmp_path / "root"), with_features(recipe(val=0, test=0)), [[Row()] * 8])
    featured_release(made)
    before = sums_of(made.store)
    add_shard(made, "more.parquet", [Row()] * 3)
    with counted_captions(monkeypatch) as sizes:
        featured_release(made)
    assert sum(sizes) == 3 * 2 + 1  # two kinds a sample, and the new file's empty prompt
    after = sums_of(made.store)
    assert all(after[name] == sha for name, sha in before.items() if name.endswith((".safetensors", ".parquet")))


@pytest.mark.parametrize("change", ["shard_size", "seed", "kinds", "batch"])
def test_placing_anew_or_other_kinds_encode_no_caption_again(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = recipe(val=0, test=0)
    made = make_world(str(tmp_path / "root"), with_features(base, kinds=["dense"]), [[Row()] * 9])
    featured_release(made)
    old = {
        row.tobytes(): f.words(n).tobytes()
        for f in features_files(made.store).values()
        for n, row in enumerate(f.hashes)
    }
    export = {"shard_size": {"shard_size": 5}, "seed": {"seed": 9}}.get(change, {})
    settings = {"kinds": {"kinds": []}, "batch": {"kinds": ["dense"], "batch_tokens": 64}}.get(
        change, {"kinds": ["dense"]}
    )
    changed = base.model_copy(update={"export": base.export.model_copy(update=export)})
    made.recipe = with_features(changed, **settings)
    with counted_captions(monkeypatch) as sizes:
        featured_release(made)
    assert sum(sizes) == (9 if change == "kinds" else 0)
    new = {
        row.tobytes(): f.words(n).tobytes()
        for f in features_files(made.store).values()
        for n, row in enumerate(f.hashes)
    }
    assert old.items() <= new.items() and len(new) == len(old) + sum(sizes)
    assert not made.store.names("features")


def test_another_layer_encodes_all_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_world(str(tmp_path / "root"), with_features(recipe()), [[Row()] * 4])
    featured_release(made)
    made.recipe = with_features(recipe(), layer=-2)
    with counted_captions(monkeypatch) as sizes:
        featured_release(made)
    assert sum(sizes) == sum(len(f.hashes) for f in features_files(made.store).values())


def test_features_that_are_switched_off_leave_the_release(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), recipe(), [[Row()] * 4])
    featured_release(made)
    without = sums_of(made.store)
    made.recipe = with_features(recipe())
    featured_release(made)
    assert sums_of(made.store) != without
    made.recipe = recipe()
    featured_release(made)
    assert sums_of(made.store) == without and made.store.shards("features") == []


@pytest.mark.slow
def test_a_run_killed_anywhere_ends_byte_identical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run places all captions anew, with new ones among them, so that it copies and encodes."""
    made = make_world(str(tmp_path / "grown"), with_features(recipe(shard_size=4, val=0, test=0)), [[Row()] * 5])
    featured_release(made)
    add_shard(made, "more.parquet", [Row()] * 3)
    made.recipe = with_features(recipe(shard_size=3, val=0, test=0, seed=3))
    numbers = itertools.count()

    def copy() -> World:
        folder = tmp_path / str(next(numbers))
        shutil.copytree(made.store.path(""), folder)
        return dataclasses.replace(made, store=Store(str(folder)))

    featured_release(undisturbed := copy())
    expected = sums_of(undisturbed.store)
    disturbed: list[World] = []

    def prepare() -> Callable[[], object]:
        disturbed.append(copy())
        return lambda: featured_release(disturbed[-1])

    for _ in every_kill(prepare, monkeypatch, step=3):
        featured_release(disturbed[-1])
        assert sums_of(disturbed[-1].store) == expected
        shutil.rmtree(disturbed[-1].store.path(""))
    assert len(disturbed) > 8


def test_a_shard_whose_proof_is_lost_is_encoded_again_to_the_same_bytes(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), with_features(recipe()), [ROWS])
    featured_release(made)
    before = sums_of(made.store)
    for name in made.store.names("manifest/features"):
        made.store.remove(f"manifest/features/{name}")
    featured_release(made)
    assert sums_of(made.store) == before


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 200))
def test_batches_hold_every_caption_once_within_the_budget(lengths: list[int], budget: int) -> None:
    tokens = {n: Tokens(tuple(range(length)), 0) for n, length in enumerate(lengths)}
    found = list(batches(tokens, budget))
    assert sorted(n for batch in found for n in batch) == list(tokens)
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths[n] for n in batch) <= budget
    ordered = [lengths[n] for batch in found for n in batch]
    assert ordered == sorted(lengths, reverse=True)


def test_a_dry_run_tells_bytes(world: World, tmp_path: Path) -> None:
    new = FeaturesStage.declared(Features(model=world.recipe.features.model), ["dense", "short"]).ready(None)
    (_, encode), (_, store) = new.estimate(1000)
    assert encode.split()[0] == "2,000" and "layer 3 of 3, width 32, float16" in encode
    assert store.split()[:2] == ["12.2", "MiB"] and "100 tokens a caption (a guess)" in store
    assert "padded to 256 tokens it would be 31.2 MiB" in store
    (stage,) = ready_step(world).through
    assert isinstance(stage, FeaturesStage) and "as measured in this root" in dict(stage.estimate(10))["to store"]
    assert size(256 * 2048 * 2) == "1.0 MiB"


def test_features_are_off_by_default_and_change_no_digest() -> None:
    for model in (RefineLaion, BuildAnchor):
        assert "features" not in model().deciding() and not model().features.model
    assert load(RefineLaion, None, ["features.model=x"]).deciding() != RefineLaion().deciding()


def test_where_the_checkpoint_lies_is_not_in_the_digest(world: World) -> None:
    (stage,) = ready_step(world).through
    assert isinstance(stage, FeaturesStage)
    moved = dataclasses.replace(stage, recipe=stage.recipe.model_copy(update={"model": "elsewhere", "device": "cpu"}))
    assert digest(moved) == digest_of(world)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"features.kinds has 'tags'; expected some of dense, alt_text"):
        load(RefineLaion, None, ['features.kinds=["tags"]'])
    with pytest.raises(RecipeError, match=r"expected some of news, alt_text"):
        load(BuildAnchor, None, ['features.kinds=["dense"]'])
