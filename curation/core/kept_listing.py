"""One listing of a root's manifest for many looks at it, while nobody changes it but this process.

An object store answers a listing of all tables at once as fast as that of one, and a run with nothing to do looks at
each of them many times. What this process writes there, or hands to workers, makes the next look list anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, takewhile

FOLDER = "manifest"


class _Kept:
    """The names below the folder, once they are known; none are kept while workers are ``at_work``."""

    names: Sequence[str] | None = None
    at_work = 0


_kept: dict[str, _Kept] = {}  # by the root's URL: stores are opened by it alone


@contextmanager
def keeping(url: str) -> Iterator[None]:
    """Lets looks at the manifest share listings: while holding the root, or for a look at one state of it."""
    before = _kept.get(url)
    _kept[url] = _Kept()
    try:
        yield
    finally:
        del _kept[url]
        if before is not None:
            _kept[url], before.names = before, None


@contextmanager
def at_work(url: str) -> Iterator[Callable[[], None]]:
    """What is yielded is called when workers get something to do; until the end of the block nothing is kept then."""
    kept, begun = _kept.get(url), False

    def begin() -> None:
        nonlocal begun
        if kept is not None and not begun:
            begun, kept.names = True, None
            kept.at_work += 1

    try:
        yield begin
    finally:
        if kept is not None and begun:
            kept.names = None
            kept.at_work -= 1


def changed(url: str, name: str = f"{FOLDER}/") -> None:
    """Tells that a file of the root was written or removed, by this process or by another one."""
    if url in _kept and name.startswith(f"{FOLDER}/"):
        _kept[url].names = None


def names(url: str, list_all: Callable[[], Sequence[str]]) -> Sequence[str] | None:
    """All names below the manifest, from a listing that was made before or now; None where none may be kept."""
    kept = _kept.get(url)
    if kept is None or kept.at_work:
        return None
    if kept.names is None:
        kept.names = list_all()
    return kept.names


def below(names: Sequence[str], folder: str) -> list[str]:
    """Those of sorted names that begin with this, without it."""
    following = islice(names, bisect_left(names, folder), None)
    return [name.removeprefix(folder) for name in takewhile(lambda name: name.startswith(folder), following)]
