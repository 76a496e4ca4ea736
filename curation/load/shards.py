"""Find a release's tars, count their samples, divide them among ranks and workers, and read a part of one.

Nothing in a tar is skipped silently.
"""

from __future__ import annotations

import json
import logging
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import fsspec
import numpy as np
import numpy.typing as npt
from fsspec.implementations.local import LocalFileSystem

from curation.core.errors import RootError
from curation.load.cache import TarCache

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

IMAGES = ("jpg", "webp", "png")
"""The extensions that an image of a release has."""

_SHARD = re.compile(r"(?P<split>[a-z]+)-\d{6,}\.tar")
_COUNTING = 16  # shards counted at a time; a remote store answers slowly, not weakly

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """``count`` samples of the tar ``url`` from the ``first`` on; all that follow where ``count`` is null.

    A far tar is read through ``cache``, where there is one.
    """

    url: str
    first: int = 0
    count: int | None = None
    cache: TarCache | None = None

    def open(self) -> BinaryIO:
        """The tar's bytes."""
        # A file opened here may have any name; webdataset would look for braces and protocols in it.
        fs, path = fsspec.core.url_to_fs(self.url)
        if self.cache is not None and not isinstance(fs, LocalFileSystem):
            return self.cache.open(self.url)
        opened: BinaryIO = fs.open(path, "rb")
        return opened


def find_shards(root_or_release_url: str, split: str) -> list[str]:
    """The URLs of a split's tars in order. Raises ``RootError`` naming the splits there are."""
    splits = find_splits(root_or_release_url)
    if split not in splits:
        raise RootError(f"{root_or_release_url} has no split {split!r}; it has {list(splits)}")
    return splits[split]


def find_splits(root_or_release_url: str) -> dict[str, list[str]]:
    """The splits of a release, each with the URLs of its tars in order. Raises ``RootError`` where there is none."""
    fs, path = fsspec.core.url_to_fs(root_or_release_url)
    folder = path.rstrip("/")
    for candidate in (f"{folder}/release", folder):
        if not fs.isdir(candidate):
            continue
        names = (str(f).rstrip("/").rsplit("/", 1)[-1] for f in fs.ls(candidate, detail=False))
        splits: dict[str, list[str]] = {}
        for name in sorted(n for n in names if _SHARD.fullmatch(n)):
            splits.setdefault(name.rsplit("-", 1)[0], []).append(str(fs.unstrip_protocol(f"{candidate}/{name}")))
        if splits:
            return splits
    raise RootError(f"{root_or_release_url} holds no release: no tar such as train-000000.tar is there")


def count_samples(urls: Iterable[str]) -> list[int]:
    """How many samples each tar has: by the metadata beside it, else by its own headers. Raises ``RootError``."""
    with ThreadPoolExecutor(_COUNTING) as pool:
        return list(pool.map(_count, urls))


def read_part(part: Part) -> Iterator[dict[str, bytes]]:
    """The samples of a part in order, each as its members' bytes by extension.

    A sample is the neighbouring members that share a name but for the last extension, of which one is ``.json``.
    All others are counted and named in a warning. Raises ``RootError`` for a tar that is damaged, or that has
    fewer samples than ``count`` demands.
    """
    end = None if part.count is None else part.first + part.count
    found = unread = 0
    odd = ""
    try:
        with part.open() as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for members in _neighbours(tar):
                sample, left = _sample(members)
                unread += len(left)
                odd = odd or (left[0] if left else "")
                if not sample:
                    continue
                if found >= part.first:
                    yield {extension: _bytes(tar, member) for extension, member in sample.items()}
                found += 1
                if found == end:
                    break
    except (tarfile.TarError, EOFError) as error:
        raise RootError(f"{part.url} is damaged behind its first {found} samples ({error}); get it again") from error
    if unread:
        log.warning(
            "%s: %d members are not read, %r first; a sample is neighbouring members of one name with a .json",
            *(part.url, unread, odd),
        )
    if end is not None and found < end:
        raise RootError(f"{part.url} has {found} samples where its metadata counts {end} or more; get it again")


def _count(url: str) -> int:
    fs, path = fsspec.core.url_to_fs(url)
    try:
        if (metadata := metadata_of(fs, path)) is not None:
            with metadata as file:
                return file.metadata.num_rows
        with fs.open(path, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            return sum(bool(_sample(members)[0]) for members in _neighbours(tar))
    except (tarfile.TarError, EOFError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise RootError(f"the samples of {url} cannot be counted ({error}); get it and its metadata again") from error


def sizes_of_images(urls: Iterable[str]) -> list[npt.NDArray[np.int64]]:
    """Width and height in pixels of each image of each tar, in its order: (samples, 2).

    They are in the metadata beside the tars, or else in each sample's .json. Raises ``RootError``.
    """
    with ThreadPoolExecutor(_COUNTING) as pool:
        return list(pool.map(_sizes, urls))


def _sizes(url: str) -> npt.NDArray[np.int64]:
    fs, path = fsspec.core.url_to_fs(url)
    try:
        if (metadata := metadata_of(fs, path)) is not None:
            with metadata as file:
                table = file.read(["width", "height"])
                return np.stack([column.to_numpy().astype(np.int64) for column in table.columns], axis=1)
        found = (annotation_of(sample, url) for sample in read_part(Part(url)))
        return np.array([(a["width"], a["height"]) for a in found], np.int64).reshape(-1, 2)
    except (KeyError, ValueError) as error:
        raise RootError(f"the image sizes of {url} are not known ({error}); get it and its metadata again") from error


def metadata_of(fs: Any, tar: str) -> AbstractContextManager[ParquetFile] | None:
    """The metadata of a tar; None where there is no such file, or no pyarrow to read it."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:  # training code may do without it
        return None
    folder, _, name = tar.rpartition("/")
    metadata = f"{folder}/metadata/{name.removesuffix('.tar')}.parquet"
    return ParquetFile(fs.open(metadata, "rb")) if fs.exists(metadata) else None


def _neighbours(tar: tarfile.TarFile) -> Iterator[list[tarfile.TarInfo]]:
    """The files of a tar, in groups that share a name but for the last extension."""
    files = (member for member in tar if member.isfile())
    return (list(group) for _, group in groupby(files, key=lambda m: _split(m.name)[0]))


def _sample(members: list[tarfile.TarInfo]) -> tuple[dict[str, tarfile.TarInfo], list[str]]:
    """The members of a sample by extension, none where there is no .json; and the names of what is left over."""
    by_extension: dict[str, tarfile.TarInfo] = {}
    left: list[str] = []
    for member in members:
        extension = _split(member.name)[1].lower()
        if not extension or extension in by_extension:
            left.append(member.name)
        else:
            by_extension[extension] = member
    return (by_extension, left) if "json" in by_extension else ({}, [m.name for m in members])


def _split(name: str) -> tuple[str, str]:
    """A member's name without its last extension, and that; a dot in front makes none."""
    folder, slash, file = name.rpartition("/")
    stem, dot, extension = file.rpartition(".")
    return (folder + slash + stem, extension) if dot and stem else (name, "")


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    data = b"" if file is None else file.read()
    if len(data) != member.size:
        raise EOFError(f"{member.name} ends after {len(data)} of {member.size} bytes")
    return data


def annotation_of(sample: dict[str, bytes], url: str) -> dict[str, Any]:
    """A sample's .json, parsed. Raises ``RootError`` if it is no JSON object."""
    try:
        annotation = json.loads(sample["json"])
    except ValueError as error:
        raise RootError(f"{url} has a .json that is none ({error}): {sample['json'][:60]!r}; get it again") from error
    if not isinstance(annotation, dict):
        raise RootError(f"{url} has a .json that is no object: {sample['json'][:60]!r}; get it again")
    return annotation


Even = Literal["repeat", "drop", "none"]


def share(samples: int, world_size: int, rank: int, even: Even) -> tuple[int, int]:
    """The first sample of a rank and how many it reads, counted on from the end to the beginning again.

    ``repeat``: every rank reads the same number, and every sample is read; at most ``world_size - 1`` are read
    twice. ``drop``: every rank reads the same number, and none is read twice; at most ``world_size - 1`` are left
    out. ``none``: every sample is read once, and ranks differ by one. Raises ``RootError`` where ``drop`` would
    leave nothing to read.
    """
    whole, rest = divmod(samples, world_size)
    match even:
        case "repeat":
            each = whole + (rest > 0)
            return (rank * each % samples if samples else 0), each
        case "drop":
            if not whole and samples:
                raise RootError(
                    f'{samples} samples are too few for {world_size} ranks with even="drop"; use even="repeat" or '
                    "fewer ranks"
                )
            return rank * whole, whole
        case "none":
            return rank * whole + min(rank, rest), whole + (rank < rest)


def part_of(first: int, count: int, workers: int, worker: int) -> tuple[int, int]:
    """The same for a worker: neighbouring samples of its rank's. Workers of one number read equally many in all
    ranks that read equally many, so that batches, which workers make, are equally many, too."""
    whole, rest = divmod(count, workers)
    return first + worker * whole + min(worker, rest), whole + (worker < rest)


def parts(
    urls: Sequence[str], counts: Sequence[int], first: int, count: int, cache: TarCache | None = None
) -> list[Part]:
    """Where ``count`` samples from the ``first`` on lie, counted on from the end to the beginning again."""
    found: list[Part] = []
    total = sum(counts)
    at = first % total if total else 0
    while count > 0 and total:
        start = 0
        for url, size in zip(urls, counts, strict=True):
            take = min(start + size - at, count)
            if start <= at < start + size and take > 0:
                found.append(Part(url, at - start, take, cache))
                at, count = at + take, count - take
            start += size
        at %= total
    return found
