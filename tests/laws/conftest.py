"""One small demo web for all laws of whole runs, and one run that nobody disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from curation.demo.web import DemoWeb
from tests.support.runs import quick, refine

# Troubles that end by a deadline; the fetcher's own tests wait for those.
SLOW = ("slow", "slow drip", "endless")


@dataclass(frozen=True)
class Site:
    """A served list: ``source`` is its glob, ``settings`` a quick recipe for it."""

    web: DemoWeb
    folder: Path
    source: str
    settings: list[str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos", action="store_true", help="the long form of the kill-and-resume laws")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with DemoWeb(seed=3, scenes=60, without=SLOW) as web:
        web.write(folder)
        yield Site(web, folder, f"{folder}/part-*.parquet", quick(web.host_port))


@pytest.fixture(scope="session")
def undisturbed(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    refine(str(root), site.source, site.settings)
    return root
