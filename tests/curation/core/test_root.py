"""One run at a time, one recipe a root."""

from __future__ import annotations

from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry, known_implementations

from curation.core.errors import RootError
from curation.core.lock import hold
from curation.core.root import check_free_space, open_root, resolve_recipe, write_recipe
from curation.core.store import Store
from flows.report import main as report
from schemas.refine import RefineLaion


@pytest.mark.parametrize("root", ["/proc/nowhere/root", "/dev/null/root"])
def test_a_root_that_cannot_be_written_is_one_clear_line(root: str) -> None:
    with (
        pytest.raises(RootError, match=r"cannot write to .*; free space, correct its permissions or"),
        hold(Store(root)),
    ):
        pass


def test_a_root_keeps_its_recipe(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    first = resolve_recipe(RefineLaion, store, None, ["dedupe.distance=3"])
    write_recipe(store, first)
    assert resolve_recipe(RefineLaion, store, None, []) == first
    assert resolve_recipe(RefineLaion, store, None, ["download.threads=2"]).dedupe.distance == 3
    changed = resolve_recipe(RefineLaion, store, None, ["dedupe.distance=5"])
    assert changed.dedupe.distance == 5


def test_a_recipe_file_that_differs_is_refused_and_says_where(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    write_recipe(store, RefineLaion())
    path = tmp_path / "mine.toml"
    path.write_text("[dedupe]\ndistance = 2\n[export]\nseed = 5\n")
    with pytest.raises(RootError, match=r"dedupe.distance: the root has 0, this run has 2; export.seed: .*--set"):
        resolve_recipe(RefineLaion, store, str(path), [])
    assert resolve_recipe(RefineLaion, store, str(path), ["dedupe.distance=2", "export.seed=5"]).export.seed == 5


def test_a_root_of_another_kind_is_refused(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write("recipe.toml", b"[anchor]\nsize = 3\n")
    with pytest.raises(RootError, match="not made by a RefineLaion recipe"):
        resolve_recipe(RefineLaion, store, None, [])
    store.write("recipe.toml", b"[download]\ntimeout = inf\n")  # which an older version took
    with pytest.raises(RootError, match=r"download.timeout: expected a finite.*Correct that in .*recipe.toml, or name"):
        resolve_recipe(RefineLaion, store, None, [])


def test_a_disk_that_is_all_but_full_is_refused_before_work(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "not" / "there" / "yet"))
    check_free_space(store)
    with pytest.raises(RootError, match="MiB left") as found:
        check_free_space(store, least=2**62)
    assert "\n" not in str(found.value) and not (tmp_path / "not").exists()


NO_ROOTS = {
    "zip://a.zip": "archive",
    "zip:///tmp/a.zip": "archive",
    "ZIP://a.zip": "archive",
    "tar://a.tar": "archive",
    "libarchive://a.7z": "archive",
    "http://example.org/r": "web server",
    "HTTPS://example.org/r": "web server",
    "simplecache::s3://bucket/r": "chained",
    "zip://r::/tmp/a.zip": "chained",
    "filecache://r": "cache",
    "github://a:secret@repository/r": "only be read",
    "data:text/plain,hi": "only be read",
    "dir://r": "wraps",
    "generic://r": "wraps",
    "memory://r": "--engine local",
    "memory:/r": "--engine local",
    "nosuch://r": "nosuch",
    "nosuch://user:secret@host/r": "nosuch",
    "s3:/bucket/r": "s3://",
    "ftp://user:secret@127.0.0.1:1/r": "cannot open",
    "": "--root is empty",
    "  ": "--root is empty",
}


@pytest.mark.parametrize(("url", "said"), NO_ROOTS.items())
def test_a_url_that_no_root_can_have_is_one_line_with_a_remedy(url: str, said: str) -> None:
    with pytest.raises(RootError) as found:
        open_root(url, shared=True)
    line = str(found.value)
    assert said in line and "name" in line and "\n" not in line
    assert "secret" not in line


@pytest.mark.parametrize(
    "url", ["s3://bucket/r", "gs://bucket/r", "abfs://box@account/r", "sftp://host/r", "smb://h/r"]
)
def test_a_scheme_whose_driver_is_missing_says_what_to_install(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scheme = url.partition("://")[0]

    missing = {"class": "no_such_driver.FileSystem", "err": "Install the driver"}
    monkeypatch.setitem(known_implementations, scheme, missing)
    monkeypatch.delitem(_registry, scheme, raising=False)
    with pytest.raises(RootError, match=r"^cannot open .*: Install the driver; .*pip install") as found:
        open_root(url, shared=True)
    assert "\n" not in str(found.value)


def test_what_a_driver_raises_at_its_first_request_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def exists(self: object, path: str) -> bool:
        raise PermissionError("no credentials\nwere found")

    monkeypatch.setattr(MemoryFileSystem, "exists", exists)
    with pytest.raises(RootError, match=r"^cannot read memory://r: no credentials were found; correct the URL"):
        open_root("memory://r", shared=False)


@pytest.mark.parametrize("name", ["list.csv", "list.csv/below", "list.csv/far/below"])
def test_a_file_where_a_folder_has_to_be_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text("url\n")
    with pytest.raises(RootError, match=r"list.csv is a file; name a folder") as found:
        open_root(str(tmp_path / name), shared=True)
    assert "\n" not in str(found.value)
    (tmp_path / "root").mkdir()
    assert report([str(tmp_path / "root"), "--out", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err == f"error: {found.value}\n"
    assert (tmp_path / "list.csv").read_text() == "url\n"


@pytest.mark.parametrize("form", ["{}", "file://{}", "file:{}", "local://{}"])
def test_folders_are_roots_however_they_are_written(form: str, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "a:b", tmp_path / "zip:"):
        store = open_root(form.format(folder), shared=True)
        assert store.is_local and store.path("x") == f"{folder}/x"
    assert not open_root("memory://r", shared=False).is_local
