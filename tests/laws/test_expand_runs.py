"""What a whole run of expansion data promises, on panoramas whose truth is known."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import mlcroissant as mlc
import pytest
import webdataset as wds

from curation.catalog import connect
from curation.core.engines.ray import RayEngine
from curation.core.store import Store
from curation.demo.panorama_judge import judge_release
from curation.demo.panoramas import TRUTH, write_panoramas
from tests.support.chat_server import ChatServer, chat_server
from tests.support.panoramas import asking, expand, truthful
from tests.support.processes import run, started
from tests.support.runs import RESULT, counted
from tests.support.toy import fingerprint

PICTURES = 20


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("panoramas")
    write_panoramas(folder, seed=3, count=PICTURES, tiles=6)
    return folder


@pytest.fixture(scope="module")
def server(source: Path) -> Iterator[ChatServer]:
    with chat_server(reply=truthful(source)) as made:
        yield made


@pytest.fixture(scope="module")
def root(source: Path, server: ChatServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("expansion") / "root"
    expand(str(made), str(source / "pictures"), asking(server))
    return made


@pytest.mark.ray
def test_ray_gives_the_same_bytes(
    root: Path, source: Path, server: ChatServer, ray_engine: RayEngine, tmp_path: Path
) -> None:
    expand(str(tmp_path / "root"), str(source / "pictures"), asking(server), ray_engine)
    assert fingerprint(Store(str(tmp_path / "root")), *RESULT) == fingerprint(Store(str(root)), *RESULT)


def samples(root: Path) -> list[dict[str, Any]]:
    return [s for tar in sorted((root / "release").glob("*.tar")) for s in wds.WebDataset(str(tar), shardshuffle=False)]


def test_captions_tell_what_is_there_and_nothing_else(root: Path, source: Path) -> None:
    """With a captioner that sees rightly, all that is false would come from wrong windows."""
    judged = judge_release(source / TRUTH, Store(str(root)))
    assert judged.local.texts > 4 * PICTURES and judged.whole.texts > PICTURES / 2
    assert judged.local.f1 >= 0.95 and judged.local.false <= 0.03
    assert judged.whole.recall >= 0.95


def test_every_picture_has_one_fate_and_a_sample_holds_its_windows(root: Path) -> None:
    counts = counted(str(root))
    found = samples(root)
    assert counts.source == PICTURES and counts.failed == 0 and counts.kept == len(found) > PICTURES / 2
    for sample in found:
        fields = json.loads(sample["json"])
        assert sample["txt"].decode() == fields["global_caption"] == fields["caption"]
        assert fields["captions"] == {"global": fields["global_caption"]}
        windows = fields["windows"]
        assert [w["index"] for w in windows] == list(range(len(windows))) and len(windows) == 5
        assert len({w["side"] for w in windows}) == 1 and all(w["local_caption"] for w in windows)
        for before, after in pairwise(windows):
            assert before["box"] != after["box"] and after["overlap"] == 160
        assert all(i["side"] == windows[0]["side"] and len(i["caption"].split()) >= 5 for i in fields["imagined"])
    sides = Counter(json.loads(s["json"])["windows"][0]["side"] for s in found)
    assert set(sides) == {"left", "right", "up", "down"}


def test_imagined_captions_that_repeat_or_contradict_are_recorded_and_not_released(root: Path) -> None:
    with connect(str(root)) as catalog:
        checked = catalog.execute("SELECT fault, shared, contradiction, caption FROM imagined_checks").fetchall()
    faults = Counter(fault for fault, *_ in checked)
    assert set(faults) == {None, "repeats_caption", "contradicts_global"}
    for fault, shared, contradiction, _ in checked:
        assert (contradiction is None) == (fault == "repeats_caption")
        assert (shared > 0.5) == (fault == "repeats_caption")
        assert contradiction in (None, float(fault == "contradicts_global"))
    bad = {caption for fault, *_, caption in checked if fault}
    assert not bad & {i["caption"] for s in samples(root) for i in json.loads(s["json"])["imagined"]}


def test_a_picture_of_which_too_little_can_be_imagined_is_rejected_for_the_fault(
    root: Path, source: Path, server: ChatServer, tmp_path: Path
) -> None:
    copy = tmp_path / "root"
    shutil.copytree(root, copy)
    asked = len(server.asked)
    expand(str(copy), str(source / "pictures"), [*asking(server), "imagine.fewest=2"])
    assert not any("image_url" in json.dumps(body) for body in server.asked[asked + 6 :])
    with connect(str(copy)) as catalog:
        found = dict(
            catalog.execute("SELECT reason, count(*) FROM samples WHERE fate = 'rejected' GROUP BY 1").fetchall()
        )
    assert {"repeats_caption", "contradicts_global"} <= set(found)
    assert counted(str(copy)).kept < counted(str(root)).kept


def test_the_same_input_gives_the_same_bytes_and_a_second_run_asks_for_nothing(
    root: Path, source: Path, server: ChatServer, tmp_path: Path
) -> None:
    before = fingerprint(Store(str(root)), *RESULT, "manifest", "replies")
    assert {o.status for o in expand(str(root), str(source / "pictures"), asking(server))} == {"skipped"}
    assert fingerprint(Store(str(root)), *RESULT, "manifest", "replies") == before
    expand(str(tmp_path / "root"), str(source / "pictures"), asking(server))
    assert fingerprint(Store(str(tmp_path / "root")), *RESULT) == fingerprint(Store(str(root)), *RESULT)


def test_a_run_killed_again_and_again_ends_byte_identical(
    root: Path, source: Path, server: ChatServer, tmp_path: Path
) -> None:
    torn = tmp_path / "root"
    words = [sys.executable, "-m", "tests.support.panoramas", str(torn), str(source / "pictures"), *asking(server)]
    killed = 0
    for point in (9, 17):
        with started(words, tmp_path, log=tmp_path / "log.txt") as process:
            deadline = time.monotonic() + 240
            while process.poll() is None and time.monotonic() < deadline:
                if sum(1 for _ in torn.glob("manifest/*/*.json")) >= point:
                    os.killpg(process.pid, signal.SIGKILL)
                    killed += 1
                    break
                time.sleep(0.002)
    assert killed >= 1
    done = run(words, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert fingerprint(Store(str(torn)), *RESULT) == fingerprint(Store(str(root)), *RESULT)


def test_growth_adds_what_is_new_and_leaves_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    write_panoramas(folder, seed=3, count=10, tiles=6)
    with chat_server(reply=truthful(folder)) as server:
        expand(str(tmp_path / "root"), str(folder / "pictures"), asking(server))
        before = fingerprint(Store(str(tmp_path / "root")), "release")
        asked = len(server.asked)
    write_panoramas(folder, seed=3, count=14, tiles=6)
    with chat_server(reply=truthful(folder)) as server:
        expand(str(tmp_path / "root"), str(folder / "pictures"), asking(server))
        assert len(server.asked) < asked
    after = fingerprint(Store(str(tmp_path / "root")), "release")
    tars = {name: sha for name, sha in before.items() if name.endswith(".tar")}
    assert tars and all(after[name] == sha for name, sha in tars.items())
    assert len([n for n in after if n.endswith(".tar")]) > len(tars)
    assert counted(str(tmp_path / "root")).source == 14


@pytest.mark.parametrize("more", [[], ["verify.samples=2", "caption.temperature=0.5"]])
def test_false_statements_about_windows_are_cut_out_by_a_look_at_the_window(
    source: Path, tmp_path: Path, more: list[str]
) -> None:
    root = str(tmp_path / "root")
    settings = ["verify.enabled=true", "source.limit=8", "imagine.enabled=false", *more]
    with chat_server(reply=truthful(source, lie="A purple elephant sleeps in the middle.")) as server:
        expand(root, str(source / "pictures"), [*asking(server), *settings])
    with connect(root) as catalog:
        (said, left) = catalog.execute(
            "SELECT (SELECT count(*) FROM captions WHERE kind LIKE 'local%' AND text LIKE '%elephant%'), "
            "(SELECT count(*) FROM window_captions WHERE caption LIKE '%elephant%')"
        ).fetchone() or (0, 0)
    assert said == 8 * 5 and left == 0
    judged = judge_release(source / TRUTH, Store(root))
    assert judged.local.texts == 8 * 5 and judged.local.false == 0 and judged.local.f1 >= 0.95
    assert all("imagined" not in json.loads(s["json"]) for s in samples(tmp_path / "root"))
    assert counted(root).kept == 8


def test_the_card_tells_windows_and_imagined_captions_and_others_read_the_release(root: Path, tmp_path: Path) -> None:
    card = (root / "release" / "README.md").read_text()
    assert "## Windows" in card and "| repeats_caption |" in card and "`windows[].mask_box`" in card
    kept = len(samples(root))
    assert f"captions of {kept} pictures above 1.8:1 were joined" in card and "| joined | `joined@1` | " in card
    described = mlc.Dataset(jsonld=str(root / "release" / "croissant.json"))
    assert described.metadata.name == "Expansion"
    folder = tmp_path / "release"
    shutil.copytree(root / "release", folder)
    read = list(datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache")))
    assert len(read) == sum(json.loads(s["json"])["split"] == "train" for s in samples(root)) > 0
    assert all(s["json"]["windows"][0]["box"] and s["json"]["global_caption"] == s["txt"] for s in read)
    assert any(s["json"]["imagined"] for s in read)


def test_the_costs_of_everything_that_is_asked_are_told_by_kind(root: Path) -> None:
    with connect(str(root)) as catalog:
        costs = dict(catalog.execute("SELECT kind, replies FROM costs").fetchall())
        (journalled,) = catalog.execute("SELECT count(*) FROM replies").fetchone() or (0,)
    asked = {"joined", *(f"part_{n}" for n in range(4)), *(f"local_{n}" for n in range(5))}
    assert set(costs) == {*asked, "imagined", "contradicts"} and sum(costs.values()) == journalled
    # The first and the last part of a picture are also windows of it, whose captions were paid for as theirs.
    assert costs["part_1"] == costs["joined"] > costs["part_0"] == costs["part_3"] == 0
