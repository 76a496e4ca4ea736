"""The yardstick's report, and one web for all that it measures. ``make quality`` takes the long form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from curation.demo.web import TRUTH, DemoWeb
from tests.support.figures import Figures
from tests.support.runs import quick

REPORT = pytest.StashKey[Figures]()
# Troubles that end by a deadline; the fetcher's own tests wait for those.
SLOW = ("slow", "slow drip", "endless")
SEED = 41


@dataclass(frozen=True)
class Site:
    """A served list: ``source`` is its glob, ``settings`` a quick recipe for it without a model."""

    web: DemoWeb
    truth: Path
    source: str
    settings: list[str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the long form of the yardstick")
    parser.addoption("--report", type=Path, help="where the yardstick's figures go, a JSON file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = Figures()


def pytest_terminal_summary(config: pytest.Config) -> None:
    if config.getoption("--full"):
        config.stash[REPORT].print(Console(width=100))
    if path := config.getoption("--report"):
        config.stash[REPORT].write(path)


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether this is the long form."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Figures:
    return request.config.stash[REPORT]


@pytest.fixture(scope="session")
def site(full: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("quality-site")
    with DemoWeb(seed=SEED, scenes=300 if full else 40, without=SLOW) as web:
        web.write(folder)
        settings = [*quick(web.host_port), "source.shard_rows=100", "export.shard_size=100"]
        yield Site(web, folder / TRUTH, f"{folder}/part-*.parquet", settings)
