"""WebDataset and img2dataset tars as a source: pixels are read in place and never unpacked.

As in WebDataset, a sample is a run of members with the same path and name up to the first dot of the name. Where the
names themselves have dots (``www.shop.test_1.jpg``), that rule would make one sample of many pictures, so that such a
run is divided (see ``_divided``). Only headers and sidecars are read, and an image only where it has no url to be
known by. Member names are never used as paths: an absolute name, ``..`` or a link in a tar has no effect.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import IO

import fsspec
import pyarrow as pa

from curation.core.errors import DamagedSource, SourceError
from curation.sources.options import PLAIN, Options
from curation.sources.sidecars import (
    IMAGE_EXTENSIONS,
    IMAGE_HEAD,
    LONGEST_SIDECAR,
    SIDECAR_EXTENSIONS,
    TEXT_EXTENSIONS,
    beside,
    is_image,
    is_released,
    json_object,
    tables,
)
from curation.sources.source_metadata import SourceMetadata, clean
from schemas.changed import changed
from schemas.ids import content_url
from schemas.reasons import Reason

_KEY = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_CHUNK = 1 << 20
_LONGEST_RUN = 1_000  # members; a longer run without a plain name is divided before its end is known
log = logging.getLogger(__name__)


@dataclass
class _Sample:
    """Members by extension: offset and size of their data, or the reason why they cannot be used."""

    key: str
    data: dict[str, tuple[int, int]] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    note: str | None = None

    def has(self, extension: str) -> bool:
        return extension in self.data or extension in self.unusable

    def extensions(self) -> list[str]:
        return [*self.data, *self.unusable]

    def part(self, stem: str, extensions: list[str]) -> _Sample:
        """A sample of its own from the members called ``key.stem.*``."""
        cut = len(stem) + 1 if stem else 0
        return _Sample(
            f"{self.key}.{stem}" if stem else self.key,
            {e[cut:]: self.data[e] for e in extensions if e in self.data},
            {e[cut:]: self.unusable[e] for e in extensions if e in self.unusable},
        )


def read_tar(url: str, start: int = 0, end: int | None = None, *, options: Options = PLAIN) -> Iterator[pa.Table]:
    """Tables of ``SourceMetadata`` for the samples [start, end) of a tar, in its order.

    Raises ``DamagedSource`` where the tar is damaged, naming the offset; what stood before has been yielded.
    """
    return tables(_rows(url, start, end, options))


def _rows(url: str, start: int, end: int | None, options: Options) -> Iterator[SourceMetadata]:
    try:
        with fsspec.open(url, "rb") as file:
            for number, sample in enumerate(_samples(url, file)):
                if end is not None and number >= end:
                    return
                if number >= start:
                    yield _row(url, file, sample, options)
    except OSError as error:
        raise DamagedSource(f"{url} cannot be read: {error}") from error


def _samples(url: str, file: IO[bytes]) -> Iterator[_Sample]:
    sample: _Sample | None = None
    ignored: list[str] = []
    further: list[str] = []
    for member in _members(url, file):
        if member.isdir():
            continue
        found = _KEY.fullmatch(member.name)
        if found is None:
            # WebDataset has no place for names without an extension, but a picture is not left out.
            if _is_picture(file, member):
                yield from _divided(sample, further)
                sample = None
                yield _Sample(member.name, {"": (member.offset_data, member.size)})
            else:
                ignored.append(member.name)
            continue
        key, extension = found[1], found[2].lower()
        if sample is None or sample.key != key or sample.has(extension):
            yield from _divided(sample, further)
            sample = _Sample(key)
        elif len(sample.data) >= _LONGEST_RUN and all("." in e for e in sample.extensions()):
            *whole, last = _by_stem(sample)
            yield from whole
            sample = _reopened(last, key)
        if not member.isreg() or member.issparse():
            sample.unusable[extension] = "a sparse file" if member.issparse() else "a link or device"
        else:
            sample.data[extension] = (member.offset_data, member.size)
    yield from _divided(sample, further)
    visible = [name for name in ignored if not name.rsplit("/", 1)[-1].startswith(".")]
    for names, what in ((visible, "members without an extension"), (further, "more images beside a sample's own")):
        if names:
            log.warning("%s: %d %s are not read: %s", url, len(names), what, clean(", ".join(names[:5])))


def _reopened(part: _Sample, key: str) -> _Sample:
    """The last part of a run as the beginning of the rest of it."""
    stem = part.key.removeprefix(f"{key}.")
    return _Sample(
        key,
        {f"{stem}.{e}": place for e, place in part.data.items()},
        {f"{stem}.{e}": why for e, why in part.unusable.items()},
    )


def _divided(run: _Sample | None, further: list[str]) -> Iterator[_Sample]:
    """The samples of a run of members with one key.

    A run with a plain extension (``a.jpg``, ``a.txt``) is one sample, as WebDataset reads it; further images such as
    ``a.mask.png`` belong to it. Two kinds of members are samples of their own: an image that has a text or JSON of
    its own (``a.2.jpg`` with ``a.2.txt``), and every image of a run that has no plain extension at all. The names of
    images that no sample takes go to ``further``.
    """
    if run is None:
        return
    parts = _by_stem(run)
    pictures = [p for p in parts if _image(p.extensions()) is not None]
    if all(p.key != run.key for p in parts) and len(pictures) > 1:
        yield from parts
        return
    own = [p for p in pictures if p.key != run.key and any(_ending(e) in SIDECAR_EXTENSIONS for e in p.extensions())]
    if len(parts) == 1:
        own = []
    taken = {f"{p.key.removeprefix(run.key + '.')}.{e}" for p in own for e in p.extensions()}
    rest = run.part("", [e for e in run.extensions() if e not in taken]) if own else run
    images = [e for e in rest.extensions() if _ending(e) in IMAGE_EXTENSIONS]
    if len(images) > 1 and all("." in e for e in images):
        others = [f".{e}" for e in images if e != _image(images)]
        rest.note = clean(f"{len(others)} more in this sample, which ends at the first dot: {', '.join(others)}")[:300]
    elif len(images) > 1:
        further += (f"{rest.key}.{e}" for e in images if e != _image(images))
    yield rest
    yield from own


def _by_stem(run: _Sample) -> list[_Sample]:
    """The run divided by names up to the last dot; ``photo.jpg.txt`` goes with ``photo.jpg``."""
    stems: dict[str, list[str]] = {}
    for extension in run.extensions():
        stem = extension.rpartition(".")[0]
        if _ending(stem) in IMAGE_EXTENSIONS and run.has(stem):
            stem = stem.rpartition(".")[0]
        stems.setdefault(stem, []).append(extension)
    return [run.part(stem, extensions) for stem, extensions in stems.items()]


def _ending(extension: str) -> str:
    return extension.rsplit(".", 1)[-1]


def _members(url: str, file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """All members. An end without an end-of-archive block is an error; tarfile alone would accept it."""
    head = file.read(8)
    packed = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    if packed:
        raise DamagedSource(f"{url} is compressed ({packed}); pixels are read in place, so unpack it to a plain .tar")
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
    """Raises ``DamagedSource`` where the archive does not end at ``offset``.

    Behind two blocks of zeros every tool stops reading, so that other bytes there do no harm; a second archive there
    would be lost.
    """
    file.seek(offset)
    zeros = 0
    while chunk := file.read(_CHUNK):
        if len(chunk) < tarfile.BLOCKSIZE and not zeros:
            break
        at = (len(chunk) - len(chunk.lstrip(b"\0"))) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
        zeros += at // tarfile.BLOCKSIZE
        if at >= len(chunk):
            offset += len(chunk)
            continue
        offset += at
        try:
            tarfile.TarInfo.frombuf(chunk[at : at + tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            if zeros < 2:
                raise _damaged(url, offset, "neither a member nor the end of the archive") from None
            log.warning("%s: bytes behind the end of the archive are not read, from byte %d on", url, offset)
            return
        raise _damaged(url, offset, "another archive begins; tars must not be joined")
    if not zeros:
        raise _damaged(url, offset, "it ends without an end-of-archive block")


def _row(url: str, file: IO[bytes], sample: _Sample, options: Options) -> SourceMetadata:
    image = _image([*sample.data])
    if image is None:
        image = next((e for e, place in sample.data.items() if _begins_as_image(file, *place)), None)
    texts = (*TEXT_EXTENSIONS, *(f"{image}.{e}" for e in TEXT_EXTENSIONS))
    extension = next((e for e in texts if sample.has(e)), "txt")
    text, text_note = _sidecar(file, sample, extension)
    metadata, metadata_note = _sidecar(file, sample, "json" if sample.has("json") else f"{image}.json")
    found = beside(text, metadata, extension=extension, further={"key": clean(sample.key)}, options=options)
    note = "; ".join(n for n in (text_note, metadata_note, found.note, sample.note) if n) or None
    if image is None and found.url and not sample.unusable and is_released(json_object(metadata)):
        return replace(found, note=note)  # a release without images: they are fetched
    if image is None:
        unusable = _image([*sample.unusable])
        held = ", ".join(sorted(sample.extensions()))
        why = f".{unusable} is {sample.unusable[unusable]}" if unusable else f"no image among its members: {held}"
        return replace(found, fault=Reason.FILE_MISSING, note=clean(f"{sample.key}: {why}")[:300])
    offset, size = sample.data[image]
    content = None if found.url else content_url(_sha256(url, file, offset, size))
    return changed(found, note=note, content=content, local_file=url, local_offset=offset, local_size=size)


def _image(extensions: list[str]) -> str | None:
    """The extension of a sample's image: ``jpg`` before ``input.jpg``, else the first of the tar."""
    images = [e for e in extensions if _ending(e) in IMAGE_EXTENSIONS]
    return next((e for e in images if "." not in e), images[0] if images else None)


def _is_picture(file: IO[bytes], member: tarfile.TarInfo) -> bool:
    hidden = member.name.rsplit("/", 1)[-1].startswith(".")
    plain = member.isreg() and not member.issparse() and not hidden
    return plain and _begins_as_image(file, member.offset_data, member.size)


def _begins_as_image(file: IO[bytes], offset: int, size: int) -> bool:
    file.seek(offset)
    return is_image(file.read(min(size, IMAGE_HEAD)))


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
    return DamagedSource(f"{url} is no whole tar: at byte {offset}: {why}; fetch it again or leave it out")
