"""One small demo web for all laws of whole runs, and one run that nobody disturbed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from curation.core.engines.ray import RayEngine
from curation.demo.web import DemoWeb
from tests.support.buried import Listed
from tests.support.picture_web import PictureWeb
from tests.support.runs import quick, refine

# Troubles that end by a deadline; the fetcher's own tests wait for those.
SLOW = ("slow", "slow drip", "endless")
# Without these nothing ends by a deadline but on a busy machine, where it would make a difference that means nothing.
PATIENT = "download.timeout=20"


@dataclass(frozen=True)
class Site:
    """A served list: ``source`` is its glob, ``settings`` a quick recipe for it."""

    web: DemoWeb
    folder: Path
    source: str
    settings: list[str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos", action="store_true", help="the long form of the kill-and-resume laws")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves what takes minutes to ``make chaos``."""
    if config.getoption("--chaos", default=False):
        return
    long = [item for item in items if item.get_closest_marker("chaos")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Laws of object stores hold on moto, and in ``make chaos`` on OpenStack Swift too."""
    if "bucket" in metafunc.fixturenames:
        metafunc.parametrize("bucket", ["moto", pytest.param("swift", marks=pytest.mark.chaos)], indirect=True)


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether a law of object stores is tried in full: not on Swift, which asks for ten times as long a request."""
    return bool(request.config.getoption("--chaos")) and request.node.callspec.params["bucket"] == "moto"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with DemoWeb(seed=3, scenes=60, without=SLOW) as web:
        web.write(folder)
        yield Site(web, folder, f"{folder}/part-*.parquet", [*quick(web.host_port), PATIENT])


@pytest.fixture(scope="session")
def undisturbed(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    refine(str(root), site.source, site.settings)
    return root


@pytest.fixture(scope="session")
def ray_engine() -> Iterator[RayEngine]:
    """Ray in this process, for laws that compare its bytes with those of one process; its start takes ten seconds."""
    engine = RayEngine(cpus=2)
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def pictures() -> Iterator[PictureWeb]:
    with PictureWeb(60) as served:
        yield served


@pytest.fixture(scope="session")
def made(pictures: PictureWeb, tmp_path_factory: pytest.TempPathFactory) -> Listed:
    """A finished root, for takedowns; tests work on copies."""
    listed = Listed.of(pictures, tmp_path_factory.mktemp("made"))
    listed.run()
    return listed


@pytest.fixture
def listed(made: Listed, tmp_path: Path) -> Listed:
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    return Listed(made.web, tmp_path, str(tmp_path / "root"), list(made.rows))
