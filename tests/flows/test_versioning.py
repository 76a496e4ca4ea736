"""A run that changes its release makes it the next version, once, and says what has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from curation.core.lock import hold
from curation.core.store import Store
from curation.exports.known import known
from curation.release.versions import read_sums, version_of
from flows.export import main as export
from flows.takedown import main as takedown
from flows.versioning import raise_version, remember
from tests.laws.conftest import made, pictures  # the finished root of the laws of takedowns
from tests.support.buried import PICTURES, Listed
from tests.support.exported import bytes_of
from tests.support.kills import Killed, killed_at
from tests.support.toy import fingerprint

__all__ = ["made", "pictures"]


@pytest.fixture(scope="module")
def grown(made: Listed, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two roots that remember their first release: the one as it was made, and the one that grew by three rows."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    for folder in (first, second):
        shutil.copytree(made.folder, folder, dirs_exist_ok=True)
        with hold(store := Store(str(folder / "root"))):
            remember(store)
    listed = Listed(made.web, second, str(second / "root"), list(made.rows))
    listed.rows += [(made.web.url(n), f"a picture that came later, number {n}") for n in range(PICTURES, PICTURES + 3)]
    listed.run()
    return first / "root", second / "root"


def copy(root: Path, to: Path) -> Store:
    shutil.copytree(root, to)
    return Store(str(to))


def changelog(store: Store) -> str:
    return store.read("release/CHANGELOG.md").decode()


def test_a_run_that_grows_a_release_makes_it_the_next_version(grown: tuple[Path, Path], tmp_path: Path) -> None:
    store = copy(grown[1], tmp_path / "root")
    assert version_of(store) == 1 and not store.exists("release/CHANGELOG.md")
    assert raise_version(store) == 2
    said = changelog(store)
    assert "- 3 samples added" in said and "- 0 samples removed" in said and "- 0 samples with another caption" in said
    assert " as they were, " in said
    sums = read_sums(store)
    assert {"VERSION", "CHANGELOG.md"} <= set(sums)
    before = fingerprint(store, "release", "versions")
    assert raise_version(store) is None, "nothing has changed since"
    assert fingerprint(store, "release", "versions") == before


def test_a_release_that_did_not_change_keeps_its_version(grown: tuple[Path, Path], tmp_path: Path) -> None:
    store = copy(grown[0], tmp_path / "root")
    before = fingerprint(store, "release", "versions")
    assert raise_version(store) is None
    remember(store)
    assert fingerprint(store, "release", "versions") == before
    shutil.rmtree(tmp_path / "root/versions")  # a root that was made before there were versions
    assert raise_version(store) is None
    assert fingerprint(store, "release", "versions") == before
    assert raise_version(Store(str(tmp_path / "empty"))) is None and not (tmp_path / "empty").exists()


def test_killed_at_any_change_it_raises_the_version_once(
    grown: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = copy(grown[1], tmp_path / "whole")
    raise_version(whole)
    expected = fingerprint(whole, "release", "versions")

    def raising(store: Store) -> Callable[[], object]:
        return lambda: raise_version(store)

    for change in range(20):
        store = copy(grown[1], tmp_path / f"killed-{change}")
        if not killed_at(change, raising(store), monkeypatch):
            break
        raise_version(store)
        assert fingerprint(store, "release", "versions") == expected, change
        shutil.rmtree(tmp_path / f"killed-{change}")
    assert 4 <= change < 20


def test_a_takedown_is_one_version_and_leaves_nothing_to_compare_with(
    grown: tuple[Path, Path], made: Listed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = copy(grown[1], tmp_path / "root")
    raise_version(store)
    words = ["--url", made.web.url(0), "--reason", "request of the author", "--yes", "--verify"]
    assert takedown([store.url, *words]) == 0, capsys.readouterr().out
    assert version_of(store) == 3 and "taken down" in changelog(store).partition("## Version 2")[0]
    assert raise_version(store) is None and version_of(store) == 3


def test_a_takedown_reaches_exports_and_names_those_that_are_away(
    grown: tuple[Path, Path], made: Listed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = copy(grown[0], tmp_path / "root")
    picture = next(n for n in range(PICTURES) if made.ask(_RELEASED_IN_TRAIN.format(made.web.url(n))))
    sample = made.sample(picture)
    for form in ("kohya", "mds"):
        words = [store.url, "--as", form, "--to", str(tmp_path / form), "--captions", "alt_text"]
        assert export(words) == 0, capsys.readouterr().err
    assert list((tmp_path / "kohya").rglob(f"{sample}*"))
    away = replace(known(store)[0], folder="/somewhere/else", host="another-machine")
    store.write(away.file, json.dumps(asdict(away)).encode())
    words = [store.url, "--url", made.web.url(picture), "--reason", "request of the author"]
    assert takedown(words) == 0
    assert "another-machine" in (said := capsys.readouterr().out) and "it will be made anew" in said
    assert list((tmp_path / "kohya").rglob(f"{sample}*")), "it was only shown"
    assert takedown([*words, "--yes", "--verify"]) == 1, "an export that is away is not clean"
    said = capsys.readouterr().out
    assert said.count("export made anew") == 2 and "/somewhere/else on another-machine" in said
    assert "it is away" in said
    assert not list((tmp_path / "kohya").rglob(f"{sample}*")) and list((tmp_path / "kohya").rglob("*.txt"))
    (tmp_path / "kohya" / f"{sample}.jpg").write_bytes(b"a copy that somebody made")
    forgotten = ["--forget-export", "/somewhere/else"]
    assert takedown([*words, "--yes", "--verify", *forgotten]) == 1
    assert f"{sample}.jpg: a sample's picture" in (said := capsys.readouterr().out) and "caches of a trainer" in said
    (tmp_path / "kohya" / f"{sample}.jpg").unlink()
    assert takedown([*words, "--yes", "--verify"]) == 0, capsys.readouterr().out
    assert "nor is anything left in its 2 exports" in capsys.readouterr().out


def test_a_takedown_that_was_killed_and_is_ended_by_the_root_alone_reaches_exports(
    grown: tuple[Path, Path],
    made: Listed,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = copy(grown[0], tmp_path / "root")
    picture = next(n for n in range(PICTURES) if made.ask(_RELEASED_IN_TRAIN.format(made.web.url(n))))
    shutil.copytree(f"{store.url}/release", tmp_path / "copy")
    assert export([store.url, "--as", "kohya", "--to", str(tmp_path / "out"), "--captions", "alt_text"]) == 0
    words = [store.url, "--url", made.web.url(picture), "--reason", "request of the author", "--yes"]
    with monkeypatch.context() as patch:
        patch.setattr("curation.takedown.carry_out.refresh", _die)
        with pytest.raises(Killed):
            takedown(words)
    assert list((tmp_path / "out").rglob(f"{made.sample(picture)}*"))
    before = bytes_of(tmp_path / "copy")
    assert takedown([store.url, "--also", str(tmp_path / "copy")]) == 0
    assert "export made anew" in capsys.readouterr().out
    assert not list((tmp_path / "out").rglob(f"{made.sample(picture)}*"))
    assert bytes_of(tmp_path / "copy") == before, "copies want a --yes of their own"


def _die(store: Store) -> None:
    raise Killed


_RELEASED_IN_TRAIN = "SELECT 1 FROM released JOIN rows USING (sample_id) WHERE url = '{}' AND split = 'train'"
