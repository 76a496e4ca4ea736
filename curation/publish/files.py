"""The files of a release, by its own sums, and whether its card fits them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from curation.core.errors import UsageError
from curation.core.store import Store, shown
from curation.release.versions import RELEASE, SUMS, read_sums

CARD = "README.md"
_ANEW = "run the root again, which writes it anew"


@dataclass(frozen=True)
class File:
    """A file of the release. ``sha256`` is as its sums have it; None for the sums themselves."""

    name: str
    size: int
    sha256: str | None


def release_files(store: Store) -> list[File]:
    """The files that a release's sums name, and these, in an order in which they can be sent: the card last but one.

    Raises ``UsageError`` for a root without a release, or where a file is missing.
    """
    if not store.exists(RELEASE + SUMS):
        raise UsageError(f"{shown(store.url)} has no release; a run makes one")
    found = read_sums(store)
    if not any(name.endswith(".tar") for name in found):
        raise UsageError(f"the release of {shown(store.url)} is empty; there is nothing to publish")
    last = [name for name in (CARD, SUMS) if name in found or name == SUMS]
    names = [*sorted(found.keys() - set(last)), *last]
    return [File(name, _size(store, name), found.get(name)) for name in names]


def _size(store: Store, name: str) -> int:
    try:
        return int(store.filesystem.size(store.path(RELEASE + name)))
    except OSError as error:
        raise UsageError(f"{store.path(RELEASE + name)} is missing ({error}); {_ANEW}") from error


def check_card(card: bytes, names: Iterable[str]) -> None:
    """Checks that the card names the release's tars as its data, so that the hub's viewer and ``datasets`` find them.

    Raises ``UsageError`` for a card without that, and for one that names files that are not there or misses some.
    """
    tars = {name for name in names if name.endswith(".tar")}
    named: set[str] = set()
    for pattern in _patterns(_front_matter(card)):
        there = set(fnmatch.filter(tars, pattern))
        if not there:
            raise UsageError(f"the card names {pattern}, and the release has no such file; {_ANEW}")
        named |= there
    if missing := sorted(tars - named):
        raise UsageError(f"the card names no configuration with {missing[0]}; {_ANEW}")


def _front_matter(card: bytes) -> Mapping[str, Any]:
    from huggingface_hub import DatasetCard

    try:
        data = DatasetCard(card.decode("utf-8", "replace")).data
        found: Mapping[str, Any] = data.to_dict()  # type: ignore[no-untyped-call]
    except Exception as error:  # the library lets errors of the YAML parser through
        said = " ".join(str(error).split())[:200]
        raise UsageError(f"the card's front matter cannot be read ({said}); {_ANEW}") from error
    if not found:
        raise UsageError(f"the card has no front matter; {_ANEW}")
    return found


def _patterns(matter: Mapping[str, Any]) -> list[str]:
    configs = matter.get("configs") or []
    return [str(file["path"]) for config in configs for file in config.get("data_files", [])]
