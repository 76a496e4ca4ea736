"""Whole runs captioned by the real vLLM: complete, and the same, whoever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from curation.caption.model.vllm_server import VllmServer
from curation.catalog import connect
from curation.core.store import Store
from curation.demo.web import DemoWeb
from schemas.arrow import rows_of
from schemas.captions import Caption
from tests.laws.conftest import SLOW, Site
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.processes import run, started
from tests.support.ray_cluster import ray_cluster
from tests.support.runs import RESULT, command, counted, quick, refine
from tests.support.vllm import (
    ARGUMENTS,
    ENVIRONMENT,
    PYTHON,
    checkpoint,
    kill_api_process,
    model_settings,
    writers_of,
)

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

# The demo captioner errs: what is released may be an alt text, and every caption is judged.
MODEST = [
    "export.alt_text_fallback=true",
    "source.shard_rows=40",
    "caption.concurrency=8",
    "download.timeout=30",  # engines start on the same cores meanwhile
    "caption.image_size=128",
    'caption.kinds=[{kind="dense", prompt="dense", max_tokens=96}, {kind="short", prompt="short", max_tokens=24}]',
]


@dataclass(frozen=True)
class Run:
    """A finished run: its root, and how often each request was sent."""

    root: Path
    proxy: FaultProxy


@pytest.fixture(scope="module")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with DemoWeb(seed=5, scenes=40, without=SLOW) as web:
        web.write(folder)
        settings = [s for s in quick(web.host_port) if not s.startswith(("caption.", "source."))]
        yield Site(web, folder, f"{folder}/part-*.parquet", [*settings, *MODEST])


def served(site: Site, url: str) -> list[str]:
    """The recipe of a run that asks a server which runs already."""
    return [*site.settings, *model_settings(), f'caption.endpoints=["{url}"]', "caption.serve.python="]


@pytest.fixture(scope="module")
def calm(vllm_server: VllmServer, small_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The run that nobody disturbs."""
    root = tmp_path_factory.mktemp("calm") / "root"
    with fault_proxy(vllm_server.url) as proxy:
        refine(str(root), small_site.source, served(small_site, proxy.url))
        yield Run(root, proxy)


def captions(root: Path) -> list[Caption]:
    store = Store(str(root))
    return [c for shard in store.shards("captions") for c in rows_of(Caption, store.read_table(Caption, shard))]


def journal(root: Path) -> dict[str, str]:
    """Every journalled reply by its key; fails when one was journalled twice."""
    found: dict[str, str] = {}
    for file in sorted(root.glob("replies/*.jsonl")):
        for line in file.read_bytes().split(b"\n"):
            try:
                replies = json.loads(line)
            except ValueError:
                continue  # a killed writer's torn line
            for reply in replies:
                assert reply["key"] not in found
                found[reply["key"]] = reply["text"]
    return found


def differing(a: Path, b: Path) -> tuple[int, int]:
    """How many captions differ between two roots that must agree in all else, and how many there are."""
    ours, theirs = captions(a), captions(b)
    assert [(c.sample_id, c.kind, c.reply_key) for c in ours] == [(c.sample_id, c.kind, c.reply_key) for c in theirs]
    return sum(x.text != y.text for x, y in zip(ours, theirs, strict=True)), len(ours)


def contents(root: Path) -> dict[str, bytes]:
    """Every file of the result by its path."""
    return {str(p.relative_to(root)): p.read_bytes() for f in RESULT for p in (root / f).rglob("*") if p.is_file()}


def assert_same_but_for_arithmetic(a: Path, b: Path) -> None:
    """Equal to the byte; or, where replies depend on the batch they were computed in, nearly everywhere.

    Sums of floats come out otherwise in another batch, and then a greedy choice may fall otherwise too: in
    64 short replies one differed between a full batch and none at all.
    """
    different, of = differing(a, b)
    print(f"{different} of {of} captions differ between {a} and {b}")
    assert different <= of * 0.1
    if not different:
        ours, theirs = contents(a), contents(b)
        assert [p for p in ours.keys() | theirs.keys() if ours.get(p) != theirs.get(p)] == []


def test_a_whole_run_is_captioned_by_vllm(calm: Run) -> None:
    counts = counted(str(calm.root))
    assert counts.kept > 0 and counts.failed == 0
    found = captions(calm.root)
    assert len(found) >= 40 and {c.reason for c in found} == {None}
    assert all(c.tokens_in and c.tokens_out and c.model == checkpoint().name for c in found)
    # Two tokens of fitness check a kind: one with an image, one without.
    assert sum(calm.proxy.questions.values()) == len({c.reply_key for c in found}) + 2 * 2


def test_the_catalog_tells_tokens_seconds_and_cost(calm: Run) -> None:
    with connect(str(calm.root)) as catalog:
        replies, seconds = catalog.execute("SELECT count(*), min(seconds) FROM replies").fetchall()[0]
        tokens = dict(catalog.execute("SELECT kind, tokens_out FROM costs").fetchall())
    found = captions(calm.root)
    assert replies == len({c.reply_key for c in found}) and seconds > 0
    assert tokens["dense"] == sum(c.tokens_out or 0 for c in found if c.kind == "dense")


def test_a_killed_server_is_restarted_and_nothing_is_lost_or_asked_twice(
    calm: Run, vllm_server: VllmServer, small_site: Site, tmp_path: Path
) -> None:
    root, before = tmp_path / "root", vllm_server.restarted
    half = len(captions(calm.root)) // 2
    with fault_proxy(vllm_server.url) as proxy:
        killer = threading.Thread(target=_kill_at, args=(proxy, half, vllm_server))
        killer.start()
        settings = [*served(small_site, proxy.url), "caption.timeout=400", "caption.retries=8"]
        refine(str(root), small_site.source, settings)
        killer.join()
        again = [q for q, n in proxy.questions.items() if n > 1 and proxy.delivered.count(q) > 1]
    assert vllm_server.restarted == before + 1
    assert counted(str(root)) == counted(str(calm.root))
    assert {c.reason for c in captions(root)} == {None}
    assert again == [], "a finished reply was asked for twice"
    assert_same_but_for_arithmetic(root, calm.root)


def _kill_at(proxy: FaultProxy, replies: int, server: VllmServer) -> None:
    deadline = time.monotonic() + 300
    while len(proxy.delivered) < replies and time.monotonic() < deadline:
        time.sleep(0.005)
    kill_api_process(server)


def own_server(site: Site) -> list[str]:
    """The recipe of a run that starts a server of its own."""
    serve = json.dumps(ARGUMENTS)
    return [
        *site.settings,
        "caption.backend=server",
        f"caption.model={checkpoint()}",
        f"caption.serve.python={PYTHON}",
        f"caption.serve.arguments={serve}",
    ]


def kill_when_under_way(words: list[str], root: Path, home: Path, **environment: str) -> None:
    """Starts a run with a server of its own and kills the driver alone, so that nobody is left to tidy up, once ten
    replies are there; then all of the server must be gone."""
    with started(words, home, log=home / "log.txt", **ENVIRONMENT, **environment) as process:
        deadline = time.monotonic() + 400
        while process.poll() is None and len(journal(root)) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None and len(journal(root)) >= 10, (home / "log.txt").read_text()
        assert len(writers_of(root / "logs")) > 2  # the API's process and its engine's
        os.kill(process.pid, signal.SIGKILL)
        assert_server_gone(root)
    assert list(root.glob("logs/vllm-*.log"))


def assert_server_gone(root: Path) -> None:
    deadline = time.monotonic() + 30
    while writers_of(root / "logs") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert writers_of(root / "logs") == []


def test_a_server_of_the_runs_own_ends_with_the_run_and_its_replies_stay(
    calm: Run, vllm_server: VllmServer, small_site: Site, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    kill_when_under_way(command(root, "local", small_site.source, own_server(small_site)), root, tmp_path)
    paid = journal(root)
    with fault_proxy(vllm_server.url) as proxy:
        refine(str(root), small_site.source, served(small_site, proxy.url))
        assert sum(proxy.questions.values()) == len({c.reply_key for c in captions(root)}) - len(paid) + 2 * 2
    assert paid.items() <= journal(root).items()
    assert counted(str(root)) == counted(str(calm.root))
    assert_same_but_for_arithmetic(root, calm.root)


@pytest.mark.timeout(1200)  # two servers start, one after the other
def test_on_a_ray_cluster_a_server_starts_and_ends_with_its_run(calm: Run, small_site: Site, tmp_path: Path) -> None:
    """The cluster outlives the runs, the killed one as well as the one that comes to its end."""
    root = tmp_path / "root"
    words = command(root, "cluster", small_site.source, own_server(small_site))
    with ray_cluster(tmp_path, **ENVIRONMENT) as address:
        kill_when_under_way(words, root, tmp_path, RAY_ADDRESS=address)
        paid = journal(root)
        done = run(words, tmp_path, timeout=500, RAY_ADDRESS=address, **ENVIRONMENT)
        assert done.returncode == 0, done.stderr[-2000:]
        assert_server_gone(root)
    assert len(list(root.glob("logs/vllm-*.log"))) == 2
    assert paid.items() <= journal(root).items()
    assert counted(str(root)) == counted(str(calm.root))
    assert_same_but_for_arithmetic(root, calm.root)
