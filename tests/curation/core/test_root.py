"""One run at a time, one recipe a root."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from curation.core.errors import RootError
from curation.core.root import check_free_space, hold, resolve_recipe, write_recipe
from curation.core.store import Store
from schemas.refine import RefineLaion

HOLDER = (
    "import sys, time; from curation.core.root import hold; from curation.core.store import Store\n"
    "with hold(Store(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
)


def test_a_root_in_use_names_its_owner_and_is_free_once_the_owner_is_killed(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(RootError, match=rf"in use by process {other.pid} on .*, for \d+ s"),
            hold(Store(str(tmp_path))),
        ):
            pass
    finally:
        other.kill()
        other.wait()
    with hold(Store(str(tmp_path))):
        pass


def test_an_object_store_is_held_too(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}/r")
    with hold(store), pytest.raises(RootError, match="in use by process"), hold(store):
        pass
    with hold(store):
        pass


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


def test_a_disk_that_is_all_but_full_is_refused_before_work(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "not" / "there" / "yet"))
    check_free_space(store)
    with pytest.raises(RootError, match="MiB left") as found:
        check_free_space(store, least=2**62)
    assert "\n" not in str(found.value) and not (tmp_path / "not").exists()
