"""A release goes to a hub once, whole, and goes on where it was interrupted; and not where licences forbid it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.core.errors import UsageError
from curation.core.lock import hold
from curation.core.store import Store
from curation.publish.address import repository
from curation.publish.files import check_card
from curation.publish.rights import Rights, Says, says
from flows.publish import main
from tests.support.hub_server import TOKEN, Hub, serving_hub
from tests.support.processes import REPOSITORY
from tests.support.roots import Row, World, make_world, recipe, release

TO = "hf://datasets/some-org/kites"
FREE = "CC BY 4.0"


def world_of(folder: Path, licence: str | None = FREE, *, images: bool = True) -> World:
    rows = [Row(states={"license": licence}) for _ in range(9)]
    made = make_world(str(folder), recipe(scores=False, shard_size=2, images=images), [rows])
    release(made)
    return made


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_of(tmp_path_factory.mktemp("published") / "root")


@pytest.fixture
def root(finished: World, tmp_path: Path) -> Store:
    shutil.copytree(finished.store.path(""), tmp_path / "root")
    return Store(str(tmp_path / "root"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    with serving_hub(part=4096) as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


def files_of(store: Store) -> dict[str, bytes]:
    folder = Path(store.path("release"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_release_is_sent_once_whole_and_private(root: Store, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([root.url, "--to", TO]) == 0
    assert hub.repositories == {"some-org/kites": True} and len(hub.commits) == 1
    assert hub.files == files_of(root) and {n for n in hub.files if n.endswith(".tar")} <= hub.large
    assert any(size > hub.part for size in map(len, hub.objects.values())), "no file came in parts"
    assert "CONTRIBUTING" not in hub.files and ".cache" not in "".join(hub.files)
    sent, asked = len(hub.uploads), len(hub.requests)
    assert main([root.url, "--to", TO]) == 0
    assert (len(hub.uploads), len(hub.commits)) == (sent, 1) and len(hub.requests) == asked + 2
    assert TOKEN not in "".join(capsys.readouterr())


def test_a_dry_run_lists_and_changes_nothing(root: Store, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(root)
    assert main([root.url, "--to", TO, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in before) and "made private" in said
    assert not hub.repositories and not hub.uploads and not hub.commits
    assert files_of(root) == before


def test_a_hub_that_does_not_answer_is_asked_three_times_and_a_dry_run_lists_all_the_same(
    root: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import HfApi, constants

    asked: list[str] = []
    reach = HfApi.dataset_info

    def counted(api: HfApi, name: str, timeout: float) -> object:
        asked.append(capfd.readouterr().err)
        assert 0 < timeout <= 10
        return reach(api, name, timeout=timeout)

    monkeypatch.setattr(HfApi, "dataset_info", counted)
    monkeypatch.setattr(constants, "ENDPOINT", "http://someone:secret@127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    waits: list[float] = []
    monkeypatch.setattr("curation.publish.upload.time.sleep", waits.append)
    assert main([root.url, "--to", TO, "--dry-run"]) == 1
    listed = capfd.readouterr().out
    assert all(name in listed for name in files_of(root)) and "could not be asked" in listed
    assert asked == ["asking 127.0.0.1:9 what some-org/kites holds\n"]
    assert not waits, "who only looks need not wait"
    asked.clear()
    assert main([root.url, "--to", TO]) == 1 and len(waits) == 2 and sum(waits) < 10
    printed, line = capfd.readouterr()
    assert not printed and line.count("\n") == 1, "what comes before it was said before it was done"
    assert line.startswith("error: cannot list some-org/kites") and "look at the network" in line
    assert "secret" not in line
    assert asked == [
        "asking 127.0.0.1:9 what some-org/kites holds\n",
        "127.0.0.1:9 does not answer; it is asked again in 2 s (2 of 3)\n",
        "127.0.0.1:9 does not answer; it is asked again in 5 s (3 of 3)\n",
    ]
    asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert main([root.url, "--to", TO]) == 1 and len(asked) == 1, "who asked to be offline is not asked to wait"


@pytest.mark.parametrize("busy", [2, 3])
def test_a_hub_that_is_busy_is_asked_again(
    busy: int, root: Store, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("curation.publish.upload.time.sleep", lambda seconds: None)
    hub.busy = busy
    assert main([root.url, "--to", TO]) == (0 if busy == 2 else 1)
    assert hub.busy == 0 and bool(hub.files) == (busy == 2)
    assert capsys.readouterr().err.count("it is asked again") == 2


def test_a_new_release_sends_what_changed_and_removes_its_own_alone(root: Store, hub: Hub) -> None:
    assert main([root.url, "--to", TO]) == 0
    hub.files["notes/mine.md"] = b"mine"
    earlier = ["train-999999.tar", *(f"{name}/train-999999.safetensors" for name in ("features", "visual"))]
    hub.files |= dict.fromkeys(earlier, b"of an earlier release")
    hub.files["README.md"] = hub.files["README.md"].replace(b"a", b"b", 1)
    sent = len(hub.uploads)
    assert main([root.url, "--to", TO]) == 0
    assert sorted(hub.commits[-1]) == sorted(["README.md", *earlier]) and len(hub.uploads) == sent
    assert hub.files == files_of(root) | {"notes/mine.md": b"mine"}


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_interrupted_publish_goes_on(root: Store, hub: Hub, after: int, capsys: pytest.CaptureFixture[str]) -> None:
    hub.fail_after = after
    assert main([root.url, "--to", TO]) == 1
    assert "goes on" in capsys.readouterr().err or after == 0
    assert not hub.commits and not hub.files
    there = set(hub.objects)
    hub.fail_after = None
    hub.uploads.clear()
    assert main([root.url, "--to", TO]) == 0
    assert hub.files == files_of(root) and not there & set(hub.uploads)


@pytest.mark.slow
def test_a_publish_that_was_killed_goes_on(root: Store) -> None:
    with serving_hub(part=1 << 20, hold=threading.Event()) as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
        environment["HF_HUB_OFFLINE"] = "0"
        command = [sys.executable, "-m", "flows.publish", root.url, "--to", TO]
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
        try:
            assert hub.arrived.wait(120)
            os.kill(process.pid, signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
        there = set(hub.objects)
        assert there and not hub.commits
        assert hub.hold is not None
        hub.hold.set()
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        assert hub.files == files_of(root) and all(hub.uploads.count(sha) == 1 for sha in there)


def test_a_token_that_is_wrong_or_missing_is_said_and_never_shown(
    root: Store, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    assert main([root.url, "--to", TO]) == 1
    said = "".join(capsys.readouterr())
    assert "token" in said and "hf_secretsecret" not in said and hub.refused and not hub.uploads


def test_a_file_that_is_not_what_the_sums_say_is_not_sent(root: Store, hub: Hub) -> None:
    name = next(n for n in root.names("release", ".tar"))
    data = root.read(f"release/{name}")
    root.write(f"release/{name}", data[:-1] + b"x")
    assert main([root.url, "--to", TO]) == 1
    assert not hub.commits


def test_a_root_that_a_run_holds_waits(root: Store, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    with hold(root):
        assert main([root.url, "--to", TO]) == 1 or "in use" in capsys.readouterr().err
    assert not hub.requests


@pytest.mark.parametrize(
    ("licence", "code", "words"),
    [
        ("© Example Ltd. All rights reserved", 2, "reserve all rights"),
        ("CC BY-NC-ND 4.0", 2, "forbid adaptations"),
        (None, 2, "--unknown-licences"),
        ("?", 2, "--unknown-licences"),
    ],
)
def test_pixels_are_not_published_where_licences_forbid_it(
    tmp_path: Path, hub: Hub, licence: str | None, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = world_of(tmp_path / "root", licence)
    assert main([made.store.url, "--to", TO]) == code and words in capsys.readouterr().err
    assert not hub.requests
    allowed = main([made.store.url, "--to", TO, "--unknown-licences"])
    assert allowed == (0 if says(licence) == Says.UNKNOWN else 2)


def test_addresses_and_texts_alone_need_no_licence(tmp_path: Path, hub: Hub) -> None:
    made = world_of(tmp_path / "root", "All rights reserved", images=False)
    assert main([made.store.url, "--to", TO]) == 0 and hub.commits


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", Says.LETS),
        ("CC-BY-SA-3.0", Says.LETS),
        ("cc0-1.0", Says.LETS),
        ("Public Domain Mark 1.0", Says.LETS),
        ("No known copyright restrictions", Says.LETS),
        ("https://creativecommons.org/licenses/by-nd/2.0/", Says.FORBIDS),
        ("by-nc-nd", Says.FORBIDS),
        ("Attribution-NoDerivs License", Says.FORBIDS),
        ("http://rightsstatements.org/vocab/InC/1.0/", Says.FORBIDS),
        ("Copyright 2019 somebody", Says.FORBIDS),
        ("Alle Rechte vorbehalten", Says.FORBIDS),
        ("", Says.UNKNOWN),
        ("see website", Says.UNKNOWN),
    ],
)
def test_known_words_of_licences(licence: str, expected: Says) -> None:
    assert says(licence) == expected


def test_what_files_state_forbids_too() -> None:
    with pytest.raises(UsageError, match="hosts or files"):
        Rights(stated=(("All rights reserved", 3),)).check(unknown_too=True)


@pytest.mark.parametrize(
    "address",
    ["", "hf://models/a/b", "hf://datasets/a", "hf://datasets/a/b/c", "hf://datasets/../b", "hf://datasets/a/b.git"],
)
def test_an_address_that_names_no_repository_is_refused(address: str, root: Store) -> None:
    with pytest.raises(UsageError, match="hf://datasets/ORG/NAME"):
        repository(address)
    assert main([root.url, "--to", address]) == 2


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (b"# x\n", "front matter"),
        (b"---\n[\n---\n", "cannot be read"),
        (b"---\nconfigs:\n- data_files: [{split: val, path: 'val-*.tar'}]\n---\n", "no such file"),
        (b"---\nlicense: other\n---\n", "no configuration"),
    ],
)
def test_a_card_that_does_not_fit_its_files_is_refused(card: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_card(card, ["train-000000.tar"])
