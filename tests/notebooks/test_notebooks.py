"""Every notebook runs from top to bottom on a small finished root."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from curation.demo.web import DemoWeb
from tests.support.processes import REPOSITORY
from tests.support.runs import quick, refine

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("notebooks")
    with DemoWeb(seed=2, scenes=30, without=("slow", "slow drip", "endless")) as web:
        web.write(folder / "source")
        refine(str(folder / "root"), f"{folder}/source/part-*.parquet", quick(web.host_port))
    return str(folder / "root")


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_and_shows_pictures(path: Path, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAPIDARY_ROOT", root)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    notebook = nbformat.read(path, as_version=4)
    assert all(not c.get("outputs") for c in notebook.cells), f"{path.name} is committed with outputs; clear them"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = "".join(
        str(output.get("data", {}).get("text/html", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    assert shown.count("data:image/jpeg;base64,") > 10
    assert "near_duplicate" in shown
