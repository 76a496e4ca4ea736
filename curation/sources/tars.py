"""WebDataset shards and img2dataset's tars as a source: pixels are named by place, and never unpacked.

A sample is a run of members that share path and name up to the first dot. Only headers and sidecars are
read, and an image only where it has no url to be known by. Member names are never used as paths, so an
absolute name, ``..`` or a link in a tar means nothing to us.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import IO, Any

import fsspec
import pyarrow as pa

from curation.core.errors import SourceError
from curation.sources.laion import Claim
from curation.sources.pixels import IMAGE_EXTENSIONS, LONGEST_SIDECAR, beside, tables
from curation.sources.source_metadata import clean
from schemas.ids import content_url
from schemas.reasons import Reason

_KEY = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_CHUNK = 1 << 20


@dataclass
class _Sample:
    """Members by extension: offset and size of their data, or what is wrong with them."""

    key: str
    data: dict[str, tuple[int, int]] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)

    def has(self, extension: str) -> bool:
        return extension in self.data or extension in self.unusable


def read_tar(url: str, start: int = 0, end: int | None = None) -> Iterator[pa.Table]:
    """Tables of claims for the samples [start, end) of a tar, in its order.

    Raises ``SourceError`` where the tar is damaged, naming the offset; what stood before has been yielded.
    """
    return tables(_claims(url, start, end))


def _claims(url: str, start: int, end: int | None) -> Iterator[Claim]:
    try:
        with fsspec.open(url, "rb") as file:
            for number, sample in enumerate(_samples(url, file)):
                if end is not None and number >= end:
                    return
                if number >= start:
                    yield _claim(url, file, sample)
    except OSError as error:
        raise SourceError(f"{url} cannot be read: {error}") from error


def _samples(url: str, file: IO[bytes]) -> Iterator[_Sample]:
    sample: _Sample | None = None
    for member in _members(url, file):
        found = _KEY.fullmatch(member.name)
        if member.isdir() or found is None:
            continue  # WebDataset has no place for names without an extension either
        key, extension = found[1], found[2].lower()
        if sample is None or sample.key != key or sample.has(extension):
            if sample is not None:
                yield sample
            sample = _Sample(key)
        if not member.isreg() or member.issparse():
            sample.unusable[extension] = "a sparse file" if member.issparse() else "a link or device"
        else:
            sample.data[extension] = (member.offset_data, member.size)
    if sample is not None:
        yield sample


def _members(url: str, file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """All members; an end that is none is an error, where tarfile would stop in silence."""
    head = file.read(8)
    packed = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    if packed:
        raise SourceError(f"{url} is compressed ({packed}); pixels are read in place, so unpack it to a plain .tar")
    file.seek(0)
    offset = 0
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            while (member := tar.next()) is not None:
                if tar.offset <= offset or member.size < 0:
                    raise tarfile.ReadError("a member of impossible size")
                offset = tar.offset
                vars(tar)["members"] = []  # tarfile keeps them all; a tar may hold millions
                yield member
            offset = tar.offset
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise _damaged(url, offset, str(error) or type(error).__name__) from error
    _check_end(url, file, offset)


def _check_end(url: str, file: IO[bytes], offset: int) -> None:
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise _damaged(url, offset, "it ends without an end-of-archive block")
    while block:
        if block.count(0) < len(block):
            raise _damaged(url, offset, "neither a member nor the end of the archive; tars must not be joined")
        offset += len(block)
        block = file.read(_CHUNK)


def _claim(url: str, file: IO[bytes], sample: _Sample) -> Claim:
    text, text_note = _sidecar(file, sample, "txt")
    metadata, metadata_note = _sidecar(file, sample, "json")
    claim = beside(text, metadata)
    note = "; ".join(n for n in (text_note, metadata_note, claim.note) if n) or None
    image = _image(sample.data)
    if image is None:
        unusable = _image(sample.unusable)
        found = ", ".join(sorted(sample.data | sample.unusable))
        why = f".{unusable} is {sample.unusable[unusable]}" if unusable else f"no image among its members: {found}"
        return replace(claim, fault=Reason.FILE_MISSING, note=clean(f"{sample.key}: {why}")[:300])
    offset, size = sample.data[image]
    content = None if claim.url else content_url(_sha256(url, file, offset, size))
    return replace(claim, note=note, content=content, local_file=url, local_offset=offset, local_size=size)


def _image(members: dict[str, Any]) -> str | None:
    """The extension of the sample's image: ``jpg`` before ``input.jpg``, else the first of the tar."""
    images = [e for e in members if e.rsplit(".", 1)[-1] in IMAGE_EXTENSIONS]
    return next((e for e in images if "." not in e), images[0] if images else None)


def _sidecar(file: IO[bytes], sample: _Sample, extension: str) -> tuple[bytes | None, str | None]:
    if extension not in sample.data:
        return None, f".{extension} is {sample.unusable[extension]}" if extension in sample.unusable else None
    offset, size = sample.data[extension]
    if size > LONGEST_SIDECAR:
        return None, f".{extension} has {size} bytes; at most {LONGEST_SIDECAR} are read"
    file.seek(offset)
    return file.read(size), None


def _sha256(url: str, file: IO[bytes], offset: int, size: int) -> str:
    digest = hashlib.sha256()
    file.seek(offset)
    while size:
        data = file.read(min(size, _CHUNK))
        if not data:
            raise _damaged(url, offset, "it ends within an image")
        digest.update(data)
        size -= len(data)
    return digest.hexdigest()


def _damaged(url: str, offset: int, why: str) -> SourceError:
    return SourceError(f"{url} is no whole tar: at byte {offset}: {why}; fetch it again or leave it out")
