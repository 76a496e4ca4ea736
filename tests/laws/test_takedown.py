"""What is taken down is gone from every byte of a root, stays gone, and nothing else changes."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from curation.catalog import connect
from curation.core.errors import RootError, SourceError
from curation.core.lock import LOCK, PENDING, hold
from curation.core.store import Store
from curation.load.features import FeaturesFile
from curation.sources.tombstones import OWN, read_own
from curation.takedown.choice import choose
from curation.takedown.copies import purge, release_copy
from curation.takedown.proof import Traces, prove
from flows.diff import main as diff
from flows.takedown import main
from schemas.tombstones import Tombstone
from tests.support.buried import COPIED, TWICE, Listed, asked, take_down
from tests.support.images import jpeg, natural
from tests.support.kills import every_kill, killed_at
from tests.support.news import anchor, newsroom
from tests.support.object_store import bucket
from tests.support.picture_web import PictureWeb
from tests.support.processes import run, started
from tests.support.runs import counted
from tests.support.tiny_encoders import tiny_t5
from tests.support.toy import fingerprint

__all__ = ["bucket"]

RESULTS = ("tables", "images", "release", "replies", OWN)
ALL = (*RESULTS, "manifest")


@pytest.fixture(scope="module")
def web() -> Iterator[PictureWeb]:
    with PictureWeb(60) as served:
        yield served


@pytest.fixture(scope="module")
def made(web: PictureWeb, tmp_path_factory: pytest.TempPathFactory) -> Listed:
    """A finished root; tests work on copies."""
    listed = Listed.of(web, tmp_path_factory.mktemp("made"))
    listed.run()
    return listed


@pytest.fixture
def listed(made: Listed, tmp_path: Path) -> Listed:
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    return Listed(made.web, tmp_path, str(tmp_path / "root"), list(made.rows))


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


@pytest.mark.slow
def test_a_takedown_killed_anywhere_ends_byte_identical(
    made: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    wanted = {"urls": [made.web.url(COPIED)], "samples": [made.sample(TWICE)]}
    roots = iter(range(10_000))

    def fresh() -> str:
        root = tmp_path / str(next(roots))
        shutil.copytree(made.url, root)
        return str(root)

    whole = fresh()
    take_down(whole, **wanted)
    expected = fingerprint(Store(whole), *RESULTS)
    at: list[str] = []

    def prepare() -> Callable[[], object]:
        at.append(fresh())
        return lambda: take_down(at[-1], **wanted)

    kills = 0
    for _ in every_kill(prepare, monkeypatch, step=3 if request.config.getoption("--chaos") else 23):
        if Store(at[-1]).exists(PENDING):  # a run would find a root between two states
            with pytest.raises(RootError, match="interrupted"), hold(Store(at[-1])):
                pass
        take_down(at[-1], **wanted)
        assert fingerprint(Store(at[-1]), *RESULTS) == expected
        assert not Store(at[-1]).names("takedown")
        shutil.rmtree(at[-1])
        kills += 1
    assert kills >= 5


def test_what_was_taken_down_is_not_fetched_again(listed: Listed, tmp_path: Path) -> None:
    """Neither by its url with another text, nor kept by another url; in this root and in one that is given the file."""
    web = listed.web
    gone = web.url(COPIED)
    take_down(listed.url, urls=[gone], hosts=["nowhere.example"])
    tars = _tars(listed)
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
    assert tars.items() <= _tars(listed).items() and len(_tars(listed)) > len(tars)

    other = Listed(web, tmp_path / "other", str(tmp_path / "other" / "root"), listed.rows)
    web.requests.clear()
    other.run([f'source.tombstones=["{listed.url}/{OWN}"]'])
    assert "/3.jpg" not in web.requests and web.requests["/4.jpg"] == 1
    assert other.ask("SELECT count(*) FROM samples WHERE reason = 'taken_down'") == [(5,)]
    counted(other.url)


def _tars(listed: Listed) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(Path(listed.url).glob("release/*.tar"))}


def test_samples_are_found_by_all_that_is_known_of_them(made: Listed, tmp_path: Path) -> None:
    """By a picture like it, by its bytes, its host, a list, the tombstones of another root."""
    web, store = made.web, made.store
    picture = tmp_path / "like.jpg"
    picture.write_bytes(jpeg(natural(224, 208, COPIED), quality=60))
    pair = {made.sample(COPIED), *(s for (s,) in made.ask("SELECT sample_id FROM rows WHERE url LIKE '%copy.jpg'"))}
    assert len(pair) == 2
    bytes_of = hashlib.sha256(web.picture(COPIED)).hexdigest()
    ((stored, copied),) = made.ask(f"SELECT sha256, sample_id FROM images WHERE sample_id = '{made.sample(COPIED)}'")
    told = tmp_path / "told.txt"
    told.write_text(f"{web.url(COPIED)}\n\n{copied.upper()}\n{bytes_of}\n")
    stones = tmp_path / "stones.jsonl"
    stones.write_text("".join(s.to_line() for s in choose(store, asked(urls=[web.url(COPIED)])).stones))
    for wanted in (
        *({"likes": [str(picture)]}, {"hashes": [bytes_of]}, {"hashes": [stored]}, {"samples": [copied]}),
        *({"lists": [str(told)]}, {"lists": [str(stones)]}, {"urls": [f"http://{web.host}/copy.jpg"]}),
    ):
        choice = choose(store, asked(**wanted))
        assert {one.sample_id for one in choice.goes} == pair, wanted
        assert not choice.absent
    everything = choose(store, asked(hosts=["127.0.0.1"]))
    assert {one.sample_id for one in everything.goes} == {s for (s,) in made.ask("SELECT sample_id FROM rows")}
    nothing = choose(store, asked(urls=["http://absent.example/1.jpg"], hosts=["example.org"], samples=["0" * 32]))
    assert not nothing.goes and len(nothing.absent) == 3 and len(nothing.stones) == 2


def test_a_release_shard_that_loses_all_goes_and_its_number_is_not_given_again(listed: Listed) -> None:
    ((shard,),) = listed.ask("SELECT min(shard) FROM released WHERE split = 'train'")
    ids = [s for (s,) in listed.ask(f"SELECT sample_id FROM released WHERE shard = '{shard}'")]
    tars = _tars(listed)
    take_down(listed.url, samples=ids)
    counted(listed.url)
    assert tars.keys() - _tars(listed).keys() == {f"{shard}.tar"}
    assert not [o for o in listed.run() if o.status != "skipped"]
    left = _tars(listed)
    listed.rows += [(listed.web.url(n), f"one of the new pictures, number {n}") for n in range(30, 36)]
    listed.run()
    counted(listed.url)
    assert left.items() <= _tars(listed).items() and f"{shard}.tar" not in _tars(listed)
    assert len(_tars(listed)) > len(left)


def test_a_takedown_on_an_object_store_ends_as_one_in_a_folder(
    bucket: str, made: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"urls": [made.web.url(COPIED)], "samples": [made.sample(TWICE)]}
    folder = tmp_path / "root"
    shutil.copytree(made.url, folder)
    take_down(str(folder), **wanted)
    store = Store(f"{bucket}/some/prefix")
    store.filesystem.put(f"{made.url}/", f"{store.path('')}", recursive=True)
    store.remove(LOCK)  # the folder's, which is nothing but a name there
    choice = choose(store, asked(**wanted))
    for change in (40, 90):  # before anything happened, and amid the moves
        assert killed_at(change, lambda: take_down(store.url, **wanted), monkeypatch), change
        store.remove(LOCK)
    take_down(store.url, **wanted)
    compared = ("tables", "images", "release", OWN)
    assert fingerprint(store, *compared) == fingerprint(Store(str(folder)), *compared)
    assert prove(store, Traces.of(choice.stones, choice.texts, choice.clear)) == []
    assert not store.names("takedown") and not store.names("", LOCK)
    counted(store.url)


def test_the_command_shows_first_and_does_it_with_yes(
    listed: Listed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = fingerprint(listed.store, *ALL[:-2], "manifest", "index")
    words = [listed.url, "--url", listed.web.url(COPIED), "--reference", "case 17"]
    assert main(words) == 2 and "--reason is missing" in capsys.readouterr().err
    words += ["--reason", "request of the author"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "near" in said and "2 samples" in said and "nothing was changed" in said
    assert fingerprint(listed.store, *ALL[:-2], "manifest", "index") == before
    assert main([*words, "--yes", "--verify"]) == 0
    assert "taken down: 2 samples" in (said := capsys.readouterr().out) and "verified" in said
    assert main([*words, "--yes", "--verify"]) == 0 and "taken down: 0 samples" in capsys.readouterr().out
    (Path(listed.url) / "images" / "copy.tar").write_bytes(b"")
    (Path(listed.url) / "notes.json").write_text(json.dumps({"seen": [listed.web.url(COPIED)]}))
    assert main([listed.url, "--verify"]) == 1 and "notes.json: a url" in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere"), "--url", "http://x.example/1", "--reason", "r"]) == 2
    assert not (tmp_path / "nowhere").exists()
    assert main([listed.url, "--sample", "17", "--reason", "r"]) == 2


@pytest.mark.parametrize(
    "line",
    [
        *("not json", "[]", '{"date": 5}', '{"date": "2026-01-02", "more": "x"}', '{"date": "2026-01-02\\n"}'),
        *(
            '{"date": "2026-01-02", "url_sha256": "http://x"}',
            "[" * 100_000,
            '{"date": "2026-01-02", "sample_id": "0"}',
        ),
    ],
)
def test_a_damaged_file_of_tombstones_stops_the_run_before_anything_is_fetched(
    line: str, web: PictureWeb, tmp_path: Path
) -> None:
    stones = tmp_path / "stones.jsonl"
    stones.write_text(Tombstone("2026-01-02", "r", "", url_sha256="0" * 64).to_line() + line + "\n")
    web.requests.clear()
    with pytest.raises(SourceError, match=r"line 2 of .* is no tombstone"):
        Listed.of(web, tmp_path).run([f'source.tombstones=["{stones}"]'])
    assert not web.requests


@pytest.mark.slow
def test_the_command_killed_by_the_system_ends_byte_identical(made: Listed, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(made.url, whole)
    options = ["--url", made.web.url(COPIED), "--reason", "r", "--reference", "1", "--yes"]
    assert main([str(whole), *options]) == 0
    words = [sys.executable, "-m", "flows.takedown"]
    killed = 0
    for number, places in enumerate((0, 12, 40)):
        root = tmp_path / str(number)
        shutil.copytree(made.url, root)
        before = {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}
        with started([*words, str(root), *options], tmp_path, log=tmp_path / "log.txt") as process:
            deadline = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < deadline:
                if (root / PENDING).exists() and _moved(root, before) >= places:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    killed += 1
        done = run([*words, str(root)], tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
        assert fingerprint(Store(str(root)), *RESULTS) == fingerprint(Store(str(whole)), *RESULTS)
        assert not (root / "takedown").exists()
        counted(str(root))
    assert killed >= 2


def _moved(root: Path, before: dict[Path, int]) -> int:
    """How many files are no longer as they were."""
    found = 0
    for path, when in before.items():
        try:
            found += path.stat().st_mtime_ns != when
        except FileNotFoundError:
            found += 1
    return found


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


def test_a_takedown_is_the_next_version_and_diff_tells_what_it_did(
    listed: Listed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(Path(listed.url) / "release", old)
    choice = take_down(listed.url, urls=[listed.web.url(COPIED)])
    release = Path(listed.url) / "release"
    assert (release / "VERSION").read_text() == "2\n"
    changes = (release / "CHANGELOG.md").read_text()
    assert "## Version 2 (2026-01-02)" in changes and "request of the author; case 17" in changes
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=release).returncode == 0
    assert "VERSION" in (release / "SHA256SUMS").read_text()
    assert diff([str(old), listed.url]) == 0
    said = capsys.readouterr().out
    assert "0 samples added" in said and "1 samples removed (plan/taken_down 1)" in said and "1 changed" in said
    assert diff([str(old), listed.url, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["removed"]) <= {one.sample_id for one in choice.goes}
    assert diff([listed.url, listed.url, "--write"]) == 0 and (release / "VERSION").read_text() == "2\n"

    before = _tars(listed)
    shutil.copytree(release, tmp_path / "second")
    listed.rows += [(listed.web.url(n), f"one of the new pictures, number {n}") for n in range(50, 54)]
    listed.run()
    assert before.items() <= _tars(listed).items()
    for _ in range(2):  # the second time it has been told
        assert diff([str(tmp_path / "second"), listed.url, "--write"]) == 0
        assert (release / "VERSION").read_text() == "3\n"
        assert (release / "CHANGELOG.md").read_text().count("- 4 samples added") == 1
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=release).returncode == 0
    assert not [o for o in listed.run() if o.status != "skipped"]
    assert diff([str(tmp_path / "lists"), listed.url]) == 2


def test_copies_of_the_release_lose_the_same_and_end_as_the_release_does(
    listed: Listed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release, old = Path(listed.url) / "release", tmp_path / "old"
    shutil.copytree(release, old)
    ((shard,),) = listed.ask("SELECT max(shard) FROM released WHERE split = 'train'")
    ids = [s for (s,) in listed.ask(f"SELECT sample_id FROM released WHERE shard = '{shard}'")]
    words = [listed.url, "--url", listed.web.url(COPIED), "--reason", "r", "--verify"]
    words += [word for sample in ids for word in ("--sample", sample)]
    assert main([*words, "--also", str(old)]) == 0 and filecmp.cmp(old / f"{shard}.tar", release / f"{shard}.tar")
    assert main([*words, "--yes"]) == 0
    stones = read_own(listed.store)

    def prepare() -> Callable[[], object]:
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(old, tmp_path / "copy")
        return lambda: purge(release_copy(str(tmp_path / "copy")), stones)

    compared = {"SHA256SUMS", "README.md", "croissant.json", "VERSION", "CHANGELOG.md"}
    expected = {name: sha for name, sha in _files(release).items() if name not in compared}
    for _ in every_kill(prepare, monkeypatch):
        purge(release_copy(str(tmp_path / "copy")), stones)
        copy = _files(tmp_path / "copy")
        assert {name: sha for name, sha in copy.items() if name not in compared} == expected
        check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
        assert subprocess.run(check, cwd=tmp_path / "copy").returncode == 0
    capsys.readouterr()
    assert main([listed.url, "--also", str(old), "--yes", "--verify"]) == 0
    said = capsys.readouterr().out
    assert f"taken down from {old}: {len(ids) + 1} samples" in said and said.count("verified") == 2
    assert purge(release_copy(str(old)), stones) == 0
    assert main([listed.url, "--also", str(tmp_path / "lists"), "--yes"]) == 2


def _files(folder: Path) -> dict[str, str]:
    found = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}
