"""The laws of roots hold on object stores too: S3 as moto serves it on loopback, with ``--chaos`` Swift's s3api too."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.core.store import Store
from tests.laws.conftest import Site
from tests.support.object_store import bucket
from tests.support.processes import run, started
from tests.support.runs import RESULT, command, counted, refine
from tests.support.toy import fingerprint

__all__ = ["bucket"]

POINTS = (5, 24)  # entries of the manifest after which a run is killed
# A whole run of the site asks the store 6,900 times, most of a minute of processor time; make chaos does so on moto.
FEW = ("source.limit=48", "source.shard_rows=16")


@pytest.fixture
def settings(site: Site, long: bool) -> list[str]:
    return [*site.settings, *(() if long else FEW)]


@pytest.fixture(scope="module")
def known() -> dict[bool, dict[str, str]]:
    return {}


@pytest.fixture
def expected(
    site: Site, settings: list[str], long: bool, known: dict[bool, dict[str, str]], tmp_path: Path
) -> dict[str, str]:
    """What the same run leaves in a folder."""
    if long not in known:
        root = str(tmp_path / "root")
        refine(root, site.source, settings)
        known[long] = fingerprint(Store(root), *RESULT)
    return known[long]


def _entries(store: Store) -> int:
    return len(store.filesystem.glob(store.path("manifest/*/*.json")))


def test_a_run_killed_again_and_again_ends_as_one_in_a_folder_does(
    bucket: str, site: Site, settings: list[str], expected: dict[str, str], tmp_path: Path
) -> None:
    store = Store(f"{bucket}/some/prefix")
    words = command(store.url, "local", site.source, settings)
    killed = 0
    for point in POINTS:
        with started(words, tmp_path, log=tmp_path / "log.txt") as process:
            deadline = time.monotonic() + 180
            while process.poll() is None and _entries(store) < point and time.monotonic() < deadline:
                time.sleep(0.05)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
    assert killed >= 1, (tmp_path / "log.txt").read_text()[-2000:]
    done = run(words, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert fingerprint(store, *RESULT) == expected
    counted(store.url)
    assert not store.names("", "lock.json") and not store.names("unfinished")


@pytest.mark.chaos
def test_a_root_grows_with_a_list_in_the_store_as_one_in_a_folder_does(bucket: str, site: Site, tmp_path: Path) -> None:
    rows = pa.concat_tables([pq.read_table(part) for part in sorted(site.folder.glob("part-*.parquet"))])
    settings = [*site.settings, "source.shard_rows=16"]
    (tmp_path / "lists").mkdir()
    found: list[dict[str, str]] = []
    for part in range(2):
        file = tmp_path / "lists" / f"part-{part}.parquet"
        pq.write_table(rows.slice(20 * part, 20), file)
        Store(bucket).write(f"lists/{file.name}", file.read_bytes())
        for place in (bucket, str(tmp_path)):
            refine(f"{place}/root", f"{place}/lists/part-*.parquet", settings)
            found.append(fingerprint(Store(f"{place}/root"), *RESULT))
    assert found[0] == found[1] and found[2] == found[3] and found[0] != found[2]
    counted(f"{bucket}/root")


def test_of_two_runs_at_once_one_is_refused_and_the_other_is_undisturbed(
    bucket: str, site: Site, settings: list[str], expected: dict[str, str], tmp_path: Path
) -> None:
    store = Store(f"{bucket}/r")
    words = command(store.url, "local", site.source, settings)
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
    with (
        started(words, homes[0], log=homes[0] / "log.txt") as one,
        started(words, homes[1], log=homes[1] / "log.txt") as two,
    ):
        codes = sorted([one.wait(timeout=240), two.wait(timeout=240)])
    said = "".join((home / "log.txt").read_text() for home in homes)
    assert codes[0] == 0 and codes[1] != 0 and "is in use by process" in said, said[-2000:]
    assert fingerprint(store, *RESULT) == expected
