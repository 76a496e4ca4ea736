"""What the commands takedown and diff find, show and do; versions of a release and their copies."""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from curation.core.errors import SourceError
from curation.report.write import write_report
from curation.sources.tombstones import read_own
from curation.takedown.choice import choose
from curation.takedown.copies import purge, release_copy
from flows.diff import main as diff
from flows.takedown import main
from schemas.tombstones import Tombstone
from tests.support.buried import COPIED, Listed, asked, take_down, tars_of
from tests.support.images import jpeg, natural
from tests.support.kills import every_kill
from tests.support.picture_web import PictureWeb
from tests.support.toy import fingerprint

BEFORE = ("tables", "images", "release", "replies", "manifest", "index")


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


def test_the_command_shows_first_and_does_it_with_yes(
    listed: Listed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = fingerprint(listed.store, *BEFORE)
    words = [listed.url, "--url", listed.web.url(COPIED), "--reference", "case 17"]
    assert main([*words, "--yes"]) == 2 and "--reason is missing" in capsys.readouterr().err
    for reason in ([], ["--reason", "request of the author"]):
        assert main([*words, *reason]) == 0, "who only looks need not say why"
        said = capsys.readouterr().out
        assert "near" in said and "2 samples" in said and "nothing was changed" in said
        assert fingerprint(listed.store, *BEFORE) == before and not read_own(listed.store)
    words += ["--reason", "request of the author"]
    page = Path(write_report(listed.store).page)
    thumbnails = set((page.parent / "thumbnails").iterdir())
    assert main([*words, "--yes", "--verify"]) == 0
    assert page.is_file() and set((page.parent / "thumbnails").iterdir()) < thumbnails, "made anew without them"
    assert "taken down: 2 samples" in (said := capsys.readouterr().out) and "verified" in said
    assert main([*words, "--yes", "--verify"]) == 0 and "taken down: 0 samples" in capsys.readouterr().out
    (Path(listed.url) / "images" / "copy.tar").write_bytes(b"")
    (Path(listed.url) / "notes.json").write_text(json.dumps({"seen": [listed.web.url(COPIED)]}))
    assert main([listed.url, "--verify"]) == 1 and "notes.json: a url" in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere"), "--url", "http://x.example/1", "--reason", "r"]) == 2
    assert not (tmp_path / "nowhere").exists()
    assert main([listed.url, "--sample", "17", "--reason", "r"]) == 2


def test_what_is_not_here_has_a_tombstone_and_the_command_says_so(
    listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    absent, words = "http://absent.example/1.jpg", ["--reason", "r", "--yes"]
    assert main([listed.url, "--url", absent]) == 0
    assert "tombstone stands" not in capsys.readouterr().out
    assert main([listed.url, "--sample", "0" * 32, *words]) == 0 and not read_own(listed.store)
    assert "tombstone stands" not in capsys.readouterr().out, "a sample_id that is not here has none"
    assert main([listed.url, "--url", absent, *words]) == 0 and len(read_own(listed.store)) == 1
    line = f"not in this root: url {absent}; a tombstone stands for it, so that no later run fetches it"
    assert line in capsys.readouterr().out.splitlines()
    assert main([listed.url, "--host", "absent.example", "--sha256", "0" * 64, *words]) == 0
    assert "2; a tombstone stands for each, so that no later run keeps them" in capsys.readouterr().out


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
    line: str, pictures: PictureWeb, tmp_path: Path
) -> None:
    stones = tmp_path / "stones.jsonl"
    stones.write_text(Tombstone("2026-01-02", "r", "", url_sha256="0" * 64).to_line() + line + "\n")
    pictures.requests.clear()
    with pytest.raises(SourceError, match=r"line 2 of .* is no tombstone"):
        Listed.of(pictures, tmp_path).run([f'source.tombstones=["{stones}"]'])
    assert not pictures.requests


def test_a_takedown_is_the_next_version_and_diff_tells_what_it_did(
    listed: Listed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(Path(listed.url) / "release", old)
    choice = take_down(listed.url, urls=[listed.web.url(COPIED)])
    release = Path(listed.url) / "release"
    assert (release / "VERSION").read_text() == "2\n"
    changes = (release / "CHANGELOG.md").read_text()
    assert "## Version 2 (2026-01-02)" in changes and "request of the author" in changes and "case 17" not in changes
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=release).returncode == 0
    assert "VERSION" in (release / "SHA256SUMS").read_text()
    assert diff([str(old), listed.url]) == 0
    said = capsys.readouterr().out
    assert "0 samples added" in said and "1 sample removed (plan/taken_down 1)" in said and "1 changed" in said
    assert diff([str(old), listed.url, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["removed"]) <= {one.sample_id for one in choice.goes}
    assert diff([listed.url, listed.url, "--write"]) == 0 and (release / "VERSION").read_text() == "2\n"

    before = tars_of(listed)
    shutil.copytree(release, tmp_path / "second")
    listed.rows += [(listed.web.url(n), f"one of the new pictures, number {n}") for n in range(50, 54)]
    listed.run()
    assert before.items() <= tars_of(listed).items()
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
    # The copied picture may stand in this very shard: what goes is counted, not the words of the command.
    goes = {one.sample_id for one in choose(listed.store, asked(urls=[listed.web.url(COPIED)], samples=ids)).goes}
    released = {s for (s,) in listed.ask("SELECT sample_id FROM released")}
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
    assert f"taken down from {old}: {len(goes & released)} samples" in said and said.count("verified") == 2
    assert purge(release_copy(str(old)), stones) == 0
    assert main([listed.url, "--also", str(tmp_path / "lists"), "--yes"]) == 2


def _files(folder: Path) -> dict[str, str]:
    found = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}
