"""What Prefect or Ray refuse before any work is one line and exit code 2; what a killed run started ends with it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from curation.core.watchdog import marked
from tests.support.processes import environment, mark_of, until

pytestmark = pytest.mark.slow
SCRIPTED = ("--set", "caption.backend=scripted", "--set", "check.names=ignore")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for n in range(3):
        Image.effect_noise((300, 240), 20 + n).save(folder / f"p{n}.png")
        (folder / f"p{n}.txt").write_text(f"noise number {n}")
    return folder


def command(source: Path, *more: str) -> list[str]:
    words = ["--source", str(source), "--root", str(source.parent / "root"), *SCRIPTED, *more]
    return [sys.executable, "-m", "flows.refine_laion", *words]


def refused(source: Path, variables: Mapping[str, str], *more: str, planned: bool = False) -> str:
    """The one line of a run that ended with exit code 2; where it had planned, behind its progress until then."""
    done = subprocess.run(
        command(source, *more),
        env=environment(source.parent, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, (done.stdout[-1000:], done.stderr[-1000:])
    *before, line = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert [words.split()[0] for words in before] == (["rows", "repeats"] if planned else []), done.stderr
    return line


@contextmanager
def locked(database: Path) -> Iterator[None]:
    database.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("CREATE TABLE held (a)")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.close()


def test_a_server_that_does_not_run_is_named(source: Path) -> None:
    said = refused(source, {"PREFECT_API_URL": "http://127.0.0.1:9/api"}, "--engine", "local")
    assert "http://127.0.0.1:9/api does not answer" in said and "PREFECT_API_URL" in said


def test_a_root_that_is_a_file_is_refused_by_a_run_as_by_its_dry_run(source: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("url\n")
    words = ("--root", str(tmp_path / "list.csv"), "--engine", "local")
    said = {refused(source, {}, *words, *more) for more in ((), ("--dry-run",))}
    assert len(said) == 1 and "list.csv is a file; name a folder" in said.pop()
    assert (tmp_path / "list.csv").read_text() == "url\n"


def test_a_home_that_cannot_be_written_is_named(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    said = refused(source, {"PREFECT_HOME": str(tmp_path / "file" / "home")}, "--engine", "local")
    assert str(tmp_path / "file") in said and "PREFECT_HOME" in said


def test_a_locked_database_is_named(source: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "home" / "prefect.db"):
        said = refused(source, {"PREFECT_HOME": str(tmp_path / "home")}, "--engine", "local")
    assert "prefect.db cannot be used (database is locked)" in said


@pytest.mark.ray
def test_a_socket_path_that_is_too_long_for_ray_is_one_line(source: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    assert "Ray cannot start" in refused(source, {"RAY_TMPDIR": str(deep)}, planned=True)


def test_a_cluster_that_is_not_there_is_one_line(source: Path) -> None:
    said = refused(source, {"RAY_ADDRESS": "127.0.0.1:9"}, "--profile", "cluster", planned=True)
    assert "127.0.0.1:9" in said


@pytest.mark.ray
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_nothing_outlives_a_run_that_is_killed(engine: str, source: Path) -> None:
    """The mark of the run stands in the environment of all that it starts."""
    run = subprocess.Popen(
        [*command(source, "--engine", engine), "--set", "source.shard_rows=1"],
        env=environment(source.parent),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    images = source.parent / "root/manifest/images"
    try:
        until(lambda: run.poll() is not None or images.is_dir())
        mark = mark_of(run.pid)
        assert mark and marked(mark), "the run had started servers"
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    until(lambda: not marked(mark))
