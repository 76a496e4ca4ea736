"""Locks a dataset root and keeps its recipe: one run at a time, one recipe a root."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import fsspec

from curation.core.errors import LapidaryError, RecipeError, RootError, StoreError
from curation.core.recipes import differences, from_toml, load, set_keys, to_toml
from curation.core.store import Store, one_line, shown
from schemas.part import Part

P = TypeVar("P", bound=Part)

RECIPE = "recipe.toml"
LOCK = "lock.json"
_ARCHIVE = "an archive cannot be written to while it is read"
_WRAPPER = "it only wraps another file system"
_READ_ONLY = "it can only be read"
# Schemes of fsspec that no root can have, each with its reason.
_NO_ROOTS = {
    **dict.fromkeys(("zip", "tar", "libarchive"), _ARCHIVE),
    **dict.fromkeys(("http", "https"), "a web server takes no files"),
    **dict.fromkeys(("data", "reference", "git", "github", "jlab", "jupyter", "dask"), _READ_ONLY),
    **dict.fromkeys(("dir", "generic", "async_wrapper"), _WRAPPER),
    **dict.fromkeys(("cached", "blockcache", "filecache", "simplecache"), "workers would each have a cache of it"),
}
_BEAT_SECONDS = 5.0
_STALE_SECONDS = 60.0


@dataclass(frozen=True)
class Owner:
    """The process that has locked a root."""

    host: str
    pid: int
    since: float
    beat: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, for {time.time() - self.since:.0f} s"


def resolve_recipe(model: type[P], store: Store, path: str | None, sets: Sequence[str]) -> P:
    """Today's recipe for a root: the file's (or the root's own), with ``--set`` applied.

    Keys that ``--set`` names may differ from the root's: that is how a recipe is changed on purpose. Any other
    difference raises ``RootError``, which lists the keys.
    """
    made_by = read_recipe(model, store)
    recipe = load(model, path, sets, base=made_by)
    if made_by is not None:
        said = set_keys(sets)
        surprising = [d for d in differences(made_by, recipe) if not _covered(d.key, said)]
        if surprising:
            raise RootError(
                f"{store.url} was made with another recipe: {'; '.join(map(str, surprising))}. "
                "To change the root, pass each key with --set; otherwise name a new --root"
            )
    return recipe


def read_recipe(model: type[P], store: Store) -> P | None:
    """The recipe a root was made by; None for a new root. Raises ``RootError`` for one of another kind."""
    if not store.exists(RECIPE):
        return None
    try:
        return from_toml(model, store.read(RECIPE), store.path(RECIPE))
    except RecipeError as error:
        raise RootError(f"{store.url} was not made by a {model.__name__} recipe: {error}. Name a new --root") from error


def write_recipe(store: Store, recipe: Part) -> None:
    """Records the recipe that the root is made by from now on."""
    data = to_toml(recipe)
    if not store.exists(RECIPE) or store.read(RECIPE) != data:
        store.write(RECIPE, data)


def check_free_space(store: Store, least: int = 64 * 1024 * 1024) -> None:
    """Raises ``RootError`` where a folder's disk has fewer than ``least`` bytes left."""
    if not store.is_local:
        return
    place = Path(store.path(RECIPE)).parent
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    if usage.total and usage.free < least:
        raise RootError(
            f"the disk under {store.url} has {usage.free // 2**20} MiB left; at least {least // 2**20} are needed; "
            "free space or name another --root"
        )


def open_root(url: str, *, shared: bool) -> Store:
    """The store of a root that can be written to; ``shared`` says whether other processes work on it.

    Raises ``RootError``, in one line, for a URL where no root can be.
    """
    if not url.strip():
        raise RootError("--root is empty; name a folder, or a prefix of an object store such as s3://…")
    scheme = _scheme(url)
    if "::" in url:
        raise _no_root(url, "chained URLs (with ::) can only be read")
    if scheme in _NO_ROOTS:
        raise _no_root(url, _NO_ROOTS[scheme])
    if scheme == "memory" and shared:
        raise _no_root(url, "it lives in the memory of one process, which Ray's workers do not share", "--engine local")
    if "://" not in url and scheme not in ("file", "local") and scheme in fsspec.available_protocols():
        raise _no_root(url, f"a URL has two slashes behind {scheme}:", f"{scheme}://…")
    store = Store(url)
    try:
        store.exists(RECIPE)
    except Exception as error:  # a driver may raise anything of its own: no credentials, no such bucket, no network
        raise RootError(
            f"cannot read {shown(url)}: {one_line(error)}; correct the URL, its credentials or the network, or name "
            "another --root"
        ) from error
    return store


def _scheme(url: str) -> str:
    """The scheme of a URL; empty for a path. ``data:`` is the one that fsspec reads without slashes."""
    before, found, _ = url.partition(":" if url.lower().startswith("data:") else ":/")
    return before.strip().lower() if found else ""


def _no_root(url: str, why: str, instead: str = "") -> RootError:
    use = f"use {instead}, or name" if instead else "name"
    return RootError(
        f"{shown(url)} cannot be a root: {why}; {use} a folder, or a prefix of an object store such as s3://…"
    )


@contextlib.contextmanager
def hold(store: Store) -> Iterator[None]:
    """Locks a root for this process. Raises ``RootError`` when another run has locked it, or nothing can be written."""
    with _hold_folder(store) if store.is_local else _hold_object_store(store):
        store.sweep()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                store.sweep()  # what workers that were killed in this run left behind


@contextlib.contextmanager
def _hold_folder(store: Store) -> Iterator[None]:
    path = Path(store.path(LOCK))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise _unwritable(store, error) from error
    with file:
        try:
            # The kernel releases the lock when the process ends, however it ends: there are no stale locks.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _in_use(store, _holder(store)) from error
        try:
            file.truncate(0)
            file.write(_owner_now())
            file.flush()
        except OSError as error:
            raise _unwritable(store, error) from error
        yield


@contextlib.contextmanager
def _hold_object_store(store: Store) -> Iterator[None]:
    """Writes a heartbeat: object stores have no lock, so two runs that start in the same second may both go on."""
    holder = _holder(store) if store.exists(LOCK) else None
    if holder is not None and time.time() - holder.beat < _STALE_SECONDS:
        raise _in_use(store, holder)
    since = time.time()
    try:
        store.write(LOCK, _owner_now(since).encode())
    except Exception as error:  # a driver may raise anything of its own
        raise _unwritable(store, error) from error
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(store, since, stop), daemon=True, name="root-lock")
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        with contextlib.suppress(LapidaryError, OSError):
            store.remove(LOCK)


def _owner_now(since: float | None = None) -> str:
    now = time.time()
    return json.dumps(asdict(Owner(socket.gethostname(), os.getpid(), now if since is None else since, now)))


def _holder(store: Store) -> Owner | None:
    try:
        return Owner(**json.loads(store.read(LOCK)))
    except (StoreError, ValueError, TypeError):
        return None


def _beat(store: Store, since: float, stop: threading.Event) -> None:
    while not stop.wait(_BEAT_SECONDS):
        with contextlib.suppress(LapidaryError, OSError):
            store.write(LOCK, _owner_now(since).encode())


def _in_use(store: Store, holder: Owner | None) -> RootError:
    return RootError(f"{store.url} is in use by {holder or 'another run'}. Wait for it, end it, or name another --root")


def _unwritable(store: Store, error: Exception) -> RootError:
    return RootError(
        f"cannot write to {store.url}: {one_line(error)}; free space, correct its permissions or name another --root"
    )


def _covered(key: str, said: set[str]) -> bool:
    return any(key == s or key.startswith(s + ".") or s.startswith(key + ".") for s in said)
