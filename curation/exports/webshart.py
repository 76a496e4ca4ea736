"""The release's own tars, each with an index of its members: random access and instant buckets."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from curation.core.errors import RootError
from curation.core.store import shown
from curation.exports.form import Done, Facts, Place, Settings, as_json
from curation.exports.release import ReleaseTar, Sample

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Webshart:
    """Copies (or --link) of the tars, each with an index of offsets, sizes and captions (webshart, SimpleTuner)

    Images are in the index with their .json beside them; a .txt would count as a sample of its own.
    """

    name: ClassVar[str] = "webshart"
    version: ClassVar[int] = 1
    uses: ClassVar[frozenset[str]] = frozenset({"link"})

    def shard(self, tar: ReleaseTar, samples: Iterable[Sample], place: Place, settings: Settings) -> Facts:
        """``<split>/<tar>.tar`` and ``.json``."""
        folder = place.files / tar.split
        folder.mkdir()
        copy = folder / f"{tar.name}.tar"
        if settings.link:
            _linked(tar, copy)
        else:
            _copied(tar, copy)
        with tarfile.open(copy, "r:") as opened:
            members = {m.name: (m.offset_data, m.size) for m in opened if m.isfile()}
        files: dict[str, dict[str, Any]] = {}
        for sample in samples:
            image, told = f"{sample.sample_id}.{sample.extension}", f"{sample.sample_id}.json"
            if image not in members or told not in members:
                raise RootError(f"{shown(tar.url)} names members otherwise than sample_id; export another form")
            (offset, length), (json_offset, json_length) = members[image], members[told]
            files[image] = {
                "offset": offset,
                "length": length,
                "width": sample.width,
                "height": sample.height,
                "aspect": round(sample.width / sample.height, 6),
                "captions": sample.caption,
                "json_path": told,
                "json_offset": json_offset,
                "json_length": json_length,
            }
            files[told] = {"offset": json_offset, "length": json_length}
        told_of_tar = {"path": copy.name, "filesize": copy.stat().st_size, "hash": tar.sha256}
        index = told_of_tar | {"includes_image_geometry": True, "files": files}
        (folder / f"{tar.name}.json").write_bytes(as_json(index))
        return {}

    def finish(self, shards: Sequence[Done], place: Place, settings: Settings) -> None:
        """Nothing: each tar and its index stand for themselves."""


def _copied(tar: ReleaseTar, copy: Path) -> None:
    """Copies a tar and verifies its sum on the way. Raises ``RootError``."""
    fs, path = fsspec.core.url_to_fs(tar.url)
    digest = hashlib.sha256()
    with fs.open(path, "rb") as source, copy.open("wb") as target:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != tar.sha256:
        raise RootError(f"{shown(tar.url)} has the sha256 {digest.hexdigest()}, not {tar.sha256} as its sums say")


def _linked(tar: ReleaseTar, copy: Path) -> None:
    """A hard link, which stays whole where the release's own file is replaced. Raises ``RootError``."""
    fs, path = fsspec.core.url_to_fs(tar.url)
    if not isinstance(fs, LocalFileSystem):
        raise RootError(f"{shown(tar.url)} is not on this machine; leave out --link")
    try:
        os.link(path, copy)
    except OSError as error:
        raise RootError(
            f"{path} cannot be linked ({error.strerror}): links stay on one disk; leave out --link"
        ) from error
