"""The version of a release, and what has changed with each: ``release/VERSION`` and ``release/CHANGELOG.md``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from curation.core.errors import StoreError
from curation.core.store import Store

RELEASE = "release/"
VERSION, CHANGELOG, SUMS = "VERSION", "CHANGELOG.md", "SHA256SUMS"
REMEMBERED = "versions"
"""The folder of a root with what its newest version holds: what the next run compares its release with."""
_TITLE = "# Changes of this release\n"


def release_in(store: Store) -> str:
    """Where the release lies in a root, or in a copy of a release alone: the beginning of its files' names."""
    return RELEASE if store.names(f"{RELEASE}metadata", ".parquet") or store.exists(f"{RELEASE}{SUMS}") else ""


def version_of(store: Store, release: str = RELEASE) -> int:
    """The version of a release; 1 for one that names none. Raises ``StoreError`` for a file that is damaged."""
    name = release + VERSION
    if not store.exists(name):
        return 1
    text = store.read(name).decode("utf-8", "replace").strip()
    if not text.isdecimal() or len(text) > 9:
        raise StoreError(f"{store.path(name)} is not the number of a version; restore it, or delete it")
    return int(text)


def next_version(
    store: Store, date: str, lines: Sequence[str], *, above: int = 0, release: str = RELEASE
) -> dict[str, bytes]:
    """The two files of the version that follows, and that is above another one too, by name in the release.

    ``lines`` say what has changed, as a list; ``date`` is YYYY-MM-DD.
    """
    version = max(version_of(store, release), above) + 1
    name = release + CHANGELOG
    earlier = store.read(name).decode("utf-8", "replace") if store.exists(name) else _TITLE
    section = "\n".join([f"\n## Version {version} ({date})\n", *(f"- {line}" for line in lines), ""])
    title, _, rest = earlier.partition("\n")
    return {VERSION: f"{version}\n".encode(), CHANGELOG: f"{title}\n{section}{rest}".encode()}


def version_files(store: Store) -> dict[str, str]:
    """The two files as they are in a root, with their sha256, for the sums; those that are not there are left out."""
    names = [name for name in (VERSION, CHANGELOG) if store.exists(RELEASE + name)]
    return {name: hashlib.sha256(store.read(RELEASE + name)).hexdigest() for name in names}


def read_sums(store: Store, release: str = RELEASE) -> dict[str, str]:
    """The sha256 of a release's files by name, as its sums have it. Raises ``StoreError`` where there are none."""
    lines = store.read(release + SUMS).decode("utf-8", "replace").splitlines()
    pairs = (line.split("  ", 1) for line in lines)
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2}


def vouch(store: Store, files: Mapping[str, bytes]) -> None:
    """Publishes files of a root's release, and the sums last, which vouch for them."""
    written = {name: store.write(RELEASE + name, data) for name, data in sorted(files.items())}
    store.write(RELEASE + SUMS, sums(read_sums(store) | written))


def sums(files: Mapping[str, str]) -> bytes:
    """What ``sha256sum`` prints for these files, sorted by name."""
    return "".join(f"{sha}  {name}\n" for name, sha in sorted(files.items())).encode()
