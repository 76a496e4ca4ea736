"""Paths of local images in lists: relative to the list's folder, or to the one that ``source.image_folder`` names.

A list is untrusted: a path that leads out of that folder, also through a link, is not read. On a web server paths are
not looked for, since nothing would guard those requests.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.sources.options import Options
from curation.sources.sidecars import file_sha256
from curation.sources.source_metadata import put
from schemas.arrays import Chunked
from schemas.ids import content_url
from schemas.reasons import Reason

_COLUMNS = ("url", "content", "local_file", "local_offset", "local_size", "fault", "note")


class LocalImages:
    """Finds the images that one list names by path. ``url`` is the list's own."""

    def __init__(self, url: str, options: Options) -> None:
        place = options.image_folder or url.rpartition("/")[0]
        self._fs, folder = fsspec.core.url_to_fs(place)
        self._folder = str(folder).rstrip("/")
        protocols = self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
        self._local = "file" in protocols
        self._web = bool({"http", "https"} & set(protocols))
        self._real = os.path.realpath(self._folder) if self._local else self._folder

    def located(self, table: pa.Table, paths: Sequence[str | None] | None) -> pa.Table:
        """The table with the places of local images: those of ``paths``, and addresses that are paths of files there.

        A path that is not there, or must not be read, is a row with a fault. An image without a url is known by its
        bytes.
        """
        urls = table["url"]
        rows = [n for n, path in enumerate(paths or ()) if path is not None and path.strip()]
        named = set(rows)
        rows += [n for n in _no_web_addresses(urls) if n not in named]
        if not rows:
            return table
        found = {name: table[name].to_pylist() for name in _COLUMNS}
        for n in sorted(rows):
            if found["fault"][n] is not None or found["local_file"][n] is not None:
                continue
            if n in named:
                values = self._named(str((paths or ())[n]), found["url"][n])
            else:
                values = self._addressed(urls[n].as_py())
            for name, value in values.items():
                found[name][n] = value
        for name in _COLUMNS:
            table = put(table, name, pa.array(found[name], table.schema.field(name).type))
        return table

    def _named(self, path: str, url: str | None) -> dict[str, Any]:
        """What is known of an image whose path a column holds."""
        if _is_web(path):
            return {} if url else {"url": path.strip()}
        inner, why = self._inside(path)
        if inner is None:
            return {"fault": Reason.BAD_URL.value, "note": f"{path[:200]!r} {why}"}
        try:
            return self._place(inner, keep_url=bool(url))
        except OSError as error:
            if url:
                return {}  # it can be fetched
            why = f"{path[:200]!r}: {error.strerror or 'not found'} (looked for in {self._folder})"
            return {"fault": Reason.FILE_MISSING.value, "note": why}

    def _addressed(self, url: str) -> dict[str, Any]:
        """What is known of a row whose address is no web address; nothing where it is no file in the folder."""
        inner, _ = self._inside(url)
        try:
            if inner is None or not self._fs.isfile(inner):
                return {}
            return self._place(inner, keep_url=False)
        except (OSError, ValueError):
            return {}

    def _place(self, inner: str, *, keep_url: bool) -> dict[str, Any]:
        if self._local and not Path(inner).is_file():
            raise FileNotFoundError(errno.ENOENT, "not found, or no plain file")
        sha256, size = file_sha256(self._fs, inner)
        known = {} if keep_url else {"url": None, "content": content_url(sha256)}
        return {**known, "local_file": self._fs.unstrip_protocol(inner), "local_offset": 0, "local_size": size}

    def _inside(self, path: str) -> tuple[str | None, str]:
        """The path in the filesystem, or None and why it must not be read."""
        if self._web:
            return None, "is a path; of a list on a web server only web addresses are read"
        plain = path.strip().replace("\\", "/")
        if "\x00" in plain:
            return None, "holds a zero byte"
        if plain.lower().startswith("file:"):
            if not self._local:
                return None, "is a local file of a list that is not local; source.image_folder names the images' folder"
            split = urlsplit(plain)
            if split.netloc not in ("", "localhost"):
                return None, "names another machine"
            plain = unquote(split.path)
        elif "://" in plain:
            protocol, _, rest = plain.partition("://")
            own = self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,)
            if protocol.lower() not in own or ".." in PurePosixPath(rest).parts:
                return None, f"is not in {self._folder}; source.image_folder names the images' folder"
            plain = str(self._fs._strip_protocol(plain))
        whole = plain if plain.startswith(("/", f"{self._folder}/")) else f"{self._folder}/{plain}"
        if self._local:
            real = os.path.realpath(whole)
            inside = real.startswith(self._real.rstrip("/") + "/")
        else:
            inside = ".." not in PurePosixPath(whole).parts and whole.startswith(f"{self._folder}/")
        if not inside:
            return None, f"leads out of {self._folder} and was not read; source.image_folder names the images' folder"
        return os.path.normpath(whole) if self._local else whole, ""


def _no_web_addresses(urls: Chunked) -> list[int]:
    """The rows of addresses that are none of the web; empty and unknown ones are left out."""
    usual = pc.or_(pc.starts_with(urls, "https://"), pc.starts_with(urls, "http://"))
    others = np.flatnonzero(~np.asarray(usual.fill_null(True)))
    return [n for n in others.tolist() if (url := urls[n].as_py()) and not _is_web(url)]


def _is_web(text: str) -> bool:
    return text.lstrip().lower().startswith(("http://", "https://"))
