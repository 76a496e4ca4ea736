"""Every notebook runs from top to bottom: on a small finished root, or as a training in miniature."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from curation.demo.web import DemoWeb
from tests.support.processes import REPOSITORY
from tests.support.runs import quick, refine
from tests.support.tiny_clip import make_tiny_clip

FOLDER = REPOSITORY / "notebooks"
TRAINING = FOLDER / "02_train_on_it.ipynb"
CHOOSING = FOLDER / "03_choose.ipynb"
LOOKING = sorted(set(FOLDER.glob("*.ipynb")) - {TRAINING, CHOOSING})


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A finished root as the demo's, and one with the scores of its pixels and with embeddings."""
    folder = tmp_path_factory.mktemp("notebooks")
    made = {name: str(folder / name) for name in ("without scores", "with scores")}
    source = f"{folder}/source/part-*.parquet"
    with DemoWeb(seed=2, scenes=30, without=("slow", "slow drip", "endless")) as web:
        web.write(folder / "source")
        refine(made["without scores"], source, quick(web.host_port))
        more = ['scores.compute=["pixels"]', f"embed.model={make_tiny_clip(folder / 'clip')}"]
        refine(made["with scores"], source, [*quick(web.host_port), *more])
    return made


@pytest.fixture(scope="module")
def root(roots: dict[str, str]) -> str:
    return roots["without scores"]


def shown_by(path: Path) -> str:
    """The HTML that the notebook's cells show when they are run."""
    notebook = nbformat.read(path, as_version=4)
    assert all(not c.get("outputs") for c in notebook.cells), f"{path.name} is committed with outputs; clear them"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    return "".join(
        str(output.get("data", {}).get("text/html", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def test_there_are_notebooks() -> None:
    assert LOOKING
    assert TRAINING.exists()


@pytest.mark.slow
@pytest.mark.parametrize("path", LOOKING, ids=lambda p: p.stem)
def test_a_notebook_runs_and_shows_pictures(path: Path, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPIDARY_ROOT", root)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    shown = shown_by(path)
    assert shown.count("data:image/jpeg;base64,") > 10
    assert "near_duplicate" in shown


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["without scores", "with scores"])
def test_the_notebook_of_thresholds_shows_both_sides(
    kind: str, roots: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAPIDARY_ROOT", roots[kind])
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    shown = shown_by(CHOOSING)
    below, _, above = shown.partition("at or above")
    assert min(below.count("data:image/jpeg;base64,"), above.count("data:image/jpeg;base64,")) >= 1
    assert "would reject" in shown and "scores.sharpness" in shown and "rank correlation" in shown
    (cells,) = re.findall(r"together</th>\s*<td[^>]*>([\d,]+)</td>", shown)
    assert 0 < int(cells) < 60, "some pictures, not all"
    (moved,) = re.findall(r": ([\d,]+) of [\d,]+ rows would end elsewhere", shown)
    assert f"{8 if kind == 'with scores' else 0} pictures" in shown
    assert int(moved) > 0 and ("scores.sharpness.min=" in shown) is (kind == "with scores")


@pytest.mark.slow
def test_the_training_notebook_runs_in_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PAINTING": tmp_path, "PICTURES": 24, "STEPS": 6, "JUDGE_STEPS": 6}.items():
        monkeypatch.setenv(f"LAPIDARY_{name}", str(value))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    shown = shown_by(TRAINING)
    assert shown.count("data:image/jpeg;base64,") == 10 + 2 * 12 + 4 * 2 + 6 * 3
    assert "right colour of the right thing" in shown
    assert "windows that show what their local caption says" in shown and "step 3" in shown
