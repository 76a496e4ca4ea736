"""Who holds a root: one run, whatever the store, and a dead one not for long."""

from __future__ import annotations

import json
import shlex
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from s3fs.errors import translate_boto_error

from curation.core import lock
from curation.core.errors import LockLost, RootError, RootInUse, StoreError
from curation.core.lock import PENDING, hold
from curation.core.owner import BEAT, LOCK, Owner, this_process
from curation.core.store import Store
from tests.support.holder import having_it_of, held_by_another
from tests.support.object_store import bucket

__all__ = ["bucket"]

OTHER = Owner("elsewhere", 7, time.time() - 90, time.time(), "theirs", "another machine", "1")


def put(store: Store, owner: Owner) -> None:
    store.write(LOCK, json.dumps(asdict(owner)).encode())


@pytest.fixture(params=["bucket", "memory"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An object store: one that knows conditions, and one of this process."""
    return f"{request.getfixturevalue('bucket')}/r" if request.param == "bucket" else f"memory://{tmp_path.name}/r"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lock, "_SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(lock, "_POLL_SECONDS", 0.05)


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_a_root_in_use_names_its_owner_and_is_free_once_the_owner_is_killed(
    place: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = str(tmp_path) if place == "folder" else f"{request.getfixturevalue('bucket')}/r"
    with held_by_another(url) as other:
        with (
            pytest.raises(RootInUse, match=rf"in use by process {other.pid} on .*, for \d+ s\. Wait .*--wait-for-root"),
            hold(Store(url)),
        ):
            pass
        other.kill()
        other.wait()
        with hold(Store(url)):  # at once: a lease of a process of this machine need not run out
            pass


def test_a_root_is_free_again_after_a_run(remote: str) -> None:
    store = Store(remote)
    with hold(store) as first, pytest.raises(RootInUse, match="in use by process"), hold(store):
        first.check()
    assert not store.exists(LOCK)
    with hold(store):
        pass


@pytest.mark.parametrize("condition", ["kept", "ignored", "refused"])
def test_of_runs_that_start_together_one_has_the_root(
    condition: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored: list[bool] = []
    if condition != "kept":
        kind = type(Store(bucket).filesystem)
        known = kind._call_s3

        async def ignoring(self: Any, method: str, *words: Any, **more: Any) -> Any:
            ignored.append(more.pop("IfNoneMatch", None) == "*")
            if ignored[-1] and condition == "refused":  # as OpenStack Swift does
                raise translate_boto_error(ClientError({"Error": {"Code": "NotImplemented"}}, "PutObject"))
            return await known(self, method, *words, **more)

        monkeypatch.setattr(kind, "_call_s3", ignoring)
    assert len(having_it_of(6, f"{bucket}/r")) == 1
    assert any(ignored) is (condition != "kept")


def test_the_lease_of_another_machine_says_when_it_is_free(remote: str) -> None:
    store = Store(remote)
    put(store, replace(OTHER, beat=time.time() - 20))
    with (
        pytest.raises(RootInUse, match=r"process 7 on elsewhere.*its lock is free at \d\d:\d\d:\d\d, in (39|40) s\)"),
        hold(store),
    ):
        pass
    assert json.loads(store.read(LOCK))["token"] == "theirs"


@pytest.mark.usefixtures("quick")
def test_an_old_lease_is_taken_over_unless_it_is_still_renewed(remote: str) -> None:
    store = Store(remote)
    stale = replace(OTHER, beat=time.time() - 3600)  # dead for an hour, or a clock that is an hour late
    put(store, stale)
    with hold(store) as mine:
        mine.check()
        assert json.loads(store.read(LOCK))["token"] != "theirs"
    assert not store.exists(LOCK)
    put(store, stale)
    over = threading.Event()

    def renew() -> None:
        beat = stale.beat
        while not over.wait(0.01):
            beat += 5
            put(store, replace(stale, beat=beat))

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        with pytest.raises(RootInUse, match="elsewhere"), hold(store):
            pass
    finally:
        over.set()
        renewing.join()


def test_a_process_that_has_the_number_of_a_dead_one_is_another(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path.name}/r")
    with hold(store):
        mine = Owner(**json.loads(store.read(LOCK)))
    assert not mine.is_dead
    assert replace(mine, started="1").is_dead
    assert not replace(mine, started="1", machine="another").is_dead
    put(store, replace(mine, started="1"))
    with hold(store):
        pass


@pytest.mark.usefixtures("quick")
def test_a_run_that_lost_its_lock_stops_and_leaves_the_other_s_alone(remote: str) -> None:
    store = Store(remote)
    with pytest.raises(LockLost, match=r"taken over by process 7 on elsewhere.*what was finished is kept"):  # noqa: SIM117
        with hold(store) as mine:
            put(store, OTHER)
            while True:
                mine.check()
                time.sleep(0.01)
    assert json.loads(store.read(LOCK))["token"] == "theirs"


@pytest.mark.usefixtures("quick")
def test_a_heartbeat_does_not_write_over_a_run_that_has_just_taken_the_root(
    remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run was stopped between its look at the file and what it writes then."""
    store, known = Store(remote), lock.holder
    looks: list[Owner | None] = []

    def stopped_behind(found: Store) -> Owner | None:
        looks.append(known(found))
        if len(looks) == 3:  # the first one is that of the start
            put(store, OTHER)
        return looks[-1]

    monkeypatch.setattr(lock, "holder", stopped_behind)
    with pytest.raises(LockLost, match="process 7 on elsewhere"), hold(store) as mine:
        while True:
            mine.check()
            time.sleep(0.01)
    assert json.loads(store.read(LOCK))["token"] == "theirs"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("renewed", [False, True])
def test_a_lease_from_the_future_is_taken_over_unless_it_is_renewed(renewed: bool, remote: str) -> None:
    """This machine's clock was set back by a day, or the other's was ahead by one."""
    store = Store(remote)
    ahead = replace(OTHER, beat=time.time() + 86_400)
    put(store, ahead)
    over = threading.Event()

    def renew() -> None:
        beat = ahead.beat
        while renewed and not over.wait(0.02):
            beat += 5
            put(store, replace(ahead, beat=beat))

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        if renewed:
            with pytest.raises(RootInUse, match="elsewhere"), hold(store):
                pass
        else:
            with hold(store) as mine:
                mine.check()
    finally:
        over.set()
        renewing.join()


@pytest.mark.usefixtures("quick")
def test_a_lock_that_somebody_deleted_is_written_again(remote: str) -> None:
    store = Store(remote)
    with hold(store) as mine:
        store.remove(LOCK)
        while not store.exists(LOCK):
            mine.check()
            time.sleep(0.01)
    assert not store.names("", ".json"), "neither the lock nor its heartbeat is left"


def test_a_run_that_wrote_late_over_another_s_lock_gives_it_back(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looked before the other run came, was stopped, and wrote when that was sure of the root."""
    store = Store(remote)
    monkeypatch.setattr(lock, "_BEAT_SECONDS", 2.0)
    monkeypatch.setattr(lock, "_SETTLE_SECONDS", 0.1)
    late = lock._Lease(store, this_process())
    look = late._put
    looks: list[bool] = []

    def stopped_behind_the_look() -> bool:
        looks.append(True)
        if len(looks) > 1:
            return look()
        before = store.read(BEAT)
        while store.read(BEAT) == before:  # the other one does not look again within the next two seconds
            time.sleep(0.02)
        store.write(LOCK, late._renewed())
        return True

    monkeypatch.setattr(late, "_put", stopped_behind_the_look)
    with hold(store) as first:
        with pytest.raises(RootInUse, match="in use by"):
            late.take()
        first.check()
        assert json.loads(store.read(LOCK))["token"] != late._owner.token
    assert len(looks) == 2


@pytest.mark.usefixtures("quick")
def test_a_store_too_slow_for_a_lock_is_refused(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_IN_TIME_SECONDS", 0.0)
    with pytest.raises(RootError, match=r"took longer than 0 s, 3 times; run nearer"), hold(Store(remote)):
        pass
    assert not Store(remote).exists(LOCK)


def test_a_run_whose_lock_somebody_deleted_is_not_joined(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_BEAT_SECONDS", 0.5)
    store = Store(remote)
    with hold(store) as first:
        store.remove(LOCK)
        with pytest.raises(RootInUse, match="in use by"), hold(store):
            pass
        first.check()


@pytest.mark.usefixtures("quick")
def test_a_lock_that_cannot_be_read_is_taken_for_another_run_s(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, known = Store(remote), Store.read
    put(store, OTHER)

    def silent(found: Store, name: str, *words: Any) -> bytes:
        if name == LOCK:
            raise StoreError("503 Slow Down")
        return known(found, name, *words)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", silent)
        with pytest.raises(RootError, match="503 Slow Down"), hold(store):
            pass
    assert json.loads(store.read(LOCK))["token"] == "theirs"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_a_run_that_waits_has_the_root_when_it_is_free(
    place: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = str(tmp_path) if place == "folder" else f"{request.getfixturevalue('bucket')}/r"
    told: list[str] = []
    waits = threading.Event()

    def tell(line: str) -> None:
        told.append(line)
        waits.set()

    with held_by_another(url) as other:

        def kill() -> None:
            waits.wait(60)
            time.sleep(0.2)  # some looks more, of which nothing is said
            other.kill()
            other.wait()

        killer = threading.Thread(target=kill)
        killer.start()
        with hold(Store(url), wait=tell):
            pass
        killer.join()
    assert len(told) == 1
    assert told[0].startswith(f"{url} is in use by process {other.pid} on ") and told[0].endswith(
        "waiting until it is free"
    )


def test_a_damaged_lock_file_holds_nobody_up(remote: str) -> None:
    store = Store(remote)
    store.write(LOCK, b"{")
    with hold(store):
        pass


def test_a_takedown_that_was_interrupted_is_named_with_a_command_that_a_shell_takes(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "my data é?"))
    store.write(PENDING, b"{}")
    with pytest.raises(RootError, match="interrupted") as found, hold(store):
        pass
    assert shlex.split(str(found.value).partition("end it with: ")[2])[-2:] == ["flows.takedown", store.url]
