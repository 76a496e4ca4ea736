"""The files that a ``--source`` names: a file, a pattern or a folder on any fsspec URL, listed but not read."""

from __future__ import annotations

import difflib
import glob
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fsspec

from curation.core.errors import SourceError

_MAGIC = "*?["
# Names that stores have for the version of a file's content, the best first.
_VERSIONS = (
    *("ETag", "etag", "md5", "Content-MD5", "generation"),
    *("mtime", "LastModified", "last_modified", "Last-Modified", "created"),
)


@dataclass(frozen=True)
class Found:
    """A file: its path in its filesystem, and its name relative to the fixed part of the source's spec.

    ``fault`` is the reason why it must not be opened, such as a link that leads out of the source, or a pipe.
    """

    path: str
    name: str
    size: int
    version: str
    link: bool
    fault: str | None


@dataclass(frozen=True)
class Listing:
    """All files that one ``--source`` names, sorted by name; ``linked`` are folders behind links, not entered."""

    spec: str
    fs: Any
    base: str
    files: tuple[Found, ...]
    linked: tuple[str, ...] = ()


def list_spec(spec: str) -> Listing:
    """Lists files. Folders are walked; hidden files and links to folders are left out.

    A name is relative to the part of the spec before its first wildcard, or for a single file to its folder, so it
    does not depend on which other files exist. Raises ``SourceError`` when there is nothing to list.
    """
    try:
        fs, path = fsspec.core.url_to_fs(spec)
    except (ValueError, ImportError, OSError) as error:
        raise SourceError(f"source {spec!r}: {error}; expected a file, a pattern, a folder or an fsspec URL") from error
    path = path.rstrip("/") or "/"
    behind: set[str] = set()
    try:
        fs.invalidate_cache()  # clients of object stores keep listings, which would hide what came since
        if fs.isfile(path):
            base, entries = _parent(path), {path: fs.info(path)}
        elif fs.isdir(path):
            base, entries = path, _walk(fs, path)
        elif any(c in path for c in _MAGIC):
            base, pattern = _fixed(fs, path)
            entries = _matches(fs, pattern)
            behind = _behind_links(fs, base, pattern, entries)
        else:
            raise SourceError(f"source {spec!r} does not exist: {_missing(fs, path)}")
        files, found = _files(fs, base, entries)
        linked = tuple(sorted(behind.union(found)))
    except SourceError:
        raise
    except Exception as error:  # each filesystem raises errors of its own
        raise SourceError(f"source {spec!r} cannot be listed: {error}") from error
    if not files:
        links = f". Links to folders are not followed: {', '.join(linked[:5])}; name those folders" if linked else ""
        raise SourceError(f"source {spec!r} names no file: {_endings(fs, base)}{links}")
    return Listing(spec, fs, base, files, linked)


def beside(listing: Listing, folder: str) -> tuple[Found, ...]:
    """The files in a folder of the listing, whether the spec names them or not. ``folder`` is relative to its base."""
    path = listing.base if folder == "." else f"{listing.base}/{folder}"
    entries = {str(info["name"]): info for info in listing.fs.ls(path, detail=True)}
    return _files(listing.fs, listing.base, entries)[0]


def _files(fs: Any, base: str, entries: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    """The files, and the names of links to folders."""
    prefix = base if base.endswith("/") else f"{base}/"
    found, linked = [], []
    for path, info in entries.items():
        name = path.removeprefix(prefix) if base else path
        if _speaks(fs, "http"):
            name = name.partition("?")[0]  # a query, say a signature, is not part of a file's name
        if any(part.startswith(".") for part in name.split("/")):
            continue
        file = _found(fs, base, path, name, info)
        if file is not None:
            found.append(file)
        elif info.get("islink"):
            linked.append(name)
    return tuple(sorted(found, key=lambda f: f.name)), tuple(sorted(linked))


def _found(fs: Any, base: str, path: str, name: str, info: Mapping[str, Any]) -> Found | None:
    size = int(info.get("size") or 0)
    if info.get("islink"):
        if fs.isdir(path):
            return None
        try:
            stat = os.stat(path)  # noqa: PTH116  # only local files are links
        except OSError as error:
            return Found(path, name, 0, "", link=True, fault=f"a broken link ({error.strerror})")
        real, home = os.path.realpath(path), os.path.realpath(base)
        fault = None if real.startswith(home.rstrip("/") + "/") else "a link that leads out of the source"
        return Found(path, name, stat.st_size, f"{stat.st_size}-{stat.st_mtime!r}", link=True, fault=fault)
    if info.get("type") == "directory":
        return None
    version = _version(info)
    if version is None and not _speaks(fs, "file"):
        info = fs.info(path)  # a pattern's matches may come with less detail
        size, version = int(info.get("size") or 0), _version(info)
    fault = None if info.get("type") == "file" else "neither a file nor a link"
    return Found(path, name, size, f"{size}-{version or ''}", link=False, fault=fault)


def _version(info: Mapping[str, Any]) -> Any:
    return next((info[v] for v in _VERSIONS if info.get(v) is not None), None)


def _walk(fs: Any, path: str) -> dict[str, dict[str, Any]]:
    # A folder that cannot be entered must not vanish; remote stores have no such folders.
    raising = {"on_error": "raise"} if _speaks(fs, "file") else {}
    found: dict[str, dict[str, Any]] = fs.find(path, detail=True, **raising)
    return found


def _matches(fs: Any, pattern: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for path, info in fs.glob(pattern, detail=True).items():
        if info.get("type") == "directory":
            entries.update(_walk(fs, path))
        else:
            entries[path] = info
    return entries


def _behind_links(fs: Any, base: str, pattern: str, entries: Mapping[str, Any]) -> set[str]:
    """Names of links to folders that a pattern would enter; fsspec passes over them without a word."""
    if not _speaks(fs, "file") or "**" in pattern:
        return set()
    found = set()
    for path in set(glob.iglob(pattern)) - entries.keys():  # noqa: PTH207  # a whole path
        at = path
        while len(at) > len(base) and not os.path.islink(at):  # noqa: PTH114  # only local files are links
            at = _parent(at)
        if len(at) > len(base) and os.path.isdir(at):  # noqa: PTH112  # likewise
            found.add(at.removeprefix(base.rstrip("/") + "/"))
    return found


def _fixed(fs: Any, path: str) -> tuple[str, str]:
    """The folders before the first wildcard, and the pattern with their names escaped.

    A folder may have brackets or a question mark in its own name.
    """
    parts = path.split("/")
    at = 0
    while at < len(parts) and not any(c in parts[at] for c in _MAGIC):
        at += 1
    while at < len(parts) - 1 and fs.isdir("/".join(parts[: at + 1])):
        at += 1
        while at < len(parts) and not any(c in parts[at] for c in _MAGIC):
            at += 1
    at = min(at, len(parts) - 1)
    base = "/".join(parts[:at])
    pattern = "/".join([glob.escape(base), *parts[at:]]) if any(c in base for c in _MAGIC) else path
    return base or ("/" if path.startswith("/") else ""), pattern


def _parent(path: str) -> str:
    return path.rsplit("/", 1)[0] if "/" in path else ""


def _missing(fs: Any, path: str) -> str:
    """Which part of a path is not there, and the names like it that are."""
    folder, part = _parent(path), path.rsplit("/", 1)[-1]
    while folder.strip("/") and not fs.isdir(folder):
        folder, part = _parent(folder), folder.rsplit("/", 1)[-1]
    if not folder.strip("/"):
        return "nor does any folder above it"
    stems = {name: name.split(".", 1)[0] for name in _names(fs, folder)}
    close = difflib.get_close_matches(part.split(".", 1)[0], list(dict.fromkeys(stems.values())), n=3, cutoff=0.7)
    near = [name for name, stem in stems.items() if stem in close][:3]
    return f"{folder} holds no {part!r}" + (f"; did you mean {' or '.join(map(repr, near))}?" if near else "")


def _endings(fs: Any, folder: str) -> str:
    """What a folder holds, by the endings of names."""
    if not fs.isdir(folder):
        return _missing(fs, folder)
    kinds = Counter(f".{n.rsplit('.', 1)[-1]}" if "." in n.lstrip(".") else "other" for n in _names(fs, folder))
    shown = ", ".join(f"{count} {ending}" for ending, count in kinds.most_common(5))
    return f"{folder} holds {f'names that end in: {shown}' if kinds else 'nothing'}"


def _names(fs: Any, folder: str) -> list[str]:
    return sorted(str(n).rstrip("/").rsplit("/", 1)[-1] for n in fs.ls(folder, detail=False))


def _speaks(fs: Any, protocol: str) -> bool:
    return protocol in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
