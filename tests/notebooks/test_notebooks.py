"""Every notebook runs from top to bottom: on a small finished root, or as a training in miniature."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from curation.demo.web import DemoWeb
from tests.support.processes import REPOSITORY
from tests.support.runs import quick, refine

FOLDER = REPOSITORY / "notebooks"
TRAINING = FOLDER / "02_train_on_it.ipynb"
LOOKING = sorted(set(FOLDER.glob("*.ipynb")) - {TRAINING})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("notebooks")
    with DemoWeb(seed=2, scenes=30, without=("slow", "slow drip", "endless")) as web:
        web.write(folder / "source")
        refine(str(folder / "root"), f"{folder}/source/part-*.parquet", quick(web.host_port))
    return str(folder / "root")


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
def test_the_training_notebook_runs_in_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PAINTING": tmp_path, "PICTURES": 24, "STEPS": 6, "JUDGE_STEPS": 6}.items():
        monkeypatch.setenv(f"LAPIDARY_{name}", str(value))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    shown = shown_by(TRAINING)
    assert shown.count("data:image/jpeg;base64,") == 10 + 2 * 12
    assert "right colour of the right thing" in shown
