"""What a finished run ends with, as its exit code and its last lines say: done, or nearly all lost."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from PIL import Image

from curation.core.errors import ShardsFailed, StoreError
from curation.core.store import Store
from curation.release.remedies import LEAST_ROWS
from flows import refine_laion, tasks
from flows.product import Prepared, run_request
from flows.request import EXIT_CODES, Request
from flows.tasks import EXIT_FAILED_SHARDS, EXIT_MOSTLY_LOST, EXIT_OK, EXIT_USAGE, handed
from tests.support.no_prefect import NoApi
from tests.support.runs import refine

ROWS = LEAST_ROWS + 2


def pictures(folder: Path, count: int, worded: int) -> Path:
    """Pictures with texts, the first ``worded`` of them of five words, the others of one."""
    folder.mkdir()
    for n in range(count):
        Image.effect_noise((80, 60), 10 + 9 * n).save(folder / f"p{n:02d}.png")
        (folder / f"p{n:02d}.txt").write_text(f"noise of the number {n}" if n < worded else "noise")
    return folder


SETTINGS = ("caption.backend=scripted", "check.names=ignore", "source.min_words=3", "download.min_side=1")


def ended(source: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command whose flow runs without Prefect."""
    monkeypatch.setattr(tasks, "PrefectApi", NoApi)

    def run(**parameters: object) -> dict[str, int]:
        outcomes = refine(str(root), str(source), SETTINGS)
        assert not [o for o in outcomes if o.status == "failed"]
        return {}

    request = Request("flows.refine_laion", (str(source),), str(root), None, SETTINGS, 0, "local", "local")
    return run_request(refine_laion.LAION_REFINED, run, request)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "worded", "code"),
    [
        (ROWS, ROWS // 2, EXIT_OK),
        (ROWS, ROWS // 2 - 1, EXIT_MOSTLY_LOST),
        (ROWS, 0, EXIT_MOSTLY_LOST),
        (3, 1, EXIT_OK),
    ],
)
def test_a_release_that_is_empty_or_mostly_lost_ends_with_a_code_of_its_own(
    rows: int,
    worded: int,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = pictures(tmp_path / "source", rows, worded)
    for _ in range(2 if worded == 0 else 1):  # a second run, which finds everything finished, says the same
        assert ended(source, tmp_path / "root", monkeypatch) == code
        warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
        assert bool(warned) == (code == EXIT_MOSTLY_LOST)
        assert ("nothing was released" in "".join(warned)) == (worded == 0)
        assert not warned or "few_words: lower source.min_words" in warned[-1]
    card = Store(str(tmp_path / "root")).read("release/README.md").decode()
    assert ("ower source.min" in card) == (worded == 0), "the card of an empty release says why it is empty"


@pytest.mark.parametrize("url", ["zip://a.zip", "memory://r", "http://127.0.0.1:9/r", "s3:/bucket/r", "nosuch://r", ""])
@pytest.mark.parametrize("flow", ["flows.refine_laion", "flows.build_anchor", "flows.dedupe"])
def test_a_root_that_cannot_be_is_refused_in_one_line(
    url: str, flow: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = pictures(tmp_path / "source", 1, 1)
    words = [str(source), "--out", url] if flow == "flows.dedupe" else ["--source", str(source), "--root", url]
    assert importlib.import_module(flow).main([*words, "--dry-run", "--engine", "ray"]) == EXIT_USAGE
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: "), said


@pytest.mark.parametrize("failed", [False, True])
def test_a_store_that_goes_away_before_the_summary_costs_one_line(
    failed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "PrefectApi", NoApi)

    def run(**parameters: object) -> dict[str, int]:
        checked = handed(Prepared)
        assert checked is not None and checked.store.url == str(tmp_path / "root"), "a flow finds what was checked"
        if failed:
            raise ShardsFailed({"captions": ["s-0"]})
        return {}

    def summary(store: Store) -> None:
        raise StoreError("the store did not answer")

    source = pictures(tmp_path / "source", 1, 1)
    request = Request("flows.refine_laion", (str(source),), str(tmp_path / "root"), None, SETTINGS, 0, "local", "local")
    code = run_request(refine_laion.LAION_REFINED, run, request, summary)  # type: ignore[arg-type]
    assert code == EXIT_FAILED_SHARDS and handed(Prepared) is None
    said = capsys.readouterr().err
    assert said.count("error: the store did not answer\n") == 1 and "Traceback" not in said
    assert ("shards failed" in said or "shard failed" in said) == failed


def test_help_says_from_how_many_rows_on() -> None:
    assert f"of at least {LEAST_ROWS} rows" in EXIT_CODES
