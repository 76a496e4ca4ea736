"""An object store that fails in mid-request costs time, or ends the run with a line that says so; never a byte."""

from __future__ import annotations

import random
from collections.abc import Iterator

import fsspec
import pytest

from curation.core import lock, manifest
from curation.core.engines.local import LocalEngine
from curation.core.errors import LapidaryError
from curation.core.lock import hold
from curation.core.pipeline import run_reduce, run_segment
from curation.core.root import open_root
from curation.core.store import Store
from tests.support.object_store import address, new_bucket
from tests.support.s3_proxy import FAULTS, S3Proxy, Trouble, s3_proxy
from tests.support.toy import Double, Rank, Shift, fingerprint, write_numbers

SEEDS = 1
MANY_SEEDS = 8  # of make chaos
SHARDS = 3
TABLES = ("numbers", "doubled", "shifted", "ranked")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Swift gets few of the seeds: it answers a request in ten milliseconds or more."""
    long = metafunc.config.getoption("--chaos", default=False)
    if "seed" in metafunc.fixturenames:
        found = [("moto", seed) for seed in range(MANY_SEEDS if long else SEEDS)]
        on_swift = [pytest.param("swift", seed, marks=pytest.mark.chaos) for seed in range(SEEDS)]
        metafunc.parametrize(("proxy", "seed"), [*found, *on_swift], indirect=["proxy"], scope="module")
    elif "proxy" in metafunc.fixturenames:
        found = ["moto", pytest.param("swift", marks=pytest.mark.chaos)]
        metafunc.parametrize("proxy", found, indirect=True, scope="module")


@pytest.fixture(scope="module")
def proxy(request: pytest.FixtureRequest) -> Iterator[S3Proxy]:
    with s3_proxy(address(request.param), request.param) as proxy:
        yield proxy


@pytest.fixture
def url(proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A root behind the proxy, whose clients give up sooner than ours do by themselves."""
    patience = {"read_timeout": 1, "connect_timeout": 2, "retries": {"max_attempts": 2}}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": patience})
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 2)
    monkeypatch.setattr(lock, "_SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(manifest, "_PAUSE", 0.01)
    monkeypatch.setattr(manifest, "LEAST_ELSEWHERE", 2)
    proxy.trouble = None
    yield f"{new_bucket(proxy.store, monkeypatch, proxy.url)}/root"
    proxy.trouble = None


def run(url: str) -> None:
    """A whole run of the toy data set, as a flow has it: locked, in steps, compacted behind each."""
    store = open_root(url, shared=True)
    with hold(store) as held:
        write_numbers(store, SHARDS)
        shards = store.shards("numbers")
        found = run_segment(store, LocalEngine(), [Double(), Shift()], shards, lambda _: held.check())
        failed = [f"{o.shard}: {o.error}" for o in found.failed]
        if failed:
            raise LapidaryError(f"shards failed: {failed}")
        run_reduce(store, Rank(), lambda _: held.check())
        for table in TABLES:
            manifest.compact(store, table)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the same run leaves in a folder."""
    root = str(tmp_path_factory.mktemp("folder") / "root")
    run(root)
    return fingerprint(Store(root), "tables", "files")


def _is_whole(url: str, expected: dict[str, str]) -> None:
    store = Store(url)
    assert fingerprint(store, "tables", "files") == expected
    assert {table: store.count(table) for table in TABLES} == dict.fromkeys(TABLES, SHARDS)
    assert not store.exists("lock.json") and not store.exists("lock.beat.json")


@pytest.mark.parametrize("lasts", ["passes", "stays"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_store_costs_no_byte(
    fault: str, lasts: str, seed: int, proxy: S3Proxy, url: str, expected: dict[str, str]
) -> None:
    """One that passes is not noticed; one that stays ends the run, and the next one goes on.

    A listing of former times may hide finished shards from a run, which then leaves the work on them to the next one.
    """
    chance = random.Random(f"{fault} {lasts} {seed}")
    trouble = Trouble(fault, at=chance.randrange(4, 30), many=1 if lasts == "passes" else -1)
    proxy.trouble = trouble
    ended = ""
    try:
        run(url)
    except LapidaryError as error:
        ended = str(error)
    proxy.trouble = None
    assert trouble.done, "the run was over before it"
    if lasts == "passes" and fault != "stale listing":
        assert not ended
    if ended:
        assert url.removeprefix("s3://") in ended and "\n" not in ended, ended
        lock_gone(url)
    if ended or fault == "stale listing":
        run(url)
    _is_whole(url, expected)


def lock_gone(url: str) -> None:
    """The lease of a run of this process stays where the store took no request; another process takes it over."""
    for name in ("lock.json", "lock.beat.json"):
        Store(url).remove(name)


def test_a_store_that_is_away_is_refused_in_one_line(proxy: S3Proxy, url: str) -> None:
    proxy.trouble = Trouble("slow down", at=0, many=-1)
    with pytest.raises(LapidaryError, match=r"cannot read s3://.*Service Unavailable"):
        run(url)
