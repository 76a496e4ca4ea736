"""Every command of the README and of the docs is run here as it stands there, in a folder like a newcomer's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.core.recipes import from_toml
from curation.demo.panoramas import write_panoramas
from curation.demo.web import DemoWeb
from schemas.refine import RefineLaion
from tests.support.chat_server import ChatServer
from tests.support.panoramas import expand
from tests.support.processes import REPOSITORY, environment
from tests.support.runs import quick, refine

# Long enough for the check: an empty release would end with an exit code of its own.
CAPTION = (
    "A large red circle stands in front of a pale green wall, and two small blue boxes lie on a brown floor to its "
    "left. A narrow grey ladder leans against the wall behind them."
)
# A script's captions say the same of whole and part, which no model's do.
EXPAND = ["caption.backend=scripted", "llm.backend=scripted", "consistency.max_shared=1"]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(language: str) -> list[str]:
    """The blocks of a language on all pages, each once."""
    found = (code for page in PAGES for code in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL))
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a list of one's own under laion/, and the demo's root under runs/demo."""
    folder = tmp_path_factory.mktemp("newcomer")
    with DemoWeb(seed=9, scenes=16, without=("slow", "slow drip", "endless")) as web:
        web.write(folder / "laion")
        refine(str(folder / "runs/demo"), f"{folder}/laion/part-*.parquet", quick(web.host_port))
        # One's own images would lie on the public web; these do not.
        (folder / "runs/refined").mkdir()
        (folder / "runs/refined/recipe.toml").write_text(
            f'[download]\nallow_private_hosts = ["{web.host_port}"]\n[source]\nshard_rows = 1000\n'
        )
        yield folder


def test_the_pages_have_commands() -> None:
    assert len(blocks("sh")) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("command", blocks("sh"), ids=lambda c: re.sub(r"\W+", "-", c)[:60])
def test_a_command_of_the_pages_runs(command: str, newcomer: Path, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    server = ChatServer(model="Qwen/Qwen2.5-VL-7B-Instruct", reply=lambda _: CAPTION)
    server.start()
    try:
        done = subprocess.run(
            ["bash", "-euc", command.replace("http://127.0.0.1:8000/v1", server.url)],
            cwd=newcomer,
            env=environment(tmp_path, PATH=path),
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        server.stop()
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    assert done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("code", blocks("python"), ids=lambda c: re.sub(r"\W+", "-", c)[:60])
def test_a_training_example_runs(code: str, newcomer: Path, tmp_path: Path) -> None:
    if "load_windows" in code and not (newcomer / "runs/expansion").exists():  # the command above makes it, too
        source = write_panoramas(newcomer / "panoramas", count=8)
        expand(str(newcomer / "runs/expansion"), str(source), EXPAND)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=newcomer,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_recipe_examples_are_recipes() -> None:
    found = [from_toml(RefineLaion, recipe.encode(), "the docs") for recipe in blocks("toml")]
    assert len(found) >= 3 and ["short", "dense"] in [[k.kind for k in recipe.caption.kinds] for recipe in found]


@pytest.mark.slow
def test_make_demo_prints_the_funnel_and_where_to_look(newcomer: Path, tmp_path: Path) -> None:
    """With the environment that is there: what installing it takes is seen in continuous integration."""
    venv = REPOSITORY / ".venv"
    if not (venv / ".installed").exists():
        pytest.fail("run the tests with make test, which makes .venv first")
    flags = f"--scenes 12 --port 0 --root {tmp_path}/demo"
    done = subprocess.run(
        ["make", "demo", f"DEMO={flags}"],
        cwd=REPOSITORY,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    assert "source rows" in done.stdout and f"{tmp_path}/demo/release" in done.stdout
    assert "hallucination" in done.stdout and "after" in done.stdout
    shutil.rmtree(tmp_path / "demo", ignore_errors=True)


def test_every_make_target_that_the_pages_name_is_there() -> None:
    texts = [page.read_text() for page in (*PAGES, REPOSITORY / "CONTRIBUTING.md")]
    named = {target for text in texts for target in re.findall(r"^ {4}make (\w+)", text, re.MULTILINE)}
    assert named >= {"demo", "test", "docs"}
    for target in named:
        done = subprocess.run(["make", "-n", target], cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
