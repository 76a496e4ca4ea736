"""What a root promises: whole files or none, on a disk and on an object store alike."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from fsspec.registry import known_implementations
from s3fs.errors import translate_boto_error

from curation.core.errors import RootError, StoreError
from curation.core.files import is_remote
from curation.core.store import Store
from schemas.manifest import ShardEntry
from tests.support.listing_store import another_client
from tests.support.object_store import bucket
from tests.support.toy import Number, table_of, write_numbers

__all__ = ["bucket"]


@pytest.fixture(params=["disk", "object store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path / "a root") if request.param == "disk" else f"memory://{tmp_path.name}/root")


@pytest.mark.parametrize(
    ("place", "remote"),
    [
        ("a/b.tar", False),
        ("/a/b.tar", False),
        ("file:///a/b.tar", False),
        ("local:///a", False),
        ("parquet-image:image:file:///a/b.parquet", False),
        ("parquet-image:image:s3://a/b.parquet", True),
        ("s3://a/b.tar", True),
        ("https://a.example/file://b", True),
        ("memory://a", True),
    ],
)
def test_a_place_tells_whether_it_is_on_this_machine(place: str, remote: bool) -> None:
    assert is_remote(place) == remote


def test_what_is_written_is_read_back(store: Store) -> None:
    store.write("a/b.bin", b"0123456789")
    assert store.read("a/b.bin") == b"0123456789"
    assert store.read("a/b.bin", 2, 5) == b"234"
    assert store.exists("a/b.bin")
    assert store.names("a") == ["b.bin"]
    assert store.names("nowhere") == []


@pytest.mark.parametrize("bulk", [True, False])
def test_many_files_go_also_where_a_store_removes_them_one_by_one(
    bulk: bool, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some want a Content-MD5 with a list of keys, which clients no longer send (OpenStack Swift, Google's S3)."""
    store, refused = Store(f"{bucket}/root"), []
    known = type(store.filesystem)._call_s3

    async def refusing(self: Any, method: str, *words: Any, **more: Any) -> Any:
        if method == "delete_objects" and not bulk:
            refused.append(method)
            raise translate_boto_error(ClientError({"Error": {"Code": "InvalidRequest"}}, "DeleteObjects"))
        return await known(self, method, *words, **more)

    monkeypatch.setattr(type(store.filesystem), "_call_s3", refusing)
    names = [f"a/{number}" for number in range(20)]
    for name in names:
        store.write(name, b"x")
    store.move(names[0], "b/moved")
    assert not refused, "one file is no list"
    store.remove_all([*names, "a/none"])
    assert not store.names("a") and store.names("b") == ["moved"]
    assert bool(refused) is not bulk


@pytest.mark.parametrize("said", [None, "when_supported"])
def test_a_store_that_is_not_amazon_s_gets_files_as_they_are(
    said: str | None, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others refuse the encoding in which S3 clients send checksums over TLS (OpenStack Swift does)."""
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", said or "")
    if said is None:
        monkeypatch.delenv("AWS_REQUEST_CHECKSUM_CALCULATION")
    store = Store(f"{bucket}/root")
    store.write("a", b"x")
    assert store.filesystem.s3.meta.config.request_checksum_calculation == (said or "when_required")


def test_of_many_files_those_that_are_there_go(store: Store) -> None:
    store.write("a/b", b"x")
    store.write("a/d", b"x")
    store.remove_all(["a/b", "a/c", "a/d"])
    assert store.names("a") == []


def test_parts_of_a_file_are_those_of_its_bytes(store: Store) -> None:
    data = bytes(range(100))
    store.write("a/b", data)
    ranges = [(90, 95), (0, 3), (0, 3), (98, 120)]
    assert store.read_ranges("a/b", ranges) == [data[start:end] for start, end in ranges]
    assert store.read_ranges("a/b", []) == []
    with pytest.raises(StoreError):
        store.read_ranges("a/c", [(0, 1)])


def test_what_another_process_writes_and_removes_is_seen_at_once(tmp_path: Path) -> None:
    store = Store(f"listing://{tmp_path.name}/root")
    write_numbers(store, 2)
    assert store.count("numbers") == 2 and not store.exists("a/b.bin") and store.names("manifest/numbers")
    other = another_client(store)
    names = write_numbers(other, 3)
    other.write("a/b.bin", b"x")
    assert sorted(store.entries("numbers")) == names and store.exists("a/b.bin") and store.names("a") == ["b.bin"]
    assert store.filesystem.glob(store.path("manifest/numbers/*.json")) == [
        store.path(f"manifest/numbers/{name}.json") for name in names
    ]
    other.retire("numbers", names[0])
    other.remove("a/b.bin")
    assert sorted(store.entries("numbers")) == names[1:] and not store.exists("a/b.bin")


def test_tables_and_entries_come_back(store: Store) -> None:
    names = write_numbers(store, 3)
    assert sorted(store.entries("numbers")) == names
    assert store.count("numbers") == 3
    assert store.read_table(Number, names[1]).column("value").to_pylist() == [5, 6, 7, 8, 9]
    store.retire("numbers", names[1])
    assert sorted(store.entries("numbers")) == [names[0], names[2]]


def test_the_same_rows_give_the_same_bytes(store: Store) -> None:
    rows = [Number(str(i), i) for i in range(1000)]
    assert store.write_table(Number, "a", table_of(Number, rows)) == store.write_table(
        Number, "a", table_of(Number, rows)
    )


def test_a_published_file_is_moved_whole(store: Store) -> None:
    path = store.scratch("images/x.tar")
    path.write_bytes(b"tar")
    assert store.names("images") == []
    store.publish("images/x.tar", path)
    assert store.read("images/x.tar") == b"tar"
    assert not path.exists()


def test_a_missing_file_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match=r"nothing/here\.bin"):
        store.read("nothing/here.bin")


def test_a_damaged_entry_is_named(store: Store) -> None:
    store.write("manifest/numbers/x.json", b'{"table": "numbers"')
    with pytest.raises(StoreError, match=r"x\.json is damaged"):
        store.entries("numbers")


def test_a_store_travels_by_its_url(store: Store) -> None:
    import pickle

    store.write("x", b"1")
    assert pickle.loads(pickle.dumps(store)).read("x") == b"1"


def test_a_url_that_nothing_here_can_open_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"class": "a_package_that_nobody_has.Files", "err": "Install a-package to access nowhere"}
    monkeypatch.setitem(known_implementations, "nowhere", missing)
    for url, says in (
        ("foo://bucket/root", "Protocol not known: foo"),
        ("nowhere://bucket/root", "Install a-package to access nowhere"),
    ):
        with pytest.raises(RootError) as raised:
            Store(url)
        assert says in str(raised.value) and url in str(raised.value) and "\n" not in str(raised.value)


def test_leftovers_of_a_killed_writer_are_swept(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "root"))
    store.write("tables/t/a.parquet", b"1")
    store.scratch("tables/t/b.parquet").write_bytes(b"half")
    assert store.sweep() == 1
    assert store.names("tables/t") == ["a.parquet"]


def test_a_killed_writer_leaves_no_half_file(tmp_path: Path) -> None:
    """SIGKILL at random moments of a writer in a loop: whatever is there under its name is whole."""
    code = (
        "import sys; from curation.core.store import Store\n"
        "s = Store(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "while True:\n    s.write('f.bin', b'x' * 3_000_000)\n"
    )
    store = Store(str(tmp_path))
    for wait in (0.0, 0.003, 0.011, 0.023):
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        import time

        time.sleep(wait)
        child.kill()
        child.wait()
        if store.exists("f.bin"):
            assert len(store.read("f.bin")) == 3_000_000


def _no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from curation.core.store import Store; from curation.core.errors import StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n    Store(sys.argv[1]).write('f.bin', b'x' * 100_000)\n"
        "except StoreError as e:\n    print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=_no_room,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert "cannot write" in done.stdout and "free space" in done.stdout, done.stderr
    assert not (tmp_path / "f.bin").exists()


def test_an_entry_is_read_back_equal() -> None:
    entry = ShardEntry("t", "s", "d", {"a": "1"}, {"b": "2"}, 1, 2, 3, 0.5, "w")
    assert ShardEntry.from_json(entry.to_json()) == entry
