"""A root knows its exports; one that is not of today's release is made anew, whatever ended the first attempt."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from curation.core.errors import RootError
from curation.core.store import Store
from curation.exports.known import forget, known, note, root_of
from curation.exports.renew import is_current, others_in, renew
from curation.takedown.exports import left_in_exports, show_exports, take_from_exports
from curation.takedown.proof import Traces
from tests.support.exported import SETTINGS, bytes_of, exported, told
from tests.support.kills import killed_at
from tests.support.plain_release import plain_release

BEFORE = (((96, 48), (64, 64)), ((40, 80), (40, 80)), ((96, 48), (64, 64), (64, 64)))
AFTER = (BEFORE[0][:1], BEFORE[1], BEFORE[2])
FORMS = ("kohya", "simpletuner", "mds")


def root(folder: Path, sizes: tuple[tuple[tuple[int, int], ...], ...]) -> Store:
    store = Store(plain_release(folder, sizes, kinds=("short", "tags")))
    store.write("recipe.toml", b"")
    return store


def test_a_root_knows_what_was_exported_until_it_is_forgotten(tmp_path: Path) -> None:
    store = root(tmp_path / "root", BEFORE)
    for url in (store.url, f"{store.url}/release", f"{store.url}/release/"):
        assert (found := root_of(url)) is not None and found.path("") == store.path("")
    assert root_of(str(tmp_path / "elsewhere")) is None
    out = tmp_path / "out"
    note(store, out, told(store.url, "kohya"), "2026-01-02")
    note(store, out, told(store.url, "kohya"), "2026-01-02")
    (export,) = known(store)
    assert export.folder == str(out) and export.state == "none", "its host has no such folder"
    assert replace(export, host="another").state == "away"
    assert replace(export, folder=str(tmp_path / "unmounted/disk/out")).state == "away"
    exported(store.url, "kohya", out)
    assert export.state == "there"
    forget(store, export)
    assert not known(store)


@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_made_anew_of_the_release_as_it_is_now(form: str, tmp_path: Path) -> None:
    store, fresh = root(tmp_path / "root", BEFORE), root(tmp_path / "fresh", AFTER)
    exported(store.url, form, tmp_path / "out")
    assert is_current(store, tmp_path / "out")
    shutil.rmtree(f"{store.url}/release")
    shutil.copytree(f"{fresh.url}/release", f"{store.url}/release")
    assert not is_current(store, tmp_path / "out")
    assert renew(store, tmp_path / "out") == 6
    exported(fresh.url, form, tmp_path / "expected")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "expected")
    assert is_current(store, tmp_path / "out") and not (tmp_path / "out/.export").exists()


def test_a_renewal_that_is_killed_at_any_change_is_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, fresh = root(tmp_path / "root", BEFORE), root(tmp_path / "fresh", AFTER)
    exported(store.url, "simpletuner", tmp_path / "before")
    exported(fresh.url, "simpletuner", tmp_path / "expected")
    (tmp_path / "before/cache").mkdir()
    (tmp_path / "before/cache/latents.npz").write_bytes(b"of a trainer")
    shutil.rmtree(f"{store.url}/release")
    shutil.copytree(f"{fresh.url}/release", f"{store.url}/release")
    for change in range(0, 60, 3):
        out = tmp_path / "out"
        shutil.copytree(tmp_path / "before", out)
        ended = not killed_at(change, lambda out=out: renew(store, out), monkeypatch)  # type: ignore[misc]
        assert ended or not is_current(store, out), change
        if not ended:
            renew(store, out)
        assert others_in(out) == ["cache/latents.npz"]
        shutil.rmtree(out / "cache")
        assert bytes_of(out) == bytes_of(tmp_path / "expected"), change
        shutil.rmtree(out)
        if ended:
            break
    assert 6 <= change < 57


def test_a_folder_that_is_no_export_is_left_alone(tmp_path: Path) -> None:
    store = root(tmp_path / "root", BEFORE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/export.json").write_text('{"made_by": "somebody"}')
    for look in (is_current, renew):
        with pytest.raises(RootError, match="not of lapidary export"):
            look(store, tmp_path / "out")
    assert SETTINGS and (tmp_path / "out/export.json").exists()


@pytest.mark.parametrize("theirs", [{}, {"IMG_1.jpg": "a picture"}, {"export.json": '{"scenes": []}'}])
def test_a_note_of_an_export_that_never_was_goes_and_nothing_is_called_deleted(
    theirs: dict[str, str], tmp_path: Path
) -> None:
    store, web = root(tmp_path / "root", BEFORE), tmp_path / "web"
    web.mkdir()
    for name, text in theirs.items():
        (web / name).write_text(text)
    note(store, web, told(store.url, "kohya"), "2026-01-02")
    said: list[str] = []
    show_exports(store, said.append)
    assert not said and known(store) and not left_in_exports(store, Traces.of([], (), ()))
    take_from_exports(store, said.append)
    assert len(said) == 1 and f"no export at {web} on" in said[0] and "deleted" not in said[0]
    assert not known(store) and {p.name: p.read_text() for p in web.iterdir()} == theirs


def test_a_damaged_export_json_is_looked_at_by_somebody(tmp_path: Path) -> None:
    store = root(tmp_path / "root", BEFORE)
    exported(store.url, "kohya", tmp_path / "out")
    note(store, tmp_path / "out", told(store.url, "kohya"), "2026-01-02")
    (tmp_path / "out/export.json").write_text('{"made_by": "lapid')
    with pytest.raises(RootError, match="look at the folder"):
        take_from_exports(store, print)
    assert known(store)


@pytest.mark.parametrize("elsewhere", ["../mine.txt", "linked/mine.txt", ".."])
def test_nothing_outside_an_export_is_removed_whatever_its_json_says(elsewhere: str, tmp_path: Path) -> None:
    store, out = root(tmp_path / "root", BEFORE), tmp_path / "out"
    exported(store.url, "kohya", out)
    (tmp_path / "mine.txt").write_text("mine")
    (out / "linked").symlink_to(tmp_path)
    said = json.loads((out / "export.json").read_text())
    (out / "export.json").write_text(json.dumps(said | {"files": [*said["files"], elsewhere]}))
    before = bytes_of(out)
    with pytest.raises(RootError, match="lies elsewhere"):
        renew(store, out)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert before.items() <= bytes_of(out).items()


def test_an_export_that_has_begun_and_holds_nothing_stays_known(tmp_path: Path) -> None:
    """Its process may be about to write its first sample."""
    store = root(tmp_path / "root", BEFORE)
    (tmp_path / "out/.export").mkdir(parents=True)
    note(store, tmp_path / "out", told(store.url, "kohya"), "2026-01-02")
    said: list[str] = []
    take_from_exports(store, said.append)
    assert not said and [export.state for export in known(store)] == ["begun"]
    assert not left_in_exports(store, Traces.of([], (), ()))


def test_what_is_to_be_typed_about_an_export_is_one_word_of_a_shell(tmp_path: Path) -> None:
    store, folder = root(tmp_path / "root", BEFORE), tmp_path / "my data é?/it's/out"
    note(store, folder, told(store.url, "kohya"), "2026-01-02")
    (export,) = known(store)
    store.write(export.file, json.dumps({**vars(export), "host": "another"}).encode())
    (left,) = left_in_exports(store, Traces.of([], (), ()))
    typed = left.what.partition("--forget-export ")[2]
    assert shlex.split(typed) == [str(folder)]
