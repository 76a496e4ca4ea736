"""Whole runs that look for opt-outs: what forbids is rejected with its evidence, and no law of runs is broken by it."""

from __future__ import annotations

import json
import os
import signal
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.catalog import connect
from curation.core.recipes import differences, from_toml, load, to_toml
from curation.core.stage import digest
from curation.core.store import Store
from curation.fetch.download_stage import DownloadStage
from curation.products.refine import LAION_REFINED
from flows.request import command_line
from schemas.refine import RefineLaion
from schemas.signals import Signals, SignalVerdict
from tests.support.counting_web import HOST_FILES, CountingWeb
from tests.support.images import encoded, natural
from tests.support.manifests import xmp_packet
from tests.support.processes import started
from tests.support.runs import RESULT, command, counted, quick, refine
from tests.support.toy import fingerprint

PICTURES = 12
ROBOTS = b"""License: https://h.example/rsl.xml
User-agent: *
Allow: /
Content-Usage: /1.jpg train-ai=n

User-agent: GPTBot
Disallow: /2.jpg
"""
TDMREP = b'[{"location": "/3.jpg", "tdm-reservation": 1}]'
MINED = xmp_packet("<plus:DataMining>http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING</plus:DataMining>")
CREDITED = xmp_packet('<rdf:Description photoshop:Credit="An Agency"/>')
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
REJECTED = {
    "/1.jpg": ("opted_out", "content-usage"),
    "/2.jpg": ("robots_txt", "robots.txt"),
    "/3.jpg": ("opted_out", "tdmrep.json"),
    "/4.jpg": ("opted_out", "x-robots-tag"),
    "/5.jpg": ("opted_out", "plus:DataMining"),
}


@pytest.fixture(scope="module")
def web() -> Iterator[CountingWeb]:
    """Pictures of which five are kept out of training, each by another signal; the seventh states a licence."""
    with CountingWeb(PICTURES) as found:
        found.files = dict(zip(HOST_FILES, (ROBOTS, TDMREP), strict=True))
        found.headers = {
            "/4.jpg": {"X-Robots-Tag": "noimageai"},
            "/6.jpg": {"Link": '<https://h.example/licence>; rel="license"', "Last-Modified": DATE},
        }
        for n, packet in ((5, MINED), (7, CREDITED)):
            found.bodies[f"/{n}.jpg"] = encoded(natural(260 + n, 240, seed=n), "JPEG", quality=90, xmp=packet)
        yield found


@pytest.fixture
def source(web: CountingWeb, tmp_path: Path) -> str:
    web.requests.clear()
    web.asked.clear()
    web.delay = 0.0
    return web.write_list(tmp_path / "list")


def settings(web: CountingWeb, *more: str) -> list[str]:
    return [*quick(web.host), "source.shard_rows=6", "export.val=0", "export.test=0", *more]


def test_what_forbids_training_is_rejected_and_every_word_of_it_kept(
    web: CountingWeb, source: str, tmp_path: Path
) -> None:
    root = str(tmp_path / "root")
    refine(root, source, settings(web))
    assert counted(root).rejected == len(REJECTED)
    views = connect(root)
    lost = views.execute(
        "SELECT parse_path(s.url)[-1], s.reason, g.what FROM samples s JOIN signals g USING (sample_id) "
        "WHERE g.honoured AND s.fate = 'rejected'"
    )
    assert {f"/{name}": (reason, what) for name, reason, what in lost.fetchall()} == REJECTED
    kept = views.execute(
        "SELECT count(*) FROM samples s JOIN images i USING (sample_id) WHERE fate = 'kept'"
    ).fetchone()
    assert kept == (PICTURES - len(REJECTED),)
    # No pixel of what was refused is stored, and what the host's own rules exclude was not even asked for.
    assert views.execute("SELECT count(*) FROM images WHERE reason IS NOT NULL AND size IS NOT NULL").fetchone() == (0,)
    assert {path for path in web.bodies if not web.requests[path]} == {"/1.jpg", "/2.jpg"}
    assert web.asked == dict.fromkeys(HOST_FILES, 1)
    verbatim = dict(views.execute("SELECT what, verbatim FROM signals WHERE honoured").fetchall())
    assert verbatim["content-usage"] == "Content-Usage: /1.jpg train-ai=n"
    assert verbatim["robots.txt"] == "User-agent: gptbot / Disallow: /2.jpg"
    assert json.loads(verbatim["tdmrep.json"])["tdm-reservation"] == 1
    assert verbatim["plus:DataMining"].endswith("DMI-PROHIBITED-AIMLTRAINING")
    by_host = "SELECT images, honoured FROM signals_by_host WHERE host = '127.0.0.1' AND what = 'rsl-license'"
    assert views.execute(by_host).fetchone() == (PICTURES, 0)
    of_files = "SELECT what, verdict, honoured FROM signals_by_host WHERE host IS NULL ORDER BY what"
    assert views.execute(of_files).fetchall() == [("photoshop:Credit", "notice", 0), ("plus:DataMining", "forbids", 1)]
    card = (tmp_path / "root/release/README.md").read_text()
    assert "| tdmrep.json | forbids | 1 | 1 | 0 |" in card and "| rsl-license | licence | 12 | 0 | 7 |" in card
    assert "| link-license | `https://h.example/licence` | 1 | 1 |" in card
    again = refine(root, source, settings(web))
    assert {o.status for o in again} == {"skipped"} and web.asked == dict.fromkeys(HOST_FILES, 1)


def test_licence_attribution_and_date_travel_with_the_sample_and_the_time_of_retrieval_beside_it(
    web: CountingWeb, source: str, tmp_path: Path
) -> None:
    root, before = tmp_path / "root", time.time()
    refine(str(root), source, settings(web))
    with tarfile.open(root / "release/train-000000.tar") as tar:
        members = [m for m in tar if m.name.endswith(".json")]
        found = [json.loads(file.read()) for m in members if (file := tar.extractfile(m)) is not None]
    by_name = {sample["url"].rpartition("/")[2]: sample for sample in found}
    assert (by_name["6.jpg"]["license_url"], by_name["6.jpg"]["last_modified"]) == ("https://h.example/licence", DATE)
    assert (by_name["7.jpg"]["license_url"], by_name["7.jpg"]["attribution"]) == (
        "https://h.example/rsl.xml",
        "An Agency",
    )
    assert not any("retrieved_at" in sample for sample in found)
    times = connect(str(root)).execute(
        "SELECT count(*), epoch(min(retrieved_at)), epoch(max(retrieved_at)) FROM retrievals"
    )
    count, first, last = times.fetchone() or (0, 0, 0)
    assert count == PICTURES - len(REJECTED) and before - 1 <= first <= last <= time.time() + 1
    assert not list(root.glob("tables/retrievals")) and (root / "retrieved").is_dir()


def test_a_root_that_was_made_before_signals_keeps_its_downloads_and_answers_their_queries(
    web: CountingWeb, source: str, tmp_path: Path
) -> None:
    root = str(tmp_path / "root")
    refine(root, source, settings(web, "signals.enabled=false"))
    store = Store(root)
    text = store.read("recipe.toml").decode()
    start = text.index("[signals]")
    store.write("recipe.toml", (text[:start] + text[text.index("\n[", start) + 1 :]).encode())
    requests, before = dict(web.requests), fingerprint(store, *RESULT)
    assert not web.asked
    again = refine(root, source, settings(web))
    assert {o.status for o in again} == {"skipped"} and web.requests == requests and not web.asked
    assert fingerprint(store, *RESULT) == before
    views = connect(root)
    for view in ("signals", "signals_by_host", "retrievals"):
        assert views.execute(f"SELECT count(*) FROM {view}").fetchone() == (0,)
    # Switched on, everything is fetched anew, since nobody kept the headers.
    refine(root, source, settings(web, "signals.enabled=true"))
    assert counted(root).rejected == len(REJECTED)
    found = connect(root).execute("SELECT count(DISTINCT sample_id) FILTER (honoured) FROM signals").fetchone()
    assert found == (len(REJECTED),) and web.requests["/0.jpg"] == 2


@pytest.mark.slow
def test_a_killed_run_ends_byte_identical_and_keeps_its_first_times(
    web: CountingWeb, source: str, tmp_path: Path
) -> None:
    refine(str(tmp_path / "undisturbed"), source, settings(web))
    root = tmp_path / "root"
    web.requests.clear()
    web.delay = 0.2
    words = command(root, "local", source, settings(web, "download.threads=2"))
    with started(words, tmp_path, log=tmp_path / "log.txt") as process:
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            if any(file.stat().st_size > 5000 for file in root.glob("unfinished/*.rows")):
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    killed = time.time()
    web.delay = 0.0
    refine(str(root), source, settings(web))
    assert fingerprint(Store(str(root)), *RESULT) == fingerprint(Store(str(tmp_path / "undisturbed")), *RESULT)
    first = connect(str(root)).execute("SELECT epoch(min(retrieved_at)) FROM retrievals").fetchone()
    assert first is not None and first[0] < killed


def test_a_recipe_without_the_table_is_that_of_a_root_without_signals() -> None:
    former = from_toml(RefineLaion, b"", "recipe.toml")
    assert not former.signals.enabled and RefineLaion().signals.enabled
    assert former.signals.deciding() == {}
    assert from_toml(RefineLaion, to_toml(former), "recipe.toml") == former
    assert from_toml(RefineLaion, to_toml(RefineLaion()), "recipe.toml") == RefineLaion()
    on = former.model_copy(update={"signals": Signals()})
    assert [d.key for d in differences(former, on)] == ["signals.enabled"]
    before, after = (download_of(recipe) for recipe in (former, RefineLaion()))
    assert digest(before) == digest(DownloadStage(former.download)) != digest(after)


def download_of(recipe: RefineLaion) -> DownloadStage:
    return next(p for step in LAION_REFINED.steps(recipe, ()) for p in step.parts if isinstance(p, DownloadStage))


def test_the_help_documents_every_key_and_the_recipe_is_checked() -> None:
    text = command_line("flows.refine_laion", LAION_REFINED).format_help()
    assert "signals.forbidden" in text and "use_restricted" in text and "signals.agents" in text
    recipe = load(RefineLaion, None, ['signals.agents=["GPTBot"]', "signals.licensed=reject"])
    assert recipe.signals.rejects == {SignalVerdict.FORBIDS, SignalVerdict.LICENCE}
    with pytest.raises(Exception, match="not the name of a robot"):
        load(RefineLaion, None, ['signals.agents=["*"]'])
