"""The command line: what it prints, what it answers to bad input, and that nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.core.lock import hold
from curation.core.store import Store
from curation.demo.web import DemoWeb
from curation.sources.discover import open_source
from flows.refine_laion import main
from tests.support.bench_runs import write_source
from tests.support.processes import python, run, started
from tests.support.runs import counted, quick
from tests.support.web import Reply, Web

SLOW = ("slow", "slow drip", "endless")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DemoWeb, str]]:
    folder = tmp_path_factory.mktemp("site")
    with DemoWeb(seed=5, scenes=24, without=SLOW) as web:
        web.write(folder)
        yield web, f"{folder}/part-*.parquet"


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A list that is never fetched."""
    rows = {"URL": ["http://127.0.0.1:9/a.jpg"], "TEXT": ["a dog"], "WIDTH": [400], "HEIGHT": [300]}
    pq.write_table(
        pa.table({**rows, "similarity": [0.3], "hash": [1], "punsafe": [0.1], "pwatermark": [0.1]}),
        tmp_path / "a.parquet",
    )
    return str(tmp_path / "a.parquet")


def words(settings: list[str]) -> list[str]:
    return [w for s in settings for w in ("--set", s)]


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line with which the command line refuses, before any work."""
    assert main(argv) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1, printed
    return printed


def test_help_documents_every_recipe_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    for key in ("download.allow_private_hosts", "caption.kinds", "dedupe.distance", "export.shard_size"):
        assert key in printed


def test_a_missing_source_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = refused(capsys, "--source", f"{tmp_path}/none-*.parquet", "--root", f"{tmp_path}/root")
    assert "none-*.parquet" in printed
    assert not (tmp_path / "root").exists()


def test_a_truncated_source_is_refused(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Path(source).read_bytes()
    Path(source).write_bytes(data[: len(data) // 2])
    assert source in refused(capsys, "--source", source, "--root", f"{tmp_path}/root")


def test_an_unknown_dialect_lists_columns_and_dialects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table({"odd": [1], "even": [2]}), tmp_path / "odd.parquet")
    printed = refused(capsys, "--source", f"{tmp_path}/odd.parquet", "--root", f"{tmp_path}/root")
    assert "odd" in printed and "even" in printed and "laion-2b" in printed


def test_zero_rows_are_refused(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pq.read_table(source).slice(0, 0), source)
    refused(capsys, "--source", source, "--root", f"{tmp_path}/root")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["caption.modle=x"], "did you mean 'caption.model'"),
        (["check.min_words={dense=50}", "check.max_words={dense=20}"], "no caption can pass"),
        (["caption.model=/nowhere/at/all"], "/nowhere/at/all"),
        (["caption.model=demo", "check.language=klingon"], "klingon"),
        (["caption.kinds=[{kind='dense', prompt='no-such-prompt'}]"], "no-such-prompt"),
        (["download.proxy=ftp://x"], "download.proxy"),
        (["download.allow_private_hosts=['a b']"], "a b"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(
    settings: list[str], said: str, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "--source", source, "--root", f"{tmp_path}/root", *words(settings))
    assert not (tmp_path / "root").exists()


def test_notes_on_a_source_do_not_stand_before_a_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    lists, model = tmp_path / "lists", tmp_path / "model"
    lists.mkdir()
    (lists / "a.jsonl").write_text('{"link": "http://127.0.0.1:9/a.jpg", "words": "a dog on a lawn"}\n')
    open_source([str(lists)])
    assert "guessed: " in caplog.text, "the source has notes"
    capsys.readouterr()
    model.mkdir()
    refused(capsys, "--source", str(lists), "--root", f"{tmp_path}/root", *words([f"caption.model={model}"]))


def test_a_folder_that_is_no_model_is_refused(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("not a model")
    printed = refused(
        capsys, "--source", source, "--root", f"{tmp_path}/root", *words([f"caption.model={tmp_path}/model"])
    )
    assert "config.json" in printed


def test_a_server_that_answers_html_is_refused(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = Reply(b"<html><body>Welcome to nginx!</body></html>", headers={"Content-Type": "text/html"})
    with Web({"/v1/models": page}) as web:
        endpoint = web.url("/v1").rstrip("/")
        settings = ["caption.backend=server", f'caption.endpoints=["{endpoint}"]', "caption.model=m"]
        printed = refused(capsys, "--source", source, "--root", f"{tmp_path}/root", *words(settings))
    assert endpoint in printed


def test_an_unreachable_server_is_refused(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["caption.backend=server", 'caption.endpoints=["http://127.0.0.1:9/v1"]', "caption.model=m"]
    printed = refused(capsys, "--source", source, "--root", f"{tmp_path}/root", *words(settings))
    assert "127.0.0.1:9" in printed


@pytest.mark.parametrize(
    ("root", "said"), [("/proc/no/root", "cannot write"), ("/dev/null/root", "cannot be a folder: /dev/null is a file")]
)
def test_a_root_that_cannot_be_written_is_refused(
    root: str, said: str, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "--source", source, "--root", root, *words(["caption.backend=scripted"]))


def test_a_root_in_use_is_refused(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with hold(Store(str(tmp_path / "root"))):
        printed = refused(
            capsys, "--source", source, "--root", str(tmp_path / "root"), *words(["caption.backend=scripted"])
        )
    assert f"process {os.getpid()}" in printed


def test_a_root_of_another_recipe_says_what_differs(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Store(str(tmp_path / "root"))
    root.write("recipe.toml", b"[dedupe]\ndistance = 3\n[caption]\nbackend = 'scripted'\n")
    (tmp_path / "mine.toml").write_text("[caption]\nbackend = 'scripted'\n")
    printed = refused(capsys, "--source", source, "--root", root.url, "--recipe", f"{tmp_path}/mine.toml")
    assert "dedupe.distance: the root has 3, this run has 0" in printed


def test_a_dry_run_touches_nothing(
    site: tuple[DemoWeb, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web, list_of_urls = site
    before = sum(web.hits.values())
    argv = ["--source", list_of_urls, "--root", f"{tmp_path}/root", "--dry-run", *words(quick(web.host_port))]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert "claimed_too_small" in printed and "reply tokens" in printed and "shards" in printed
    assert sum(web.hits.values()) == before
    assert not (tmp_path / "root").exists()


TWICE = """
import shutil, sys
from flows.refine_laion import main
from flows.tasks import leave
new, source, *words = sys.argv[1:]
codes = [main([*words, *more]) for more in (["--dry-run"], [])]
shutil.move(new, source)
leave(codes != [0, 3] or main(words) != 3)
"""


@pytest.mark.slow
def test_the_same_asked_again_in_one_process_finds_what_came_since(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    for number, folder in enumerate((tmp_path / "new", source)):
        write_source(folder, 1, 64, 64, number)
    new = (tmp_path / "new" / "part-00000.tar").rename(tmp_path / "part-00001.tar")
    words = ("--source", str(source), "--root", str(root), "--engine", "local", "--set", "caption.backend=scripted")
    done = run([sys.executable, "-c", TWICE, str(new), str(source), *words], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert Store(str(root)).count("rows") == 2


def cli(source: str, root: Path, settings: list[str], *more: str) -> list[str]:
    return python("flows.refine_laion", "--source", source, "--root", str(root), *words(settings), *more)


@pytest.mark.slow
def test_a_run_prints_its_funnel_and_a_failed_shard_is_named_and_retried(
    site: tuple[DemoWeb, str], tmp_path: Path
) -> None:
    web, list_of_urls = site
    root = tmp_path / "root"
    settings = quick(web.host_port)
    done = run(cli(list_of_urls, root, settings, "--engine", "local"), tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rejected" in done.stdout and "kept" in done.stdout and "release" in done.stdout
    counts = counted(str(root))
    page = root / "report/index.html"
    assert f"look:     {page}" in done.stdout and page.exists()
    # The pixels of one shard go missing before an export that needs them.
    tar = sorted(root.glob("images/*.tar"))[0]
    whole = tar.read_bytes()
    tar.write_bytes(b"")
    changed = [*settings, "export.seed=1"]
    broken = run(cli(list_of_urls, root, changed, "--engine", "local"), tmp_path)
    assert broken.returncode == 1, broken.stderr[-3000:]
    assert "shards failed" in broken.stderr and " of released: " in broken.stderr
    assert "python -m flows.refine_laion" in broken.stderr
    assert counted(str(root)).failed > 0
    tar.write_bytes(whole)
    again = run(cli(list_of_urls, root, changed, "--engine", "local"), tmp_path)
    assert again.returncode == 0, again.stderr[-3000:]
    assert counted(str(root)).kept == counts.kept


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_says_what_is_kept_and_how_to_resume(times: int, tmp_path: Path) -> None:
    """One Ctrl-C ends the run in order, a second one at once; both leave a root that resumes."""
    with DemoWeb(seed=6, scenes=20, without=("slow", "slow drip")) as web:
        web.write(tmp_path / "source")
        settings = [s for s in quick(web.host_port) if "timeout" not in s]
        command = cli(f"{tmp_path}/source/part-*.parquet", tmp_path / "root", settings, "--engine", "local")
        with started(command, tmp_path) as process:
            deadline = time.monotonic() + 300
            while not any("endless" in p.trouble and web.hits.get(p.path) for p in web.pages):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            for _ in range(times):
                process.send_signal(signal.SIGINT)
                time.sleep(0.3)
            out, err = process.communicate(timeout=240)
    assert process.returncode == 130, (out[-1000:], err[-3000:])
    assert "kept" in err and "same command" in err
    assert list((tmp_path / "root").glob("manifest/rows/*.json"))
    with hold(Store(str(tmp_path / "root"))):
        pass


@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_nothing_is_lost(site: tuple[DemoWeb, str], tmp_path: Path) -> None:
    """A limit on the size of files stands in for a disk without room: tars do not fit, small tables do."""
    web, list_of_urls = site
    settings = quick(web.host_port)
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from curation.core.errors import StoreError\n"
        "from tests.support.runs import refine\n"
        "try:\n    refine(sys.argv[1], sys.argv[2], sys.argv[3:])\n"
        "except StoreError as error:\n    print('ERROR', error)\n"
    )
    done = run([sys.executable, "-c", code, str(tmp_path / "root"), list_of_urls, *settings], tmp_path)
    assert "ERROR cannot write" in done.stdout and "free space" in done.stdout, (done.stdout, done.stderr[-2000:])
    again = run(
        [sys.executable, "-m", "tests.support.runs", str(tmp_path / "root"), "local", list_of_urls, *settings], tmp_path
    )
    assert again.returncode == 0, again.stderr[-2000:]
    counted(str(tmp_path / "root"))


def test_python_of_the_wrong_version_is_told_so(tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\necho 3.13\n")
    fake.chmod(0o755)
    script = Path(__file__).resolve().parents[2] / "infra" / "setup.sh"
    done = subprocess.run(
        [str(script)],
        env={**os.environ, "PYTHON": str(fake), "VENV": str(tmp_path / "v")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "3.11 or 3.12" in done.stderr and "3.13" in done.stderr
