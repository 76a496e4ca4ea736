"""A tar of ours is byte-deterministic and read by everyone."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import webdataset as wds
from hypothesis import given
from hypothesis import strategies as st

from curation.core.tar import TarWriter, _header, begin_of_member, blank_between, end_of_member

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


@given(members, st.booleans())
def test_the_sha256_computed_beside_the_writing_is_the_files(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], large: bool
) -> None:
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    with TarWriter(path, hashed=True) as tar:
        for name, data in files.items():
            tar.add(name, data * (3000 if large else 1))
        with pytest.raises(ValueError, match="closed"):
            _ = tar.sha256
    assert tar.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=100), st.integers(0, 8**11 - 1))
def test_headers_are_those_of_tarfile(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    assert _header(name, size) == info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def test_a_member_too_large_for_its_header_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        _header("a.jpg", 8**11)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=2000), st.booleans()), max_size=8))
def test_what_lies_between_members_can_be_blanked_and_the_others_stay(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[bytes, bool]]
) -> None:
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    with TarWriter(path) as tar:
        places = [tar.add(f"{n}.jpg", data) for n, (data, _) in enumerate(files)]
    at = 0
    with path.open("r+b") as file:
        for (data, stays), offset in zip(files, places, strict=True):
            if stays:
                blank_between(file, at, begin_of_member(offset))
                at = end_of_member(offset, len(data))
        blank_between(file, at, end_of_member(places[-1], len(files[-1][0])) if files else 0)
    with tarfile.open(path) as read:
        found = {m.name: (m.offset_data, read.extractfile(m).read()) for m in read}  # type: ignore[union-attr]
    left = {f"{n}.jpg": (places[n], data) for n, (data, stays) in enumerate(files) if stays}
    assert {name: member for name, member in found.items() if name in left} == left
    assert not any(any(data) for name, (_, data) in found.items() if name not in left)
    assert all(name.endswith(".gone") for name in found.keys() - left.keys())
