"""The loader joins the hidden states of the caption that it drew, whole, in any worker, without reading the rest."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from torch.utils.data import DataLoader

from curation.core.errors import RootError
from curation.load.features import FeaturesFile, features_url, hash_of
from curation.load.loader import load, pack, pad
from tests.support.featured import featured_release, features_files, with_features
from tests.support.processes import REPOSITORY
from tests.support.roots import Row, World, make_world, recipe

MIX = {"dense": 0.4, "short": 0.4, "alt_text": 0.2}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    rows = [Row()] * 24 + [Row("kept_by_second_kind")] * 3 + [Row("kept_by_alt_text")] * 2
    asked = with_features(recipe(val=0.1, test=0), kinds=["dense", "short", "alt_text"], max_tokens=60)
    made = make_world(str(tmp_path_factory.mktemp("loader") / "it's a [root] *?"), asked, [rows])
    featured_release(made)
    return made


def stored(world: World, caption: str) -> torch.Tensor:
    """The states of a caption, looked for in all files of the release."""
    found = [(f, n) for f in features_files(world.store).values() if (n := f.find(hash_of(caption))) is not None]
    file, number = found[0]
    return file.states(number)


def test_two_workers_join_the_states_of_the_captions_that_they_draw(world: World) -> None:
    dataset = load(world.store.url, captions=MIX, shuffle=8, seed=2, features=True)
    plain = {s["json"]["sample_id"]: s["caption"] for s in load(world.store.url, captions=MIX, shuffle=8, seed=2)}
    kinds: Counter[str] = Counter()
    seen: dict[str, str] = {}
    for sample in DataLoader(dataset, batch_size=None, num_workers=2):
        expected = stored(world, sample["caption"])
        assert sample["features"].shape == (60, 32) and sample["features"].dtype is torch.float16
        assert sample["features_mask"].sum() == len(expected) and sample["features_mask"][: len(expected)].all()
        assert torch.equal(sample["features"][sample["features_mask"]], expected)
        assert not sample["features"][~sample["features_mask"]].any()
        kinds[sample["caption_kind"]] += 1
        seen[sample["json"]["sample_id"]] = sample["caption"]
    assert seen == plain and len(kinds) == 3


def test_only_the_states_of_the_valid_tokens_are_given_for_packing(world: World) -> None:
    samples = list(load(world.store.url, captions=MIX, shuffle=0, features="valid"))
    features = [s["features"] for s in samples]
    assert all(torch.equal(s["features"], stored(world, s["caption"])) for s in samples)
    assert all(s["features_mask"].all() and len(s["features_mask"]) == len(s["features"]) for s in samples)
    packed = pack(features)
    assert packed.offsets.tolist() == [0, *torch.tensor([len(f) for f in features]).cumsum(0).tolist()]
    for number, found in enumerate(features):
        first, last = packed.offsets[number : number + 2]
        assert torch.equal(packed.states[first:last], found)
        assert packed.mask[first, first:last].all() and packed.mask[first].sum() == len(found)
    states, mask = pad(features)
    assert states.shape == (len(features), max(map(len, features)), 32)
    assert torch.equal(states[mask], packed.states)
    with pytest.raises(ValueError, match="cannot be padded to 2"):
        pad(features, 2)


def test_the_empty_prompt_is_at_hand_in_the_same_form(world: World) -> None:
    for form in ("pad", "valid"):
        empty = load(world.store.url, features=form).empty_prompt()  # type: ignore[arg-type]
        assert torch.equal(empty["features"][empty["features_mask"]], stored(world, ""))
    with pytest.raises(ValueError, match="load it with features=True"):
        load(world.store.url).empty_prompt()


def test_bfloat16_comes_as_it_is_stored(tmp_path: Path) -> None:
    made = make_world(str(tmp_path / "root"), with_features(recipe(val=0, test=0), stored="bfloat16"), [[Row()] * 3])
    featured_release(made)
    sample = next(iter(load(made.store.url, features=True)))
    assert sample["features"].dtype is torch.bfloat16 and sample["features"].float().abs().sum() > 0


def test_an_object_store_is_read_by_range(world: World) -> None:
    memory = fsspec.filesystem("memory")
    release = Path(world.store.path("release"))
    for file in (f for f in release.rglob("*") if f.is_file()):
        memory.pipe(f"/by-range/{file.relative_to(release)}", file.read_bytes())
    try:
        for sample in load("memory://by-range", captions=MIX, features="valid"):
            assert torch.equal(sample["features"], stored(world, sample["caption"]))
    finally:
        memory.rm("/by-range", recursive=True)


def test_only_the_captions_that_are_drawn_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    words = FeaturesFile.words

    def noting(file: FeaturesFile, number: int) -> object:
        found = words(file, number)
        read.append(found.nbytes)
        return found

    monkeypatch.setattr(FeaturesFile, "words", noting)
    samples = list(load(world.store.url, captions={"short": 1}, features="valid"))
    assert len(read) == len(samples) and sum(read) == sum(s["features"].nbytes for s in samples)


def test_wrong_questions_are_answered_clearly(world: World, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="captions draws 'tags', which has no features"):
        load(world.store.url, captions={"tags": 1}, features=True)
    with pytest.raises(ValueError, match='True, "pad" or "valid" was expected'):
        load(world.store.url, features="all")  # type: ignore[arg-type]
    plain = make_world(str(tmp_path / "plain"), with_features(recipe(val=0, test=0)), [[Row()] * 3])
    featured_release(plain)
    assert load(plain.store.url, captions={"dense": 1, "alt_text": 0}, features=True)
    with pytest.raises(ValueError, match=r"captions draws 'alt_text'.*all captions without the alt text"):
        load(plain.store.url, captions={"dense": 1, "alt_text": 1}, features=True)
    shutil.rmtree(plain.store.path("release/features"))
    with pytest.raises(RootError, match=r"is not there; get it again, or make the release with features\.model set"):
        load(plain.store.url, features=True)


def _header(fields: object) -> bytes:
    text = json.dumps(fields).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"short", struct.pack("<Q", 1 << 60), struct.pack("<Q", 4) + b"{}", struct.pack("<Q", 2) + b"[]"),
        *(
            _header({}),
            _header({"__metadata__": {}}),
            _header({"__metadata__": {}, "states": {"data_offsets": [0, 9]}}),
        ),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "train-000000.safetensors"
    path.write_bytes(data)
    with pytest.raises(RootError, match=r"train-000000\.safetensors is damaged"):
        FeaturesFile(str(path))


def test_a_file_that_was_cut_off_or_exchanged_is_named(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    shutil.copytree(world.store.path("release"), folder)
    tars = sorted(folder.glob("train-*.tar"))
    first, second = (Path(features_url(str(tar))) for tar in tars[:2])
    whole = first.read_bytes()
    first.write_bytes(whole[:-10])
    with pytest.raises(RootError, match=r"is damaged .*get it again"):
        list(load(str(folder), features=True))
    shutil.copy(second, first)
    with pytest.raises(RootError, match="does not belong to the tar beside it"):
        list(load(str(folder), features=True))


def test_the_example_of_the_readme_runs(world: World) -> None:
    code, _ = re.findall(r"```python\n(.*?)```", (REPOSITORY / "curation/features/README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace('"runs/refined"', repr(world.store.url)), names)
    assert torch.equal(names["states"][names["mask"]], names["packed"].states)


def test_a_dropped_caption_has_the_states_of_the_empty_prompt(world: World) -> None:
    dataset = load(world.store.url, features=True, dropout=1.0)
    empty = dataset.empty_prompt()
    for sample in dataset:
        assert sample["caption"] == "" and sample["caption_kind"] == "dropped"
        assert torch.equal(sample["features"], empty["features"])
        assert torch.equal(sample["features_mask"], empty["features_mask"])
    with pytest.raises(ValueError, match="shuffle_tags makes captions that were not encoded"):
        load(world.store.url, features=True, shuffle_tags=["tags"])
