"""Laws of every form: killed anywhere it ends byte-identical, it overwrites nothing, and holds each sample once."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import fsspec
import pytest

from curation.core.errors import RootError, UsageError
from curation.core.lock import hold
from curation.core.store import Store
from curation.exports.export import export
from curation.exports.form import Settings
from curation.exports.installed import OWN, form_of
from curation.exports.release import ReleaseTar, check_kinds, read_release
from curation.load.captions import Captions
from tests.support.exported import MIXED, SETTINGS, SIZES, bytes_of, exported, release, samples
from tests.support.kills import Killed, every_kill
from tests.support.plain_release import plain_release, write_sums

FORMS = [form.name for form in OWN]
COUNT = sum(len(of_tar) for of_tar in SIZES)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return release(tmp_path_factory.mktemp("root"))


@pytest.mark.parametrize("form", FORMS)
def test_an_export_killed_at_any_change_ends_as_one_that_nobody_disturbed(
    form: str, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exported(root, form, tmp_path / "whole").samples == COUNT
    whole, folder = bytes_of(tmp_path / "whole"), tmp_path / "killed"

    def prepare() -> Any:
        shutil.rmtree(folder, ignore_errors=True)
        return lambda: exported(root, form, folder)

    points = 0
    for _ in every_kill(prepare, monkeypatch):
        exported(root, form, folder)
        assert bytes_of(folder) == whole
        points += 1
    assert points >= 7 and not (folder / ".export").exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_kill_inside_a_shard_costs_that_shard_only(
    form: str, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(root, form, tmp_path / "whole")
    known = ReleaseTar.samples

    def dying(tar: ReleaseTar, captions: Captions) -> Iterator[Any]:
        for number, sample in enumerate(known(tar, captions)):
            if (tar.name, number) == ("train-000002", 1):
                raise Killed
            yield sample

    monkeypatch.setattr(ReleaseTar, "samples", dying)
    with pytest.raises(Killed):
        exported(root, form, tmp_path / "killed")
    monkeypatch.undo()
    assert exported(root, form, tmp_path / "killed").new == 1
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize("form", FORMS)
def test_the_same_command_again_changes_nothing(form: str, root: str, tmp_path: Path) -> None:
    exported(root, form, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    again = exported(root, form, tmp_path / "out")
    assert (again.samples, again.new) == (COUNT, 0)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before


@pytest.mark.parametrize("form", FORMS)
def test_a_root_in_an_object_store_gives_the_same(form: str, root: str, tmp_path: Path) -> None:
    far = fsspec.filesystem("memory")
    far.store.clear()
    far.pseudo_dirs[:] = [""]
    far.put(root, "/far", recursive=True)
    exported(root, form, tmp_path / "near")
    exported("memory://far", form, tmp_path / "far")
    assert bytes_of(tmp_path / "far") == bytes_of(tmp_path / "near")


def test_export_json_says_from_which_release_and_settings_it_was_made(root: str, tmp_path: Path) -> None:
    exported(root, "kohya", tmp_path)
    told = json.loads((tmp_path / "export.json").read_text())
    sums = dict(line.split("  ")[::-1] for line in (Path(root) / "release/SHA256SUMS").read_text().splitlines())
    assert {f"{name}.tar": sha256 for name, sha256 in told["release"].items()} == sums
    assert told["settings"]["captions"] == {"preferred": 0.5, "short": 0.5}
    assert (told["form"], told["complete"], told["samples"]) == ("kohya", True, COUNT)


def test_a_folder_with_anything_else_is_refused_and_left_alone(root: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RootError, match=r"holds files that are no export's \(mine.txt\)"):
        exported(root, "kohya", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "export.json").write_text('{"made_by": "someone"}')
    with pytest.raises(RootError, match="not of this command"):
        exported(root, "kohya", tmp_path)
    with pytest.raises(RootError, match="is a file"):
        exported(root, "kohya", tmp_path / "mine.txt")


def test_an_export_of_other_settings_or_another_release_is_refused(root: str, tmp_path: Path) -> None:
    exported(root, "kohya", tmp_path / "out")
    before = bytes_of(tmp_path / "out")
    with pytest.raises(RootError, match=r'another export: captions \{"preferred": 0.5.* there, \{"preferred": 1.0\}'):
        exported(root, "kohya", tmp_path / "out", Settings(seen_as="/seen", buckets=SETTINGS.buckets))
    other = plain_release(tmp_path / "other", [[(64, 64)]], kinds=("short",))
    with pytest.raises(RootError, match="made from another release"):
        exported(other, "kohya", tmp_path / "out")
    assert bytes_of(tmp_path / "out") == before


def test_a_finished_export_that_lost_a_file_says_so(root: str, tmp_path: Path) -> None:
    exported(root, "kohya", tmp_path)
    (tmp_path / "train.toml").unlink()
    with pytest.raises(RootError, match="is gone from a finished export"):
        exported(root, "kohya", tmp_path)


def test_what_a_kill_left_of_a_file_goes_and_what_only_looks_like_it_stays(root: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f".tmp-{'0a' * 16}").write_bytes(b"half")
    exported(root, "kohya", tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".tmp-notes").write_text("mine")
    with pytest.raises(RootError, match=r"no export's \(.tmp-notes\)"):
        exported(root, "kohya", tmp_path / "mine")


def test_of_two_at_once_one_is_refused(root: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with hold(Store(str(tmp_path / "out" / ".export"))), pytest.raises(RootError, match="in use by process"):
        exported(root, "kohya", tmp_path / "out")


def test_a_release_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    root = release(tmp_path / "root")
    tars = read_release(root, ["train"])
    (tmp_path / "root/release/train-000001.tar").write_bytes((tmp_path / "root/release/train-000000.tar").read_bytes())
    write_sums(tmp_path / "root/release")
    with pytest.raises(RootError, match="changed while it was exported"):
        export(tars, form_of("kohya"), SETTINGS, tmp_path / "out")


def test_a_release_without_images_or_sums_is_refused(tmp_path: Path) -> None:
    root = Path(release(tmp_path / "root"))
    (root / "release/SHA256SUMS").unlink()
    with pytest.raises(RootError, match="has no SHA256SUMS"):
        read_release(str(root), ["train"])
    bare = plain_release(tmp_path / "bare", [[(8, 8)]], extension="csv")
    with pytest.raises(RootError, match="samples without images"):
        read_release(bare, ["train"])
    with pytest.raises(RootError, match=r"no split 'val'; it has \['train'\]"):
        read_release(bare, ["val"])


def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    root = Path(plain_release(tmp_path / "root", [[(8, 8)]]))
    with tarfile.open(root / "release/train-000000.tar") as tar:
        members = [(m, tar.extractfile(m).read().replace(b'"0-0"', b'"../../x"')) for m in tar]  # type: ignore[union-attr]
    with tarfile.open(root / "release/train-000000.tar", "w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    write_sums(root / "release")
    with pytest.raises(RootError, match=r"has the sample '\.\./\.\./x'"):
        exported(str(root), "kohya", tmp_path / "out", Settings())
    assert not (tmp_path / "out").exists()


def test_a_kind_that_no_sample_has_is_named_with_those_there_are(root: str) -> None:
    tars = read_release(root, ["train"])
    check_kinds(tars, MIXED)
    check_kinds(tars, Captions({"alt_text": 1.0, "unheard": 0.0}))
    with pytest.raises(UsageError, match="of the kind brief; there are alt_text, dense, preferred, short, tags"):
        check_kinds(tars, Captions({"brief": 1.0, "short": 1.0}))


def test_captions_are_those_that_the_loader_draws(root: str) -> None:
    drawn = {s.kind for s in samples(root).values()}
    assert drawn == {"dense", "short"}
    assert {s.caption for s in samples(root, Captions({"tags": 1.0})).values()} >= {"tags words of 0-0"}


def test_forms_of_other_packages_are_found_and_unknown_ones_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("mine", "curation.exports.kohya:Kohya", "lapidary.exports")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])
    with pytest.raises(UsageError, match=r"'mine' .* is not as curation.exports.form asks"):  # it is called kohya
        form_of("mine")
    with pytest.raises(UsageError, match=r"no form 'other'; expected one of kohya, .*, mine"):
        form_of("other")
    fitting = metadata.EntryPoint("listed", "tests.curation.exports.test_export:Listed", "lapidary.exports")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [fitting])
    assert form_of("listed").name == "listed"


class Listed:
    name, version, uses = "listed", 1, frozenset[str]()

    def shard(self, *_: Any) -> dict[str, Any]:
        return {}

    def finish(self, *_: Any) -> None: ...
