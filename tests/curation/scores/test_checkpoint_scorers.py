"""Laws of the scorers whose weights the recipe names: image classifiers and aesthetic heads."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoModel, ViTConfig, ViTForImageClassification, ViTImageProcessorPil

from curation.catalog import connect
from curation.core.errors import ModelError, RecipeError
from curation.core.recipes import from_toml, load, to_toml
from curation.images.picture import Picture
from curation.scores.chosen import ChosenScores
from curation.scores.models import heads
from curation.scores.models.image_tower import ImageTower
from curation.scores.scorer import checked
from schemas.refine import RefineLaion
from schemas.scores import ImageScores
from tests.support.images import natural
from tests.support.runs import counted, refine
from tests.support.tiny_clip import make_tiny_clip, make_tiny_siglip

LABELS = ["neutral", "porn", "hentai"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_classifier(tmp_path_factory.mktemp("classifier"))


def make_classifier(folder: Path, **more: Any) -> Path:
    """A ViT of random weights with three labels."""
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    size |= {"image_size": 32, "patch_size": 16}
    names = dict(enumerate(LABELS))
    config = ViTConfig(id2label=names, label2id={v: k for k, v in names.items()}, **size, **more)
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("clip"))


def scores(recipe: dict[str, Any], name: str) -> Any:
    chosen = ChosenScores.of(ImageScores.model_validate(recipe))
    scorer = checked(next(s.scorer for s in chosen.step.through if s.scorer.name == name))  # type: ignore[attr-defined]
    with scorer.open() as measure:
        found = [measure(Picture(natural(90, 80, seed=n))) for n in range(3)]
    return scorer, found


def asked(model: Path, labels: dict[str, list[str]], name: str = "safety") -> dict[str, Any]:
    return {"classifiers": [{"name": name, "model": str(model), "labels": labels}]}


def test_probabilities_of_labels_are_added_up(classifier: Path) -> None:
    labels = {"nsfw": ["porn", "hentai"], "fine": ["neutral"], "porn": ["porn"]}
    scorer, found = scores(asked(classifier, labels), "safety")
    assert [c.name for c in scorer.columns] == ["safety_nsfw", "safety_fine", "safety_porn"]
    for unsafe, fine, porn in found:
        assert unsafe + fine == pytest.approx(1, abs=1e-5) and 0 < porn < unsafe
    assert len({row[0] for row in found}) == 3, "other pictures, other scores"


def test_labels_that_do_not_exclude_each_other_are_not_added(tmp_path: Path) -> None:
    model = make_classifier(tmp_path, problem_type="multi_label_classification")
    _, found = scores(asked(model, {"any": LABELS, "a": LABELS[:1], "b": LABELS[1:2], "c": LABELS[2:]}), "safety")
    assert all(row[0] == max(row[1:]) for row in found)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"nsfw": ["pron"]}, "names 'pron', which the model does not have; did you mean 'porn'?"),
        ({"x": ["zzz"]}, "its labels are neutral"),
    ],
)
def test_a_label_that_the_model_lacks_is_refused(classifier: Path, labels: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ModelError) as error:
        scores(asked(classifier, labels), "safety")
    assert said in str(error.value) and "scores.classifiers[safety].labels" in str(error.value)


def test_what_is_no_classifier_is_refused(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for model, said in ((tmp_path / "empty", "folder without config.json"), (tmp_path / "no", "is not there")):
        with pytest.raises(ModelError, match=said):
            scores(asked(model, {"a": ["b"]}), "safety")


@pytest.mark.parametrize(
    ("name", "said"), [("tones", "names a scorer 'tones'"), ("border", "makes a score 'border_share'")]
)
def test_a_classifier_takes_no_name_that_is_taken(classifier: Path, name: str, said: str) -> None:
    chosen = ChosenScores.of(ImageScores.model_validate(asked(classifier, {"share": ["porn"]}, name)))
    with pytest.raises(RecipeError, match=said):
        chosen.step.ready(None)


@pytest.mark.parametrize("wrong", [{"labels": {}}, {"labels": {"a": []}}, {"name": "Big", "labels": {"a": ["b"]}}])
def test_a_classifier_without_names_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ImageScores.model_validate({"classifiers": [{"name": "x", "model": "y", **wrong}]})


def test_a_limit_on_a_classifier_rejects_and_travels_in_the_recipe(classifier: Path, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for n in range(3):
        Image.fromarray(natural(300, 280, seed=n)).save(folder / f"{n}.png")
        (folder / f"{n}.txt").write_text(f"picture {n} of three")
    asking = f'scores.classifiers=[{{name="safety", model="{classifier}", labels={{nsfw=["porn", "hentai"]}}}}]'
    settings = ["caption.backend=scripted", "export.val=0", "export.test=0", "check.names=ignore", asking]
    recipe = load(RefineLaion, None, settings)
    assert from_toml(RefineLaion, to_toml(recipe), "it").scores == recipe.scores
    root = str(tmp_path / "root")
    refine(root, str(folder), [*settings, "scores.safety_nsfw.max=0"])
    assert counted(root).rejected == 3
    views = connect(root)
    assert views.execute("SELECT DISTINCT reason FROM samples").fetchone() == ("high_safety_nsfw",)
    assert views.execute("SELECT count(safety_nsfw) FROM score_safety").fetchone() == (3,)


def chain(sizes: list[int], names: list[str]) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    found = {}
    for (into, out), name in zip(pairwise(sizes), names, strict=True):
        found |= {f"{name}.weight": torch.randn(out, into) / into**0.5, f"{name}.bias": torch.randn(out)}
    return found


def sizes(width: int) -> list[int]:
    return [width, 1024, 128, 64, 16, 1]


@pytest.mark.parametrize(
    ("kind", "numbers", "prefix"),
    [("LAION's MLP head", (0, 2, 4, 6, 7), "layers"), ("the SigLIP v2.5 head", (0, 2, 4, 6, 8), "scoring_head")],
)
def test_a_head_gives_what_torch_gives(
    tmp_path: Path, clip: Path, kind: str, numbers: tuple[int, ...], prefix: str
) -> None:
    width = ImageTower(str(clip), "main", "cpu").embed([natural(64, 64)]).shape[1]
    weights = chain(sizes(width), [f"{prefix}.{n}" for n in numbers])
    save_file(weights, tmp_path / "head.safetensors")
    slots = _slots(width, numbers)
    published = torch.nn.Sequential(
        *(torch.nn.Linear(into, out) if out else torch.nn.Dropout(0.2) for into, out in slots)
    )
    published.load_state_dict({k.removeprefix(f"{prefix}."): v for k, v in weights.items()})
    published.eval()
    assert heads.opened(tmp_path / "head.safetensors").kind == kind
    scorer, found = scores({"aesthetics": {"head": str(tmp_path), "model": str(clip)}}, "aesthetic")
    tower = AutoModel.from_pretrained(clip)
    for n, (rating,) in enumerate(found):
        embedding = ImageTower(str(clip), "main", "cpu").embed([natural(90, 80, seed=n)])
        assert embedding.norm().item() == pytest.approx(1, abs=1e-5)
        with torch.inference_mode():
            assert rating == pytest.approx(published(embedding).item(), rel=1e-4)
    assert scorer.head.startswith("head ") and tower.config.projection_dim == width


def _slots(width: int, numbers: tuple[int, ...]) -> list[tuple[int, int]]:
    """Inputs and outputs of each module of the published sequence, 0 for those that are no linear layer."""
    steps = iter(pairwise(sizes(width)))
    return [next(steps) if place in numbers else (0, 0) for place in range(max(numbers) + 1)]


def test_the_linear_head_reads_siglip_too(tmp_path: Path) -> None:
    model = make_tiny_siglip(tmp_path / "siglip")
    width = ImageTower(str(model), "main", "cpu").embed([natural(64, 64)]).shape[1]
    weights = {"weight": torch.randn(1, width), "bias": torch.tensor([5.0])}
    save_file(weights, tmp_path / "linear.safetensors")
    recipe = {"aesthetics": {"head": str(tmp_path / "linear.safetensors"), "model": str(model)}}
    _, found = scores(recipe, "aesthetic")
    embedded = ImageTower(str(model), "main", "cpu").embed([natural(90, 80, seed=n) for n in range(3)])
    wanted = (embedded @ weights["weight"].T + 5).flatten().tolist()
    assert [row[0] for row in found] == pytest.approx(wanted, rel=1e-3)


def test_a_head_that_does_not_fit_is_refused(tmp_path: Path, clip: Path) -> None:
    save_file(chain(sizes(333), [f"layers.{n}" for n in (0, 2, 4, 6, 7)]), tmp_path / "wide.safetensors")
    save_file({"layers.0.weight": torch.zeros(3, 4)}, tmp_path / "odd.safetensors")
    save_file(chain([32, 999, 128, 64, 16, 1], [f"layers.{n}" for n in (0, 2, 4, 6, 7)]), tmp_path / "size.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "wide.safetensors").read_bytes()[:5000])
    (tmp_path / "head.pth").write_bytes(b"\x80\x04.")
    for name, said in (
        ("wide.safetensors", "for embeddings of 333 numbers"),
        ("odd.safetensors", r"holds layers\.0\.weight \(3, 4\); expected a linear head"),
        ("size.safetensors", r"expected a linear head"),
        ("cut.safetensors", "is damaged"),
        ("head.pth", "pickled weights are never loaded"),
        ("", "must hold one"),
        ("gone.safetensors", "is not there"),
    ):
        with pytest.raises(ModelError, match=said):
            scores({"aesthetics": {"head": str(tmp_path / name), "model": str(clip)}}, "aesthetic")
    with pytest.raises(ModelError, match=r"needs scores\.aesthetics\.head"):
        scores({"compute": ["aesthetic"]}, "aesthetic")
    with pytest.raises(ValueError, match="head is set and model is empty"):
        ImageScores.model_validate({"aesthetics": {"head": "x"}})
    assert np.isfinite(heads.opened(tmp_path / "wide.safetensors").rating(torch.ones(333)))
