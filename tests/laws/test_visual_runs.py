"""Whole runs of expansion data whose windows and pictures a vision model has seen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from curation.catalog import connect
from curation.core.errors import ModelError, RootError
from curation.core.store import Store
from curation.demo.panoramas import write_panoramas
from curation.features.visual_encoder import VisualEncoder, identify
from curation.load.expansion import load_windows
from curation.load.features import FeaturesFile
from curation.products.expand import EXPANSION
from curation.sources.discover import open_source
from curation.takedown.proof import Traces, prove
from flows.takedown import main as takedown
from schemas.expand import ExpandImages
from schemas.visual import Visual
from tests.support.featured import sums_of
from tests.support.panoramas import expand
from tests.support.runs import counted
from tests.support.tiny_clip import make_tiny_siglip
from tests.support.tiny_encoders import tiny_clip, tiny_t5

PICTURES = 8
PLAIN = (
    *("caption.backend=scripted", "imagine.enabled=false", "consistency.max_shared=1", "export.shard_size=4"),
    *("windows.most=2", "source.shard_rows=4", "export.val=0", "export.test=0", "dedupe.enabled=false"),
)
TOKENS = 1 + (32 // 8) ** 2  # of the tiny CLIP, its class token included
WIDTH = 32


def settings(*further: str) -> list[str]:
    return [*PLAIN, f"visual.model={tiny_clip()}", 'visual.looks=["visible", "picture"]', *further]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("panoramas")
    write_panoramas(folder, seed=3, count=PICTURES, tiles=3)
    return str(folder / "pictures")


@pytest.fixture(scope="module")
def root(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("seen") / "root"
    expand(str(made), source, settings())
    return made


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    shutil.copytree(root, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many looks each batch has that is encoded."""
    sizes: list[int] = []
    encode = VisualEncoder.encode

    def counting(model: VisualEncoder, looks: Sequence[Image.Image]) -> Any:
        sizes.append(len(looks))
        return encode(model, looks)

    monkeypatch.setattr(VisualEncoder, "encode", counting)
    return sizes


def files(root: Path) -> list[Path]:
    return sorted((root / "release/visual").glob("*.safetensors"))


def sums(root: Path) -> dict[str, str]:
    found = sums_of(Store(str(root)))
    return {name: sha for name, sha in found.items() if "SHA256SUMS" not in name and "README" not in name}


def test_each_window_and_picture_is_seen_and_told_of(root: Path) -> None:
    assert counted(str(root)).kept == PICTURES
    with connect(str(root)) as catalog:
        found = dict(catalog.execute("SELECT look, count(*) FROM visual GROUP BY look").fetchall())
        windows = catalog.execute("SELECT count(*) FROM window_captions").fetchone()
    assert windows == (found["visible"],) == (2 * PICTURES,) and found["picture"] == PICTURES
    shards = [p.stem for p in sorted((root / "release").glob("*.tar"))]
    assert [p.stem for p in files(root)] == shards and len(shards) > 1
    told = (root / "release/SHA256SUMS").read_text()
    assert all(f"  visual/{shard}.safetensors\n" in told for shard in shards)
    card = (root / "release/README.md").read_text()
    assert f"`visual/` has {TOKENS} states of layer -1" in card and f"| visible | {PICTURES} | {2 * PICTURES} |" in card
    assert '"@id": "visual"' in (root / "release/croissant.json").read_text()
    assert [f.name for f in open_source([str(root)]).files] == [f"{s}.tar" for s in shards]


def test_the_loader_gives_what_the_model_sees_of_the_window_that_it_draws(root: Path) -> None:
    recipe = Visual(model=str(tiny_clip()))
    model = VisualEncoder(recipe, identify(recipe))
    for sample in load_windows(str(root), size=64, shuffle=0, visual="visible"):
        data = Image.fromarray(sample["visible"].numpy().transpose(1, 2, 0))
        (alone,) = model.encode([data])
        states = torch.from_numpy(np.array(alone).view(np.int16)).view(torch.float16)
        assert sample["visual"].shape == (TOKENS, WIDTH) and sample["visual"].dtype is torch.float16
        # The loader's window was scaled once before the model's own processor scaled it again.
        near = torch.nn.functional.cosine_similarity(sample["visual"].float(), states.float()).mean()
        assert near > 0.99, near
    whole = next(iter(load_windows(str(root), shuffle=0, visual="picture")))
    first = next(iter(load_windows(str(root), shuffle=0, visual="visible")))
    assert not torch.equal(whole["visual"], first["visual"])
    assert "visual" not in next(iter(load_windows(str(root), shuffle=0)))
    with pytest.raises(ValueError, match="the release has visible, picture"):
        load_windows(str(root), visual="window")


def test_the_safetensors_library_reads_the_files(root: Path) -> None:
    for path in files(root):
        ours = FeaturesFile(str(path))
        with safe_open(path, framework="pt") as opened:
            states, offsets = opened.get_tensor("states"), opened.get_tensor("offsets")
            assert json.loads(opened.metadata()["looks"]) == ["visible", "picture"]
        for number in range(len(ours.hashes)):
            assert torch.equal(states[offsets[number] : offsets[number + 1]], ours.states(number))


def test_nothing_is_seen_twice(copy: Path, source: str, seen: list[int]) -> None:
    before = sums(copy)
    assert {o.status for o in expand(str(copy), source, settings())} == {"skipped"}
    assert sums(copy) == before and not seen
    # Placed anew in larger shards, and with one more kind of look: only that is new.
    looks = 'visual.looks=["visible", "window"]'
    expand(str(copy), source, settings("export.shard_size=8", looks))
    assert sum(seen) == 2 * PICTURES
    assert len(files(copy)) == 1 and not list((copy / "visual").glob("*"))


def test_a_run_that_is_killed_between_shards_ends_byte_identical(root: Path, copy: Path, source: str) -> None:
    shard = files(copy)[-1].stem
    (copy / f"manifest/visual/{shard}.json").unlink()
    (copy / f"release/visual/{shard}.safetensors").write_bytes(b"half")
    expand(str(copy), source, settings())
    assert sums(copy) == sums(root)
    assert files(copy)[-1].read_bytes() == files(root)[-1].read_bytes()


def test_switched_off_the_files_go_and_the_release_is_as_without(copy: Path, source: str) -> None:
    expand(str(copy), source, [*PLAIN, "visual.model="])
    assert not files(copy) and "visual/" not in (copy / "release/SHA256SUMS").read_text()
    with pytest.raises(RootError, match=r"make the release with visual\.model set"):
        load_windows(str(copy), visual="visible")


def test_what_is_taken_down_is_not_seen_any_more(root: Path, copy: Path, tmp_path: Path) -> None:
    sample = next(iter(load_windows(str(copy), shuffle=0)))["json"]
    older = tmp_path / "older"
    shutil.copytree(root / "release", older)
    traces = Traces(pixels=frozenset([sample["sha256"]]))
    assert "states of a picture" in {left.what for left in prove(Store(str(copy)), traces)}
    assert (
        takedown([str(copy), "--sample", sample["sample_id"], "--reason", "asked", "--yes", "--also", str(older)]) == 0
    )
    for place in (copy, older):
        left = {what.what for what in prove(Store(str(place)), traces)}
        assert "states of a picture" not in left and "pixels" not in left
    assert sum(len(FeaturesFile(str(p)).hashes) for p in files(copy)) == 3 * (PICTURES - 1)
    assert len(list(load_windows(str(copy), visual="visible"))) == PICTURES - 1


@pytest.mark.parametrize(
    ("keys", "tokens"),
    [({"keep": "pooled"}, 1), ({"layer": 0}, TOKENS), ({"layer": -2, "stored": "bfloat16"}, TOKENS)],
)
def test_layers_and_pooled_states_can_be_named(keys: dict[str, Any], tokens: int) -> None:
    recipe = Visual(model=str(tiny_clip()), **keys)
    sight = identify(recipe)
    assert (sight.tokens, sight.width) == (tokens, WIDTH)
    (words,) = VisualEncoder(recipe, sight).encode([Image.new("RGB", (50, 50), "red")])
    assert words.shape == (tokens, WIDTH)
    assert sight.key != identify(Visual(model=str(tiny_clip()))).key


def test_other_towers_see_and_what_has_none_is_refused(tmp_path: Path) -> None:
    siglip = identify(Visual(model=str(make_tiny_siglip(tmp_path / "siglip"))))
    assert (siglip.tokens, siglip.width) == ((32 // 8) ** 2, WIDTH)
    demo = identify(Visual(model="demo"))  # the tower of a LLaVA
    assert demo.tokens > 9 and demo.layers > 1
    with pytest.raises(ModelError, match="image processor"):
        identify(Visual(model=str(tiny_t5())))
    with pytest.raises(ModelError, match=r"visual\.layer is 7.* has 2 layers"):
        identify(Visual(model=str(tiny_clip()), layer=7))
    with pytest.raises(ModelError, match=r"visual\.layer to -1"):
        identify(Visual(model=str(tiny_clip()), keep="pooled", layer=-2))


def test_the_estimate_tells_bytes(root: Path, source: str) -> None:
    recipe = ExpandImages.model_validate({"visual": {"model": str(tiny_clip())}, "windows": {"most": 2}})
    step = next(s for s in EXPANSION.steps(recipe, [source]) if s.name == "visual").ready(None)
    (stage,) = step.stages
    (_, looks), (_, stored) = stage.estimate(1000)
    assert "2,000 windows or pictures (at most 2 a picture)" in looks and f"{TOKENS} x {WIDTH} float16" in looks
    assert stored.split(" for ")[0].strip() == f"{2000 * TOKENS * WIDTH * 2 / 2**20:.1f} MiB"
    measured = next(s for s in EXPANSION.steps(recipe, [source]) if s.name == "visual").ready(Store(str(root)))
    assert "3,000 windows or pictures (as measured in this root)" in measured.stages[0].estimate(1000)[0][1]
