"""A tar of ours is byte-deterministic and read by everyone."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import webdataset as wds
from hypothesis import given
from hypothesis import strategies as st

from curation.tar import TarWriter

members = st.dictionaries(
    st.text("abcdef0123456789", min_size=1, max_size=32).map(lambda n: n + ".jpg"), st.binary(max_size=2000), max_size=8
)


@given(members)
def test_what_is_written_is_read_by_tarfile_and_by_offset(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    with TarWriter(path) as tar:
        offsets = {name: tar.add(name, data) for name, data in files.items()}
    data = path.read_bytes()
    assert len(data) % tarfile.RECORDSIZE == 0
    with tarfile.open(path) as read:
        assert [m.name for m in read.getmembers()] == list(files)
        for member in read.getmembers():
            found = read.extractfile(member)
            assert found is not None and found.read() == files[member.name]
            assert (member.mtime, member.uid, member.uname, member.mode) == (0, 0, "", 0o644)
    for name, offset in offsets.items():
        assert data[offset : offset + len(files[name])] == files[name]


def test_the_same_members_give_the_bytes_that_tarfile_gives(tmp_path: Path) -> None:
    with TarWriter(tmp_path / "a.tar") as tar:
        tar.add("x.txt", b"hello")
        tar.add("y.json", b"{}")
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as reference:
        for name, data in (("x.txt", b"hello"), ("y.json", b"{}")):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            reference.addfile(info, io.BytesIO(data))
    assert (tmp_path / "a.tar").read_bytes() == sink.getvalue()


def test_webdataset_reads_samples(tmp_path: Path) -> None:
    with TarWriter(tmp_path / "a.tar") as tar:
        for key in ("a", "b"):
            tar.add(f"{key}.txt", key.encode())
            tar.add(f"{key}.json", b"{}")
    samples = list(wds.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False))
    assert [(s["__key__"], s["txt"]) for s in samples] == [("a", b"a"), ("b", b"b")]


def test_a_name_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with TarWriter(tmp_path / "a.tar") as tar, pytest.raises(ValueError):
        tar.add("x" * 300 + ".jpg", b"")
