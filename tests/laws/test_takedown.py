"""What is taken down is gone from every byte of a root, stays gone, and nothing else changes."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from curation.catalog import connect
from curation.core.store import Store
from curation.dedupe.gather import parts_of
from curation.load.features import FeaturesFile
from curation.sources.tombstones import OWN, read_own
from curation.takedown import near
from curation.takedown.choice import choose
from curation.takedown.proof import Traces, prove
from tests.support.buried import COPIED, TWICE, Listed, asked, take_down, tars_of
from tests.support.news import anchor, newsroom
from tests.support.runs import counted
from tests.support.tiny_encoders import tiny_t5
from tests.support.toy import fingerprint

RESULTS = ("tables", "images", "release", "replies", OWN)
ALL = (*RESULTS, "manifest")


def test_what_is_taken_down_leaves_and_nothing_is_left_to_do(listed: Listed) -> None:
    gone = {listed.sample(COPIED), listed.sample(TWICE)}
    before = fingerprint(listed.store, "release", "tables", "images")
    choice = take_down(listed.url, urls=[listed.web.url(COPIED)], samples=[listed.sample(TWICE)])
    assert {one.sample_id for one in choice.goes} > gone and len(choice.goes) == 4  # the copy, and the second text
    counts = counted(listed.url)
    fates = "SELECT fate, reason, count(*) FROM samples WHERE reason = 'taken_down' GROUP BY ALL"
    assert listed.ask(fates) == [("rejected", "taken_down", 4)] and counts.source == len(listed.rows)
    after = fingerprint(listed.store, *ALL)
    asked = listed.web.requests.total()
    done = [(o.table, o.shard, o.error) for o in listed.run() if o.status != "skipped"]
    assert not done and listed.web.requests.total() == asked
    assert fingerprint(listed.store, *ALL) == after
    touched = {f"release/{shard}.tar" for shard in choice.shards}
    tars = {name for name in before if name.startswith("release/") and name.endswith(".tar")}
    assert {name for name in tars if before[name] != after.get(name)} == touched and touched < tars


def test_the_images_of_a_root_are_read_once_and_those_that_are_named_before(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named images are looked up in the shards that hold them alone; small shards are looked through together."""
    read: list[list[str]] = []

    def noted(store: Store, shards: Sequence[str], *told: Any, **more: Any) -> Any:
        read.append(list(shards))
        return parts_of(store, shards, *told, **more)

    monkeypatch.setattr(near, "parts_of", noted)
    sample = listed.sample(COPIED)
    choice = choose(listed.store, asked(samples=[sample]))
    holds = [row[0] for row in listed.ask(f"SELECT shard FROM rows WHERE sample_id = '{sample}'")]
    every = listed.store.shards("images")
    assert len(every) > 3 and read == [holds, every]
    read.clear()
    monkeypatch.setattr(near, "_ROWS", 0)
    assert choose(listed.store, asked(samples=[sample])).goes == choice.goes and len(choice.goes) == 2
    assert read == [holds, *([shard] for shard in every)]


def test_the_proof_finds_what_is_there_and_then_nothing(listed: Listed) -> None:
    """A proof that finds nothing says something only where it finds all that was there before."""
    wanted = {"urls": [listed.web.url(COPIED)], "hashes": []}
    choice = choose(listed.store, asked(**wanted))
    traces = Traces.of(choice.stones, choice.texts, choice.clear)
    assert any(url in choice.clear for url in wanted["urls"]) and len(choice.texts) >= 2
    folders = {left.file.rpartition("/")[0] for left in prove(listed.store, traces)}
    assert folders >= {
        *("tables/rows", "tables/source_columns", "tables/images", "tables/colours", "tables/thumbnails"),
        *("tables/duplicates", "tables/captions", "tables/caption_checks", "tables/placements", "tables/released"),
        *("images", "replies", "release", "release/metadata", "index/decided"),
    }
    of_hashes = {left.file for left in prove(listed.store, Traces.of(choice.stones))}
    assert {name.rpartition("/")[0] for name in of_hashes} >= {"tables/rows", "tables/images", "images", "release"}
    take_down(listed.url, **wanted)
    assert prove(listed.store, traces) == [] and prove(listed.store, Traces.of(read_own(listed.store))) == []
    listed.run()
    assert prove(listed.store, traces) == []
    stones = listed.store.read(OWN).decode()
    assert "http" not in stones and "picture" not in stones and '"reason": "request of the author"' in stones


def test_other_samples_stay_byte_for_byte(listed: Listed) -> None:
    before = _members(listed)
    choice = take_down(listed.url, urls=[listed.web.url(COPIED)])
    gone = {one.sample_id for one in choice.goes}
    after = _members(listed)
    assert {name for name in before if name.partition(".")[0] in gone} == before.keys() - after.keys() != set()
    assert all(before[name] == data for name, data in after.items())
    rows = listed.ask("SELECT count(*) FROM captions SEMI JOIN released USING (sample_id)")
    assert rows[0][0] >= len(after) // 3


def _members(listed: Listed) -> dict[str, bytes]:
    found = {}
    for path in sorted(Path(listed.url).glob("release/*.tar")):
        with tarfile.open(path) as tar:
            found |= {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    return found


def test_what_was_taken_down_is_not_fetched_again(listed: Listed, tmp_path: Path) -> None:
    """Neither by its url with another text, nor kept by another url; in this root and in one that is given the file."""
    web = listed.web
    gone = web.url(COPIED)
    take_down(listed.url, urls=[gone], hosts=["nowhere.example"])
    tars = tars_of(listed)
    again = web.serve("/again.jpg", web.picture(COPIED))
    listed.rows = [
        *(("https://images.nowhere.example/1.jpg", "a picture of a host"), (gone, "a text that nobody knew")),
        *((web.url(40), "a new picture"), (again, "the same bytes elsewhere"), *listed.rows),
    ]
    web.requests.clear()
    listed.run()
    assert set(web.requests) == {"/40.jpg", "/again.jpg"}
    counted(listed.url)
    found = dict(listed.ask("SELECT alt_text, reason FROM samples WHERE alt_text IN ('the same bytes elsewhere')"))
    assert found == {"the same bytes elsewhere": "taken_down"}
    assert listed.ask("SELECT count(*) FROM samples WHERE reason = 'taken_down'") == [(5,)]
    assert tars.items() <= tars_of(listed).items() and len(tars_of(listed)) > len(tars)

    other = Listed(web, tmp_path / "other", str(tmp_path / "other" / "root"), listed.rows)
    web.requests.clear()
    other.run([f'source.tombstones=["{listed.url}/{OWN}"]'])
    assert "/3.jpg" not in web.requests and web.requests["/4.jpg"] == 1
    assert other.ask("SELECT count(*) FROM samples WHERE reason = 'taken_down'") == [(5,)]
    counted(other.url)


def test_a_release_shard_that_loses_all_goes_and_its_number_is_not_given_again(listed: Listed) -> None:
    ((shard,),) = listed.ask("SELECT min(shard) FROM released WHERE split = 'train'")
    ids = [s for (s,) in listed.ask(f"SELECT sample_id FROM released WHERE shard = '{shard}'")]
    tars = tars_of(listed)
    take_down(listed.url, samples=ids)
    counted(listed.url)
    assert tars.keys() - tars_of(listed).keys() == {f"{shard}.tar"}
    assert not [o for o in listed.run() if o.status != "skipped"]
    left = tars_of(listed)
    listed.rows += [(listed.web.url(n), f"one of the new pictures, number {n}") for n in range(30, 36)]
    listed.run()
    counted(listed.url)
    assert left.items() <= tars_of(listed).items() and f"{shard}.tar" not in tars_of(listed)
    assert len(tars_of(listed)) > len(left)


def test_a_root_of_news_loses_what_its_articles_say_too(tmp_path: Path) -> None:
    source, root = newsroom(tmp_path / "news", scenes=24), str(tmp_path / "root")
    anchor(root, source)
    store = Store(root)
    with connect(root) as catalog:
        ((sample, article),) = catalog.execute(
            "SELECT sample_id, article_id FROM released JOIN placements USING (sample_id, shard) "
            "JOIN articles USING (sample_id) ORDER BY sample_id LIMIT 1"
        ).fetchall()
    choice = choose(store, asked(samples=[sample]))
    traces = Traces.of(choice.stones, choice.texts, choice.clear)
    folders = {left.file.rpartition("/")[0] for left in prove(store, traces)}
    assert folders >= {"tables/cleaned", "tables/subjects", "tables/entities", "replies", "release"}
    take_down(root, samples=[sample])
    assert prove(store, traces) == []
    with connect(root) as catalog:
        told = catalog.execute("SELECT outlet, article_id FROM articles WHERE sample_id = $1", [sample]).fetchall()
    assert article and told and set(told) == {(None, None)}
    counted(root)
    assert not [o for o in anchor(root, source) if o.status != "skipped"]


@pytest.mark.slow
def test_hidden_states_of_captions_go_and_the_others_stay(made: Listed, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    settings = (*made.settings, f'features={{model="{tiny_t5()}", dtype="float32"}}')
    listed = Listed(made.web, tmp_path, str(tmp_path / "root"), list(made.rows), settings)
    listed.run()
    choice = choose(listed.store, asked(urls=[listed.web.url(COPIED)]))
    traces = Traces.of(choice.stones, choice.texts, choice.clear)
    assert "states of a text" in {left.what for left in prove(listed.store, traces)}
    before = _states(listed)
    take_down(listed.url, urls=[listed.web.url(COPIED)])
    after = _states(listed)
    assert after.items() < before.items() and len(before) - len(after) <= 2 * len(choice.goes)
    assert prove(listed.store, traces) == []
    assert not [o for o in listed.run() if o.status != "skipped"]
    assert _states(listed) == after


def _states(listed: Listed) -> dict[tuple[str, str], bytes]:
    found = {}
    for path in sorted(Path(listed.url).glob("release/features/*.safetensors")):
        file = FeaturesFile(str(path))
        hashes = [h.tobytes() for h in file.hashes]
        found |= {(path.stem, h.hex()): file.words(n).tobytes() for n, h in enumerate(hashes)}
    return found


def test_what_is_stored_and_not_wanted_today_goes_too(listed: Listed) -> None:
    """A tightened filter leaves pixels in the root that no table of images knows; so does an interrupted download."""
    url = f"http://{listed.web.host}/copy.jpg"
    listed.run(["source.min_characters=40"])
    ((shard, reason),) = listed.ask(f"SELECT shard, reason FROM rows WHERE url = '{url}'")
    assert reason == "few_characters" and listed.store.exists(Store.stored_file(shard))
    spool = Path(listed.store.path(f"unfinished/{shard}.rows"))
    spool.parent.mkdir(exist_ok=True)
    spool.write_bytes(b"a row of an interrupted download: " + url.encode())
    log = Path(listed.store.path("runs/earlier.json"))
    log.parent.mkdir(exist_ok=True)
    log.write_text(json.dumps({"detail": f"cannot read {url}: gone"}))
    choice = choose(listed.store, asked(urls=[url]))
    assert len(choice.goes) == 2  # the picture that looks like it, found by what is stored of this one
    traces = Traces.of(choice.stones, choice.texts, choice.clear)
    left = {one.file for one in prove(listed.store, traces)}
    assert left >= {Store.stored_file(shard), Store.images_file(shard), f"unfinished/{shard}.rows", "runs/earlier.json"}
    take_down(listed.url, urls=[url])
    assert prove(listed.store, traces) == [] and not spool.exists()
    assert json.loads(log.read_text()) == {"detail": "cannot read [taken down]: gone"}
    counted(listed.url)
    assert not [o for o in listed.run() if o.status != "skipped"]
