"""A takedown makes anew the exports that are of its root, and touches no export of another root in their folders."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from curation.core.errors import LapidaryError, RootError
from curation.core.lock import hold
from curation.core.store import Store
from curation.exports import renew as renewing
from curation.exports.export import export as write_export
from curation.exports.form import Settings
from curation.exports.installed import form_of
from curation.exports.known import RENEWING, known, note
from curation.exports.release import read_release
from curation.exports.whose import look, recognise
from curation.load.captions import Captions
from curation.takedown.exports import left_in_exports, show_exports, take_from_exports
from curation.takedown.proof import Traces
from tests.support.exported import SETTINGS, bytes_of, exported, told
from tests.support.kills import killed_at
from tests.support.plain_release import plain_release, write_sums

Sizes = tuple[tuple[tuple[int, int], ...], ...]
BEFORE: Sizes = (((96, 48), (64, 64)), ((40, 80), (40, 80)))
AFTER: Sizes = (BEFORE[0][:1], BEFORE[1])
LARGER: Sizes = (*BEFORE, ((64, 64),))
OTHER: Sizes = (((80, 80), (64, 72)), ((40, 88), (48, 80)), ((64, 64),))
NOTHING = Traces.of([], (), ())


def root(folder: Path, sizes: Sizes = BEFORE) -> Store:
    store = Store(plain_release(folder, sizes, kinds=("short", "tags")))
    store.write("recipe.toml", b"")
    return store


def noted(store: Store, form: str, folder: Path, settings: Settings = SETTINGS) -> None:
    """An export as the command makes it."""
    note(store, folder, told(store.url, form, settings), "2026-01-02")
    exported(store.url, form, folder, settings)


def as_before(store: Store) -> None:
    """Leaves in the root's notes what earlier versions wrote."""
    for export in known(store):
        old = {key: getattr(export, key) for key in ("folder", "host", "form", "date")}
        store.write(export.file, json.dumps(old).encode())


def becomes(store: Store, sizes: Sizes) -> None:
    """Gives the root another release."""
    other = root(Path(f"{store.url}-next"), sizes)
    shutil.rmtree(f"{store.url}/release")
    shutil.move(f"{other.url}/release", f"{store.url}/release")


def takedown(store: Store) -> list[str]:
    """What is said when two samples of the first tar have gone."""
    recognise(store)
    becomes(store, AFTER)
    said: list[str] = []
    take_from_exports(store, said.append)
    return said


@pytest.mark.parametrize("theirs", ["kohya", "mds"])
@pytest.mark.parametrize("old", [False, True])
def test_an_export_of_another_root_stays_as_it_is(theirs: str, old: bool, tmp_path: Path) -> None:
    store, other, out = root(tmp_path / "root"), root(tmp_path / "other", OTHER), tmp_path / "out"
    noted(store, "kohya", out)
    if old:
        as_before(store)
    shutil.rmtree(out)
    noted(other, theirs, out)
    before = bytes_of(out)
    shown: list[str] = []
    show_exports(store, shown.append)
    (said,) = takedown(store)
    assert bytes_of(out) == before
    if old and theirs == "kohya":  # nothing tells it from an export of the release as it was long ago
        assert known(store) and "--forget-export" in said and "that the root did not note" in shown[0]
        assert [one.what.partition(" (")[0] for one in left_in_exports(store, NOTHING)] == [
            "an export that the root did not note"
        ]
        return
    assert f"{out} holds an export of another root now ({theirs}; tars: 3): it stays as it is" in said
    assert "it will stay as it is" in shown[0] and "deleted" not in said
    assert not known(store) and not left_in_exports(store, NOTHING)
    take_from_exports(other, shown.append)
    assert known(other) and bytes_of(out) == before, "its own root knows it"


@pytest.mark.parametrize("old", [False, True])
def test_an_export_of_the_root_is_made_anew_whatever_became_of_the_release_before(old: bool, tmp_path: Path) -> None:
    store, fresh, out = root(tmp_path / "root", LARGER), root(tmp_path / "fresh", AFTER), tmp_path / "out"
    noted(store, "kohya", out)
    becomes(store, BEFORE)  # a run took a tar out of it
    if old:
        as_before(store)
    said = takedown(store)
    assert len(said) == 1 and "made anew" in said[0]
    exported(fresh.url, "kohya", tmp_path / "expected")
    assert bytes_of(out) == bytes_of(tmp_path / "expected")
    becomes(store, OTHER)  # not a tar of it is as it was
    take_from_exports(store, said.append)
    assert "made anew" in said[1] and not left_in_exports(store, NOTHING)


def test_an_export_that_cannot_be_made_anew_holds_up_no_other(tmp_path: Path) -> None:
    """Of three, one is damaged and one is being written by another process."""
    store, folders = root(tmp_path / "root"), [tmp_path / name for name in ("a", "b", "c")]
    for form, folder in zip(("kohya", "mds", "buckets"), folders, strict=True):
        noted(store, form, folder)
    (folders[0] / "export.json").write_text('{"made_by": "lapid')
    recognise(store)
    becomes(store, AFTER)
    said: list[str] = []
    with hold(Store(f"{folders[1]}/.export")), pytest.raises(LapidaryError) as raised:
        take_from_exports(store, said.append)
    assert len(said) == 2 and any("made anew" in line and str(folders[2]) in line for line in said)
    told_of = " ".join([*said, str(raised.value)])
    assert all(str(folder) in told_of for folder in folders)
    assert renewing.is_current(store, folders[2])


def test_exports_of_one_root_in_one_folder_are_its_own_in_any_order(tmp_path: Path) -> None:
    """One on a disk that somebody puts back, and one that was moved to where another one was."""
    store, out, aside = root(tmp_path / "root"), tmp_path / "out", tmp_path / "aside"
    noted(store, "kohya", out)
    shutil.move(out, aside)
    noted(store, "mds", out)
    noted(store, "simpletuner", tmp_path / "third")
    shutil.rmtree(out)
    shutil.move(aside, out)
    assert len(takedown(store)) == 2
    shutil.rmtree(out)
    shutil.move(tmp_path / "third", out)
    assert [found.state for found in look(store)].count("there") == 1


def test_an_export_of_a_copy_of_the_root_is_left_and_counts_until_somebody_says_whose_it_is(tmp_path: Path) -> None:
    """It holds tars of the root, and others: to make it anew would take these from it."""
    store, out = root(tmp_path / "root"), tmp_path / "out"
    noted(store, "kohya", out)
    copy = Store(str(tmp_path / "copy"))
    shutil.copytree(store.url, copy.url)
    becomes(copy, LARGER)
    shutil.rmtree(out)
    noted(copy, "kohya", out)
    before = bytes_of(out)
    (said,) = takedown(store)
    assert bytes_of(out) == before and known(store)
    assert "export left as it was" in said and "tars: 3, of them this root's: 2" in said
    assert any("--forget-export" in one.what for one in left_in_exports(store, NOTHING))
    assert len(takedown(copy)) == 1 and bytes_of(out) != before, "its own root takes the samples out of it"


def test_tars_that_an_export_shares_are_remembered_when_the_release_has_others(tmp_path: Path) -> None:
    """A copy of the root has exported to the folder a tar that the root had not exported, and loses a sample of."""
    store, out = root(tmp_path / "root"), tmp_path / "out"
    val = f"{store.url}/release/val-000000.tar"
    shutil.move(f"{store.url}/release/train-000000.tar", val)
    write_sums(Path(val).parent)
    noted(store, "kohya", out)
    shutil.rmtree(out)
    write_export(read_release(store.url, ["val"]), form_of("kohya"), SETTINGS, out)
    recognise(store)
    becomes(store, AFTER)
    said: list[str] = []
    take_from_exports(store, said.append)
    assert len(said) == 1 and "tars: 1, of them this root's: 1" in said[0] and known(store)


def test_an_export_of_a_copy_that_has_the_very_bytes_loses_the_samples_of_both(tmp_path: Path) -> None:
    store, copy, out = root(tmp_path / "root"), root(tmp_path / "copy"), tmp_path / "out"
    noted(store, "kohya", out)
    noted(copy, "kohya", out)
    assert "made anew" in takedown(store)[0]


def test_an_export_of_another_root_does_not_say_that_one_on_another_machine_is_gone(tmp_path: Path) -> None:
    """Two machines have a folder of the same name."""
    store, other, out = root(tmp_path / "root"), root(tmp_path / "other", OTHER), tmp_path / "out"
    noted(store, "kohya", out)
    (export,) = known(store)
    store.remove(export.file)
    away = replace(export, host="another-machine")
    store.write(away.file, json.dumps(vars(away)).encode())
    shutil.rmtree(out)
    noted(other, "kohya", out)
    before = bytes_of(out)
    (said,) = takedown(store)
    assert "export away, and as it was" in said and known(store) and bytes_of(out) == before


@pytest.mark.parametrize("into", ["out", "alias"])
def test_a_folder_of_two_names_is_known_by_both_whichever_is_forgotten(into: str, tmp_path: Path) -> None:
    store = root(tmp_path / "root")
    noted(store, "kohya", tmp_path / "out")
    (tmp_path / "alias").symlink_to(tmp_path / "out")
    noted(store, "kohya", tmp_path / "alias")
    assert len(takedown(store)) == 1
    recognise(store)
    (gone,) = (export for export in known(store) if export.folder == str(tmp_path / into))
    store.remove(gone.file)
    becomes(store, LARGER)
    said: list[str] = []
    take_from_exports(store, said.append)
    assert len(said) == 1 and "made anew" in said[0]


def test_a_renewal_that_is_killed_at_any_change_stays_the_root_s_and_takes_no_other_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other, out = root(tmp_path / "root"), root(tmp_path / "other", OTHER), tmp_path / "out"
    noted(store, "simpletuner", out)
    becomes(store, AFTER)
    for name in ("out", "root"):
        shutil.copytree(tmp_path / name, tmp_path / f"{name}-before")
    refused = 0
    for change in range(60):
        for name in ("out", "root"):
            shutil.rmtree(tmp_path / name)
            shutil.copytree(tmp_path / f"{name}-before", tmp_path / name)
        if not killed_at(change, lambda: take_from_exports(store, print), monkeypatch):
            break
        assert [found.state for found in look(store)] == ["there"], change
        before = bytes_of(out)
        with pytest.raises(RootError) as error:  # the folder is no place for another root meanwhile
            exported(other.url, "simpletuner", out)
        refused += "takedown was making anew" in str(error.value)
        assert {k: v for k, v in bytes_of(out).items() if "lock" not in k} == {
            k: v for k, v in before.items() if "lock" not in k
        }, change
        take_from_exports(store, print)
        assert renewing.is_current(store, out), change
    assert refused and change > 10 and not (out / RENEWING).exists()


def test_settings_of_the_folder_s_export_are_part_of_what_it_is_known_by(tmp_path: Path) -> None:
    """The root was exported there by somebody whose note it did not get: nothing is made anew unasked."""
    store, out = root(tmp_path / "root"), tmp_path / "out"
    noted(store, "kohya", out)
    shutil.rmtree(out)
    exported(store.url, "kohya", out, replace(SETTINGS, captions=Captions({"tags": 1.0})))
    (said,) = takedown(store)
    assert "tars: 2, of them this root's: 2" in said and known(store)
