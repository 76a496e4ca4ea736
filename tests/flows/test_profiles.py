"""Where workers live; a cluster that is not named is told before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from curation.core.engines.local import LocalEngine
from flows import build_anchor, dedupe, refine_laion
from flows.profiles import build_engine
from tests.support.news import QUICK, newsroom

NAMELESS = [None, "", " ", "auto", "local", "head-node", ":6379", "head-node:ray"]


def refused(
    main: Callable[[Sequence[str]], int], argv: Sequence[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert main(argv) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1, printed
    assert "RAY_ADDRESS=" in printed and "host:port" in printed
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("address", NAMELESS)
def test_a_cluster_without_an_address_is_refused_before_anything_is_written(
    address: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)
    visualnews, _ = newsroom(tmp_path / "news", scenes=4)
    pictures = str(Path(visualnews) / "origin")
    cluster = ["--profile", "cluster", "--root", str(tmp_path / "root")]
    refused(refine_laion.main, ["--source", pictures, *cluster, "--set", "caption.backend=scripted"], tmp_path, capsys)
    settings = [word for setting in QUICK for word in ("--set", setting)]
    refused(build_anchor.main, ["--source", visualnews, *cluster, *settings], tmp_path, capsys)
    out = ["--profile", "cluster", "--out", str(tmp_path / "out")]
    refused(dedupe.main, [pictures, *out], tmp_path, capsys)


@pytest.mark.parametrize("address", ["head-node:6379", "ray://head-node:10001", "[::1]:6379"])
def test_an_address_of_host_and_port_is_a_cluster(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert type(build_engine("cluster", "ray")).__name__ == "RayEngine"


def test_who_runs_everything_in_this_process_needs_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert isinstance(build_engine("cluster", "local"), LocalEngine)
